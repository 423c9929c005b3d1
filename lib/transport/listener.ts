/**
 * The HTTP server's own close: its callback waits for the drain, so that no other plugin's onClose starts before the
 * last cleanup, and TCP connections on which nothing was ever asked do not hold it.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

type CloseCallback = (error?: Error) => void

export class Listener {
  readonly #server: Server
  /** TCP connections that have not sent a request yet. */
  readonly #silent = new Set<Socket>()
  readonly #onClose: (this: Socket) => void
  readonly #close: Server['close']
  #closed: Promise<Error | undefined> | null = null

  /** `drained` starts the drain, or joins it. */
  constructor (server: Server, drained: () => Promise<unknown>) {
    this.#server = server
    this.#close = server.close
    const silent = this.#silent
    this.#onClose = function () { silent.delete(this) }
    const onConnection = (socket: Socket) => {
      silent.add(socket)
      socket.once('close', this.#onClose)
    }
    server.on('connection', onConnection)
    // On a TLS server requests come on the socket above the TCP connection, which may never get that far.
    if ('setSecureContext' in server) (server as Server).on('secureConnection', onConnection)
    server.on('request', ({ socket }) => { this.forget(socket) })
    server.close = (callback?: CloseCallback) => {
      void Promise.all([this.close(), drained()]).then(([error]) => callback?.(error))
      // Those that never asked for anything are not waited for: browsers open such connections ahead of need.
      for (const socket of silent) if (socket.bytesRead === 0) socket.destroy()
      return server
    }
  }

  /** Stops listening; the same promise for every call, settled when the last TCP connection is gone. */
  close (): Promise<Error | undefined> {
    this.#closed ??= new Promise((resolve) => {
      this.#close.call(this.#server, (error) => {
        // It was not listening yet; whoever closes it later must not be given this answer.
        if (error !== undefined) this.#closed = null
        resolve(error)
      })
    })
    return this.#closed
  }

  /** Somebody has asked something on this connection. */
  forget (socket: Socket): void {
    if (this.#silent.delete(socket)) socket.removeListener('close', this.#onClose)
  }

  /** Closes the HTTP connections on which nothing is under way. */
  closeIdle (): void {
    // Absent on the servers of a serverFactory, maybe.
    this.#server.closeIdleConnections?.()
  }
}
