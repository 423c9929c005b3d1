/**
 * Reports the results of a connection's cleanups to the parts of the plugin, the log and the application's listeners.
 */
import { nameOf } from '../base/guard.ts'
import type { Cleanup, CleanupObserver } from './cleanups.ts'
import type { Connection } from './connection.ts'
import type { ConnectionHost } from './host.ts'
import { note } from './note.ts'

/** What the reports need of the connection. */
export interface CleaningConnection<C> extends Connection {
  readonly host: ConnectionHost<C>
  callAtEnd<T> (call: () => T): T
  /** No cleanup waits or runs; called again after a late cleanup. */
  cleanupsSettled (): void
}

export class CleanupHooks<C extends CleaningConnection<C>> implements CleanupObserver {
  readonly #connection: C

  constructor (connection: C) {
    this.#connection = connection
  }

  callAtEnd<T> (call: () => T): T { return this.#connection.callAtEnd(call) }

  cleanupFinished (): void {
    for (const part of this.#connection.host.hooks.cleanupFinished) part.cleanupFinished(this.#connection)
  }

  cleanupFailed (err: unknown): void {
    const connection = this.#connection
    for (const part of connection.host.hooks.cleanupFailed) part.cleanupFailed(connection)
    note(connection, 'error', { err }, 'cleanup failed')
    connection.host.events.emit('error', err, connection)
  }

  cleanupTook (cleanup: Cleanup, duration: number): void {
    for (const part of this.#connection.host.hooks.cleanupTook) part.cleanupTook(this.#connection, cleanup, duration)
  }

  cleanupAbandoned (cleanup: Cleanup): void {
    const connection = this.#connection
    note(connection, 'error', { cleanup: nameOf(cleanup) }, 'cleanup given up: it did not settle in time')
    for (const part of connection.host.hooks.cleanupAbandoned) part.cleanupAbandoned(connection, cleanup)
  }

  cleanupsSettled (): void { this.#connection.cleanupsSettled() }
}
