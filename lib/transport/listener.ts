/**
 * The HTTP server's own close: its callback waits for the drain, so that no other plugin's onClose starts before the
 * last cleanup.
 */
import type { Server } from 'node:http'
import { HttpSockets } from './http-sockets.ts'

type CloseCallback = (error?: Error) => void

export class Listener {
  readonly sockets = new HttpSockets()
  readonly #server: Server
  readonly #close: Server['close']
  #closed: Promise<Error | undefined> | null = null

  /** `drained` starts the drain, or joins it. */
  constructor (server: Server, drained: () => Promise<unknown>) {
    this.#server = server
    this.#close = server.close
    this.sockets.watch(server)
    server.close = (callback?: CloseCallback) => {
      void Promise.all([this.close(), drained()]).then(([error]) => callback?.(error))
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
}
