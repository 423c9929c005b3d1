/**
 * The raw sockets and HTTP/2 sessions of an HTTP server. A server waits for all of them when it closes; those on which no
 * request is under way are closed here: never used (browsers connect ahead of need, load balancers probe the port), kept
 * alive, or stopped in the middle of a request head or of a TLS handshake.
 *
 * A request under way is never cut. Node's HTTP/1 parser knows of one: `incoming` is set when a head is complete, and null
 * again when the request was read and its answer has left. Nothing public tells as much: 'request' is not emitted for what
 * 'checkContinue' and 'checkExpectation' listeners answer, and a listener of ours would change what Node does. A socket
 * whose `incoming` is anything but null is left alone: it is in use, upgraded, carries HTTP/2, or is of another make.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { requestOn, responseOn, socketBelow } from '../base/internals.ts'

export class HttpSockets {
  readonly #sockets = new Set<Socket>()
  /** TCP connections below a TLS handshake that is not over. */
  readonly #shaking = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #onClose: (this: Socket) => void

  constructor () {
    const sockets = this.#sockets
    const shaking = this.#shaking
    this.#onClose = function () { sockets.delete(this); shaking.delete(this) }
  }

  /** Watches the connections of a server until the function that it returns is called. */
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
      session.once('close', () => { this.#sessions.delete(session) })
    })
    // The listener that is there answers in its own time. Without one Node answers at once, and ours would prevent that.
    if (server.listenerCount('clientError') > 0) on('clientError', (_error: Error, socket: Socket) => { this.forget(socket) })
    if ('setSecureContext' in server) {
      // On a TLS server requests come on the socket above the TCP connection, which may never get that far.
      on('connection', add(this.#shaking))
      on('secureConnection', add(this.#sockets))
      on('secureConnection', (socket: TLSSocket) => {
        const below = socketBelow(socket)
        if (below !== undefined) this.forget(below)
        // Not the Node we know: better to wait for some than to destroy those that are in use.
        else this.#shaking.clear()
      })
    } else {
      on('connection', add(this.#sockets))
    }
    return () => { for (const [event, listener] of added) server.removeListener(event, listener as () => void) }
  }

  /** Leaves a socket to others: it carries WebSocket, or an error is being answered on it. */
  forget (socket: Socket): void {
    if (this.#sockets.delete(socket) || this.#shaking.delete(socket)) socket.removeListener('close', this.#onClose)
  }

  /** Closes what no request is under way on, and the rest as soon as its answers have left. */
  closeIdle (): void {
    for (const socket of this.#shaking) socket.destroy()
    for (const socket of this.#sockets) this.#closeWhenIdle(socket)
    // A GOAWAY frame: streams under way finish, then the session closes (RFC 9113 §6.8).
    for (const session of this.#sessions) session.close()
  }

  #closeWhenIdle (socket: Socket): void {
    const request = requestOn(socket)
    if (request === null) socket.destroy()
    // An answer that was begun before the drain has no Connection: close, and would leave a connection kept alive. Where it
    // has left already, the request is still being read.
    else (responseOn(socket) ?? request)?.once('close', () => { this.#closeWhenIdle(socket) })
  }
}

/** Says whether no other request has arrived behind this one: `Connection: close` would have Node drop those that are pipelined. */
export function isLastRequest (request: IncomingMessage): boolean {
  // Requests of `injectWS` have no socket.
  const latest = (request.socket as Socket | undefined) && requestOn(request.socket)
  return latest == null || latest === request
}
