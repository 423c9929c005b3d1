/**
 * Where handed-over states wait for their clients: the interface of a store, and the store of this process.
 *
 * The store of the process belongs to no application: what one has put there, its successor in the same process takes. It is
 * bounded, and its one timer exists only while something waits and does not keep the process alive.
 */
import { systemClock } from '../base/clock.ts'
import type { Ticker } from '../base/clock.ts'
import { Deadlines, Entry } from '../base/deadlines.ts'

/**
 * Keeps records under random ids of 128 bits, each until it is taken or its time is over. A record is text that means nothing to the
 * store. Ids and records are secrets and must not be logged. Methods may return promises; what they throw or reject with is a record
 * that is lost.
 */
export interface HandoverStore {
  /** Puts a record under an id that is new, for `ttl` milliseconds. */
  put (id: string, record: string, ttl: number): unknown
  /** Puts a record in the place of the one that is there, for `ttl` milliseconds from now. Does nothing if that was taken. */
  replace (id: string, record: string, ttl: number): unknown
  /** Removes a record and returns it: of several calls at the same time only one gets it. */
  take (id: string): string | null | undefined | PromiseLike<string | null | undefined>
}

/** Most that waits in a process, bytes. */
const MAX_BYTES = 64 * 2 ** 20
/** Memory of an entry beside its record, bytes. */
const ENTRY_BYTES = 256

class StoredRecord extends Entry {
  readonly id: string
  readonly record: string
  readonly #store: LocalHandoverStore

  constructor (store: LocalHandoverStore, id: string, record: string) {
    super()
    this.#store = store
    this.id = id
    this.record = record
  }

  /** Memory that it takes: two bytes a character at most. */
  get bytes (): number { return ENTRY_BYTES + 2 * this.record.length }

  expire (): void { this.#store.take(this.id) }
}

export class LocalHandoverStore implements HandoverStore {
  readonly #deadlines: Deadlines
  readonly #maxBytes: number
  /** Oldest first. */
  readonly #stored = new Map<string, StoredRecord>()
  #bytes = 0

  constructor (clock: Ticker, maxBytes = MAX_BYTES) {
    this.#deadlines = new Deadlines(clock)
    this.#maxBytes = maxBytes
  }

  /** Number of records that wait. */
  get size (): number { return this.#stored.size }

  put (id: string, record: string, ttl: number): void {
    const stored = new StoredRecord(this, id, record)
    this.#stored.set(id, stored)
    this.#deadlines.set(stored, ttl)
    this.#bytes += stored.bytes
    this.#makeRoom()
  }

  replace (id: string, record: string, ttl: number): void {
    if (this.take(id) !== undefined) this.put(id, record, ttl)
  }

  take (id: string): string | undefined {
    const stored = this.#stored.get(id)
    if (stored === undefined) return undefined
    this.#stored.delete(id)
    this.#deadlines.cancel(stored)
    this.#bytes -= stored.bytes
    return stored.record
  }

  /** Drops the oldest records, whose clients have most likely been back or will not come. */
  #makeRoom (): void {
    while (this.#bytes > this.#maxBytes) this.take(this.#stored.keys().next().value!)
  }
}

let shared: LocalHandoverStore | undefined

/** Returns the store of this process. */
export function sharedStore (): LocalHandoverStore { return (shared ??= new LocalHandoverStore(systemClock)) }
