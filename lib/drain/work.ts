/**
 * The work in flight that a drain waits for, and the counts of it in the report.
 *
 * A connection counts once, when the drain first waits for its work. Connections that were closed before the drain and whose work
 * goes on count too; nothing is known of them but their number.
 */
import type { Clock } from '../base/clock.ts'
import { nameOf } from '../base/guard.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainReport, Holder } from '../track/drain-report.ts'
import type { Registry } from '../track/registry.ts'
import { MAX_ENTRIES, entryOf, workName } from './holders.ts'
import type { Holders } from './holders.ts'

export class DrainWork {
  readonly #clock: Clock
  readonly #holders: Holders
  /** Connections whose work is waited for, with the time since when. */
  readonly #waiting = new Map<ManagedConnection, number>()
  /** Ids of the connections whose work was waited for. */
  readonly #counted = new Set<number>()
  #abandoned = 0
  /** Number of connections that were closed before the drain and whose work went on. */
  #leftover = 0
  #leftoverEnded = 0
  /** Ids of connections that have closed during the drain before their work ended: they are not leftover. */
  readonly #closedWorking = new Set<number>()

  constructor (clock: Clock, holders: Holders) {
    this.#clock = clock
    this.#holders = holders
  }

  /** Number of connections whose work is waited for. */
  get size (): number { return this.#waiting.size }

  /** Returns what the drain waits for now: work, the longest first, then cleanups; MAX_ENTRIES at most. */
  holding (registry: Registry): Holder[] {
    const now = this.#clock.now()
    const entries: Holder[] = []
    // In the order in which they began.
    for (const [connection, since] of this.#waiting) {
      if (entries.length === MAX_ENTRIES) return entries
      entries.push(entryOf(connection, 'work', workName(connection), now - since))
    }
    for (const connection of registry.cleaning) {
      if (entries.length >= MAX_ENTRIES) break
      for (const [cleanup, duration] of connection.parts.cleanups?.underWay() ?? []) entries.push(entryOf(connection, 'cleanup', nameOf(cleanup), duration))
    }
    return entries.slice(0, MAX_ENTRIES)
  }

  /** The counts of the report. */
  get counts (): DrainReport['work'] {
    return {
      inFlight: this.#counted.size + this.#leftover,
      finished: this.#counted.size + this.#leftoverEnded - this.#abandoned,
      abandoned: this.#abandoned + this.#leftover - this.#leftoverEnded
    }
  }

  /** The drain begins. */
  begin (registry: Registry): void {
    if (registry.working > 0) this.#leftover = registry.working - registry.snapshot().filter(({ working }) => working).length
  }

  /** Waits for the work of a connection. Returns false if it has none. */
  waitFor (connection: ManagedConnection): boolean {
    if (!connection.working) return false
    if (!this.#waiting.has(connection)) {
      this.#waiting.set(connection, this.#clock.now())
      this.#counted.add(connection.id)
    }
    return true
  }

  /** Waits for the work of all connections that are not closing. */
  waitForAll (registry: Registry): void {
    if (registry.working > 0) for (const connection of registry.snapshot()) if (!isClosing(connection.state)) this.waitFor(connection)
  }

  /** The work of a connection has ended. */
  ended (connection: ManagedConnection): void {
    const { id, state } = connection
    if (state === 'closed' && this.#leftoverEnded < this.#leftover && !this.#closedWorking.has(id)) this.#leftoverEnded++
    this.#remove(connection)
  }

  /** The client has left, or grace is over: the work of a connection is waited for no longer. */
  abandon (connection: ManagedConnection): void {
    if (this.#remove(connection)) this.#abandoned++
  }

  /** Abandons all work. */
  abandonAll (): void { for (const connection of this.#waiting.keys()) this.abandon(connection) }

  closed (connection: ManagedConnection): void {
    this.abandon(connection)
    if (connection.working) this.#closedWorking.add(connection.id)
  }

  #remove (connection: ManagedConnection): boolean {
    const since = this.#waiting.get(connection)
    if (since === undefined) return false
    this.#waiting.delete(connection)
    this.#holders.addWork(connection, this.#clock.now() - since)
    return true
  }
}
