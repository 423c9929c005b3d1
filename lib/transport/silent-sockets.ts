/**
 * TCP connections on which nothing was ever asked: browsers open them ahead of need, load balancers to look whether the
 * port is there. A server waits for them when it closes; we do not.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

export class SilentSockets {
  readonly #silent = new Set<Socket>()
  /** TCP connections below a TLS handshake that is not over. */
  readonly #shaking = new Set<Socket>()
  readonly #onClose: (this: Socket) => void

  constructor () {
    const silent = this.#silent
    const shaking = this.#shaking
    this.#onClose = function () { silent.delete(this); shaking.delete(this) }
  }

  /** Watches the connections of a server. */
  watch (server: Server): void {
    const add = (to: Set<Socket>) => (socket: Socket) => {
      to.add(socket)
      socket.once('close', this.#onClose)
    }
    server.on('request', ({ socket }) => { this.forget(socket) })
    if (!('setSecureContext' in server)) {
      (server as Server).on('connection', add(this.#silent))
      return
    }
    // On a TLS server requests come on the socket above the TCP connection, which may never get that far.
    const tls: Server = server
    tls.on('connection', add(this.#shaking))
    tls.on('secureConnection', add(this.#silent))
    tls.on('secureConnection', ({ _parent: below }: { _parent?: Socket }) => {
      if (below !== undefined) this.forget(below)
      // Not the Node we know: better to wait for some than to destroy those that are in use.
      else this.#shaking.clear()
    })
  }

  /** Somebody has asked something on this connection. */
  forget (socket: Socket): void {
    if (this.#silent.delete(socket) || this.#shaking.delete(socket)) socket.removeListener('close', this.#onClose)
  }

  /** Destroys them all, also those that have asked half a question: nobody else would end them. */
  destroy (): void {
    for (const socket of this.#shaking) socket.destroy()
    for (const socket of this.#silent) socket.destroy()
  }
}
