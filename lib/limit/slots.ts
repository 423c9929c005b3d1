/**
 * Numbers of connections by key: an owner, or an address. An evicted connection stops counting at once, its raw socket is gone
 * later; both are counted.
 */
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MultiMap } from '../track/multi-map.ts'
import type { Count } from './admission-decision.ts'

export class Slots {
  /** Number of raw sockets by key. */
  readonly #physical = new Map<string, number>()
  /** Number of those whose connection was evicted. */
  readonly #evicted = new Map<string, number>()
  /** Connections that were not evicted; null if `members` is never called. */
  readonly #members: MultiMap<ManagedConnection> | null

  /** `evicts`: `members` will be called. */
  constructor (evicts: boolean) {
    this.#members = evicts ? new MultiMap() : null
  }

  /** Number of keys with connections. */
  get size (): number { return this.#physical.size }

  /** Keys with connections. */
  keys (): Iterable<string> { return this.#physical.keys() }

  /** Number of connections under a key, without those that were evicted. */
  counted (key: string): number { return (this.#physical.get(key) ?? 0) - (this.#evicted.get(key) ?? 0) }

  /** The count under a key with one more connection. */
  withOneMore (key: string): Count {
    return { counted: this.counted(key) + 1, physical: (this.#physical.get(key) ?? 0) + 1 }
  }

  members (key: string): Iterable<ManagedConnection> { return this.#members?.get(key) ?? [] }

  add (key: string, connection: ManagedConnection): void {
    count(this.#physical, key, 1)
    this.#members?.add(key, connection)
  }

  /** The connection was evicted; its raw socket is still there. */
  evict (key: string, connection: ManagedConnection): void {
    count(this.#evicted, key, 1)
    this.#members?.delete(key, connection)
  }

  /** The raw socket is gone, or the key has changed. `evicted`: the connection was evicted before. */
  remove (key: string, connection: ManagedConnection, evicted: boolean): void {
    count(this.#physical, key, -1)
    if (evicted) count(this.#evicted, key, -1)
    else this.#members?.delete(key, connection)
  }
}

/** Adds `step` under a key and removes a key whose count is 0. */
function count (counts: Map<string, number>, key: string, step: 1 | -1): void {
  const sum = (counts.get(key) ?? 0) + step
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
}
