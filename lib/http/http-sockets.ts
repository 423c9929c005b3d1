/**
 * Raw sockets and HTTP/2 sessions of an HTTP server, whose close waits for all of them. Here those without a request in progress
 * are closed: never used (browsers connect in advance, load balancers probe the port), kept alive, or stopped in the middle of a
 * request head or of a TLS handshake.
 *
 * A request in progress is never cut off. A socket is idle only if its HTTP/1 parser says so: any other is in use, upgraded, or
 * carries HTTP/2.
 */
import type { Server } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { requestOn, responseOn, socketBelow } from '../base/internals.ts'
import { markLastAnswers } from './last-answers.ts'

export class HttpSockets {
  readonly #sockets = new Set<Socket>()
  /** TCP sockets whose TLS handshake is not complete. */
  readonly #withoutTls = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #onClose: (this: Socket) => void
  /** Called when no socket and no session is left. */
  #onGone: Array<() => void> = []

  constructor () {
    const forget = (socket: Socket) => { this.forget(socket) }
    this.#onClose = function () { forget(this) }
  }

  /** Watches the sockets of a server. Returns a function that ends this. */
  watch (server: Server): () => void {
    const added: Array<[event: string, listener: (...args: never[]) => void]> = []
    const on = (event: string, listener: (...args: never[]) => void) => {
      server.on(event, listener as () => void)
      added.push([event, listener])
    }
    const add = (to: Set<Socket>) => (socket: Socket) => {
      to.add(socket)
      socket.once('close', this.#onClose)
    }
    on('session', (session: ServerHttp2Session) => {
      this.#sessions.add(session)
      session.once('close', () => {
        this.#sessions.delete(session)
        this.#check()
      })
    })
    // A listener of the application may answer later. Without one Node.js answers at once, which a listener of ours would prevent.
    if (server.listenerCount('clientError') > 0) on('clientError', (_error: Error, socket: Socket) => { this.forget(socket) })
    if ('setSecureContext' in server) {
      // Requests arrive on the TLS socket, which exists when the handshake is complete.
      on('connection', add(this.#withoutTls))
      on('secureConnection', add(this.#sockets))
      on('secureConnection', (socket: TLSSocket) => {
        const below = socketBelow(socket)
        if (below !== undefined) this.forget(below)
        // No TLS socket can be matched to its TCP socket: better to wait for some than to destroy those in use.
        else this.#withoutTls.clear()
      })
    } else {
      on('connection', add(this.#sockets))
    }
    return () => { for (const [event, listener] of added) server.removeListener(event, listener as () => void) }
  }

  /** Stops watching a socket that carries a WebSocket, or on which an error is being answered. */
  forget (socket: Socket): void {
    if (this.#sockets.delete(socket) || this.#withoutTls.delete(socket)) socket.removeListener('close', this.#onClose)
    this.#check()
  }

  /** Resolves when no socket and no session is left; those that carry WebSockets are not watched any more. */
  gone (): Promise<undefined> {
    return new Promise((resolve) => {
      this.#onGone.push(() => { resolve(undefined) })
      this.#check()
    })
  }

  #check (): void { if (this.#sockets.size + this.#withoutTls.size + this.#sessions.size === 0) for (const call of this.#onGone.splice(0)) call() }

  /** Closes the sockets without a request in progress at once, the others after their last answer. */
  closeIdle (): void {
    for (const socket of this.#withoutTls) socket.destroy()
    for (const socket of this.#sockets) this.#closeWhenIdle(socket)
    // Sends GOAWAY: open streams finish, then the session closes (RFC 9113 §6.8).
    for (const session of this.#sessions) session.close()
  }

  /** Has the last answer on each socket say `Connection: close` while `applies`. Returns a function that ends this. */
  markLastAnswers (applies: () => boolean): () => void { return markLastAnswers(this.#sockets, applies) }

  #closeWhenIdle (socket: Socket): void {
    const request = requestOn(socket)
    if (request === null) socket.destroy()
    // An answer that was begun before the drain has no `Connection: close`, and would keep the connection alive. Without an answer, the
    // request is still being read.
    else (responseOn(socket) ?? request)?.once('close', () => { this.#closeWhenIdle(socket) })
  }
}
