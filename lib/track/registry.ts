/**
 * The index behind the tracker: every connection that is not closed, by id, owner and tag, in order of arrival.
 */
import type { CloseCause } from '../base/close-codes.ts'
import type { CloseRecord } from '../connection/connection.ts'
import { matcher } from './filter.ts'
import type { Filter } from './filter.ts'
import { IdList } from '../base/id-list.ts'
import type { ConnectionHooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MultiMap } from './multi-map.ts'

/** What has happened since the start. */
export interface Counters {
  /** Connections accepted. */
  opened: number
  /** Connections closed, by cause. */
  closed: Partial<Record<CloseCause, number>>
  /** Handshakes turned away. */
  refused: number
  /** Throws and rejections of code that belongs to a connection. */
  faults: number
  /** Cleanups of `defer()`. */
  cleanups: {
    /** Ran to their end. */
    finished: number
    /** Threw or rejected. */
    failed: number
    /** Given up after `cleanupTimeout`, or when a drain ended. */
    abandoned: number
  }
}

export class Registry implements Partial<ConnectionHooks<ManagedConnection>> {
  readonly counters: Counters = { opened: 0, closed: {}, refused: 0, faults: 0, cleanups: { finished: 0, failed: 0, abandoned: 0 } }
  /** Connections that are not closed yet though their raw socket is gone: their cleanups run. */
  cleaning = 0
  /** Connections, closed ones too, with work in flight. */
  working = 0
  /** Closed connections whose late cleanups still run. */
  readonly late = new Set<ManagedConnection>()
  readonly #byOwner = new MultiMap<ManagedConnection>()
  readonly #byTag = new MultiMap<ManagedConnection>()
  readonly #history: CloseRecord[] = []
  readonly #historySize: number
  readonly #all = new IdList<ManagedConnection>()
  #historyNext = 0

  /** `historySize` is how many close records are kept. */
  constructor (historySize: number) {
    this.#historySize = historySize
  }

  get size (): number {
    return this.#all.size
  }

  /** Records of the recently closed, oldest first. */
  get history (): CloseRecord[] {
    return [...this.#history.slice(this.#historyNext), ...this.#history.slice(0, this.#historyNext)]
  }

  // ——— what connections tell

  accepted (connection: ManagedConnection): void {
    this.#all.add(connection)
    this.counters.opened++
  }

  ownerSet (connection: ManagedConnection, owner: string | undefined, previous: string | undefined): boolean {
    if (previous !== undefined) this.#byOwner.delete(previous, connection)
    if (owner !== undefined) this.#byOwner.add(owner, connection)
    return true
  }

  tagged (connection: ManagedConnection, tag: string): void { this.#byTag.add(tag, connection) }
  untagged (connection: ManagedConnection, tag: string): void { this.#byTag.delete(tag, connection) }
  workStarted (): void { this.working++ }
  workEnded (): void { this.working-- }
  failed (): void { this.counters.faults++ }
  gone (): void { this.cleaning++ }
  cleanupFinished (): void { this.counters.cleanups.finished++ }
  cleanupFailed (): void { this.counters.cleanups.failed++ }
  cleanupAbandoned (): void { this.counters.cleanups.abandoned++ }
  lateCleanup (connection: ManagedConnection): void { this.late.add(connection) }
  lateCleanupsSettled (connection: ManagedConnection): void { this.late.delete(connection) }

  /** Takes a closed connection out of every index. */
  closed (connection: ManagedConnection, record: CloseRecord): void {
    this.#all.remove(connection.id)
    this.cleaning--
    if (connection.owner !== undefined) this.#byOwner.delete(connection.owner, connection)
    for (const tag of connection.tags) this.#byTag.delete(tag, connection)
    this.counters.closed[record.cause] = (this.counters.closed[record.cause] ?? 0) + 1
    if (this.#historySize > 0) {
      this.#history[this.#historyNext] = record
      this.#historyNext = (this.#historyNext + 1) % this.#historySize
    }
  }

  // ——— what is asked of it

  get (id: number): ManagedConnection | undefined {
    return this.#all.get(id)
  }

  /** All connections, oldest first: a snapshot, safe to close from. */
  snapshot (): ManagedConnection[] {
    return this.#all.snapshot()
  }

  /** Visits all connections, oldest first, while `visit` returns true. */
  visit (visit: (connection: ManagedConnection) => boolean): void { this.#all.visit(0, visit) }

  /** The connections that a filter selects: a snapshot, oldest first, or in the order of indexing for owners and tags. */
  select (filter: Filter): ManagedConnection[] {
    if (filter === 'all') return this.snapshot()
    const matches = matcher(filter)
    return this.#candidates(filter).filter(matches)
  }

  /** Entries of the indexes, for tests that nothing is left. */
  get indexSize (): number {
    return this.size + this.#byOwner.size + this.#byTag.size + this.late.size
  }

  #candidates ({ owner, tag }: Exclude<Filter, 'all'>): ManagedConnection[] {
    if (owner !== undefined) return [...this.#byOwner.get(owner)]
    if (tag !== undefined) return [...this.#byTag.get(tag)]
    return this.snapshot()
  }
}
