/**
 * Suppresses messages in a drain that code of a closed connection sends to other connections.
 *
 * A close listener that announces the departure to the rest of a room also sends it to the connections that the drain closes next:
 * N × N / 2 messages for a room of N. The code, and all that it starts, runs in an async context; a send is suppressed in it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Connection } from '../connection/connection.ts'
import type { Suppression } from '../connection/suppression.ts'

export class DrainSuppression implements Suppression {
  readonly #closed = new AsyncLocalStorage<Connection>()
  #count = 0
  /** From Node.js 24 on `disable` leaves contexts as they are. */
  #ended = false

  call<T> (connection: Connection, call: () => T): T { return this.#ended ? call() : this.#closed.run(connection, call) }

  applies (to: Connection | null): boolean {
    const from = this.#closed.getStore()
    if (from === undefined || from === to || this.#ended) return false
    this.#count++
    return true
  }

  /** Number of suppressed messages. */
  get count (): number { return this.#count }

  /** Ends the suppression, because an enabled AsyncLocalStorage slows down the process. */
  end (): void {
    this.#ended = true
    this.#closed.disable()
  }
}
