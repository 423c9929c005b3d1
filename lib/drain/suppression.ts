/**
 * Messages that are not sent in a shutdown: what code of a connection that the drain has closed sends to the others.
 *
 * A close listener that tells the rest of a room who has left sends one message to each of those who are about to leave, too:
 * N × N / 2 messages for a room of N. The code, and all it starts, runs in an async context by which a send knows it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Connection } from '../connection/connection.ts'
import type { Suppression } from '../connection/suppression.ts'

export class DrainSuppression implements Suppression {
  readonly #closed = new AsyncLocalStorage<Connection>()
  #count = 0

  call<T> (connection: Connection, call: () => T): T { return this.#closed.run(connection, call) }

  applies (to: Connection | null): boolean {
    const from = this.#closed.getStore()
    if (from === undefined || from === to) return false
    this.#count++
    return true
  }

  /** Ends it, for an AsyncLocalStorage in use costs the whole process; returns how many messages were not sent. */
  end (): number {
    this.#closed.disable()
    return this.#count
  }
}
