/**
 * The index of the tracker: every connection that is not closed, by id, owner and tag, in order of arrival. Also the history and
 * the counters.
 */
import type { CloseCause } from '../base/close-codes.ts'
import type { CloseRecord } from '../connection/connection.ts'
import type { Refusal } from './events.ts'
import { matcher } from './filter.ts'
import type { Filter } from './filter.ts'
import { IdList } from '../base/id-list.ts'
import type { ConnectionHooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { History } from './history.ts'
import type { HistorySettings } from './history.ts'
import { MultiMap } from './multi-map.ts'

/** Counts since the start. */
export interface Counters {
  /** Connections accepted. */
  opened: number
  /** Connections closed, by cause. */
  closed: Partial<Record<CloseCause, number>>
  /** Handshakes refused, by reason. */
  refused: Partial<Record<Refusal['reason'], number>>
  /** Throws and rejections of code that belongs to a connection. */
  faults: number
  /** Cleanups of `defer()`. */
  cleanups: {
    /** Cleanups that ran to their end. */
    finished: number
    /** Cleanups that threw or rejected. */
    failed: number
    /** Cleanups that were given up after `cleanupTimeout`, or when a drain ended. */
    abandoned: number
  }
}

export class Registry implements Partial<ConnectionHooks<ManagedConnection>> {
  readonly counters: Counters = { opened: 0, closed: {}, refused: {}, faults: 0, cleanups: { finished: 0, failed: 0, abandoned: 0 } }
  /** Connections whose raw socket is gone and whose cleanups run. */
  readonly cleaning = new Set<ManagedConnection>()
  /** Connections, closed ones too, with work in flight. */
  working = 0
  /** Closed connections whose late cleanups still run. */
  readonly late = new Set<ManagedConnection>()
  readonly #byOwner = new MultiMap<ManagedConnection>()
  readonly #byTag = new MultiMap<ManagedConnection>()
  readonly #all = new IdList<ManagedConnection>()
  /** What the history keeps. */
  readonly kept: HistorySettings
  /** Records of recently closed connections. */
  readonly history: History

  constructor (kept: HistorySettings) {
    this.kept = kept
    this.history = new History(kept)
  }

  get size (): number { return this.#all.size }

  /** Number of distinct owners. */
  get owners (): number { return this.#byOwner.size }

  /** Handshakes refused, for whatever reason. */
  get refused (): number { return Object.values(this.counters.refused).reduce((sum, count) => sum + count, 0) }

  // ——— hooks of connections

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
  gone (connection: ManagedConnection): void { this.cleaning.add(connection) }
  cleanupFinished (): void { this.counters.cleanups.finished++ }
  cleanupFailed (): void { this.counters.cleanups.failed++ }
  cleanupAbandoned (): void { this.counters.cleanups.abandoned++ }
  lateCleanup (connection: ManagedConnection): void { this.late.add(connection) }
  lateCleanupsSettled (connection: ManagedConnection): void { this.late.delete(connection) }

  /** Removes a closed connection from every index. */
  closed (connection: ManagedConnection, record: CloseRecord): void {
    this.#all.remove(connection.id)
    this.cleaning.delete(connection)
    if (connection.owner !== undefined) this.#byOwner.delete(connection.owner, connection)
    for (const tag of connection.tags) this.#byTag.delete(tag, connection)
    this.counters.closed[record.cause] = (this.counters.closed[record.cause] ?? 0) + 1
    this.history.add(connection, record)
  }

  // ——— queries

  get (id: number): ManagedConnection | undefined { return this.#all.get(id) }

  /** Returns all connections, oldest first: a snapshot, because to close connections changes the index. */
  snapshot (): ManagedConnection[] { return this.#all.snapshot() }

  /** Visits all connections, oldest first, while `visit` returns true. */
  visit (visit: (connection: ManagedConnection) => boolean): void { this.#all.visit(0, visit) }

  /** Returns the connections that a filter selects: a snapshot, oldest first; for owners and tags in the order in which they were set. */
  select (filter: Filter): ManagedConnection[] {
    if (filter === 'all') return this.snapshot()
    const matches = matcher(filter)
    return this.#candidates(filter).filter(matches)
  }

  /** Returns the oldest connections that a filter selects, of those with ids above `after`: `limit` at most, oldest first. */
  page (filter: Filter, after: number, limit: number): ManagedConnection[] {
    if (filter !== 'all' && (filter.id ?? filter.owner ?? filter.tag) !== undefined) {
      return this.select(filter).filter(({ id }) => id > after).sort((a, b) => a.id - b.id).slice(0, limit)
    }
    const matches = filter === 'all' ? () => true : matcher(filter)
    const page: ManagedConnection[] = []
    this.#all.visit(after, (connection) => {
      if (matches(connection)) page.push(connection)
      return page.length < limit
    })
    return page
  }

  /** Entries of all indexes, for tests that none is left. */
  get indexSize (): number { return this.size + this.#byOwner.size + this.#byTag.size + this.late.size }

  #candidates ({ id, owner, tag }: Exclude<Filter, 'all'>): ManagedConnection[] {
    if (id !== undefined) return [this.get(id)].filter((connection) => connection !== undefined)
    if (owner !== undefined) return [...this.#byOwner.get(owner)]
    if (tag !== undefined) return [...this.#byTag.get(tag)]
    return this.snapshot()
  }
}
