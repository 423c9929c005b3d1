/**
 * Who holds a place, by a key: an owner, or an address. An evicted connection gives its place up at once and its raw
 * socket later; both are counted.
 */
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MultiMap } from '../track/multi-map.ts'
import type { Count } from './admission-decision.ts'

export class Slots {
  /** Raw sockets by key; those of evicted ones, of which there are few. */
  readonly #physical = new Map<string, number>()
  readonly #evicted = new Map<string, number>()
  /** Those who keep their place. */
  readonly #members: MultiMap<ManagedConnection> | null

  /** `evicts` says whether `members` will be asked. */
  constructor (evicts: boolean) {
    this.#members = evicts ? new MultiMap() : null
  }

  /** Keys that somebody holds a place under. */
  get size (): number { return this.#physical.size }

  /** As it would be with one more. */
  withOneMore (key: string): Count {
    const physical = (this.#physical.get(key) ?? 0) + 1
    return { counted: physical - (this.#evicted.get(key) ?? 0), physical }
  }

  members (key: string): Iterable<ManagedConnection> { return this.#members?.get(key) ?? [] }

  add (key: string, connection: ManagedConnection): void {
    count(this.#physical, key, 1)
    this.#members?.add(key, connection)
  }

  /** It has lost its place; its raw socket is still there. */
  evict (key: string, connection: ManagedConnection): void {
    count(this.#evicted, key, 1)
    this.#members?.delete(key, connection)
  }

  /** Its raw socket is gone, or it belongs elsewhere; `evicted` says whether it has lost its place before. */
  remove (key: string, connection: ManagedConnection, evicted: boolean): void {
    count(this.#physical, key, -1)
    if (evicted) count(this.#evicted, key, -1)
    else this.#members?.delete(key, connection)
  }
}

/** One more or less under a key; what is 0 is not there. */
function count (counts: Map<string, number>, key: string, step: 1 | -1): void {
  const sum = (counts.get(key) ?? 0) + step
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
}
