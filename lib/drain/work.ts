/**
 * The work in flight that a drain waits for, and the counts of it in the report.
 *
 * A connection counts once, when the drain first waits for its work. Connections that were closed before the drain and whose work
 * goes on count too; nothing is known of them but their number.
 */
import type { Clock } from '../base/clock.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainReport } from '../track/drain-report.ts'
import type { Registry } from '../track/registry.ts'
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

  /** Whether the work of a connection is waited for. */
  has (connection: ManagedConnection): boolean { return this.#waiting.has(connection) }

  /** Waits for the work of a connection. */
  add (connection: ManagedConnection): void {
    if (this.#waiting.has(connection)) return
    this.#waiting.set(connection, this.#clock.now())
    this.#counted.add(connection.id)
  }

  /** The work of a connection has ended. Returns false if it was not waited for. */
  ended (connection: ManagedConnection): boolean {
    const { id, state } = connection
    if (state === 'closed' && this.#leftoverEnded < this.#leftover && !this.#closedWorking.has(id)) this.#leftoverEnded++
    return this.#remove(connection)
  }

  /** The client has left, or grace is over: the work of a connection is waited for no longer. */
  abandon (connection: ManagedConnection): void {
    if (this.#remove(connection)) this.#abandoned++
  }

  /** Abandons all work. Returns its connections. */
  abandonAll (): ManagedConnection[] {
    const connections = [...this.#waiting.keys()]
    for (const connection of connections) this.abandon(connection)
    return connections
  }

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
