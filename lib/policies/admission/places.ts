/**
 * Who holds a place, by a key: an owner, or an address. An evicted connection gives its place up at once and its raw
 * socket later; both are counted.
 */
import type { ManagedConnection } from '../../core/managed-connection.ts'
import { MultiMap } from '../../core/multi-map.ts'
import type { Count } from './decision.ts'

export class Places {
  readonly #counts = new Map<string, { counted: number, physical: number }>()
  /** Those who keep their place. */
  readonly #members: MultiMap<ManagedConnection> | null

  /** `evicts` says whether `members` will be asked. */
  constructor (evicts: boolean) {
    this.#members = evicts ? new MultiMap() : null
  }

  /** Keys that somebody holds a place under. */
  get size (): number { return this.#counts.size }

  /** As it would be with one more. */
  withOneMore (key: string): Count {
    const { counted, physical } = this.#counts.get(key) ?? { counted: 0, physical: 0 }
    return { counted: counted + 1, physical: physical + 1 }
  }

  members (key: string): Iterable<ManagedConnection> { return this.#members?.get(key) ?? [] }

  add (key: string, connection: ManagedConnection): void {
    let count = this.#counts.get(key)
    if (count === undefined) this.#counts.set(key, count = { counted: 0, physical: 0 })
    count.counted++
    count.physical++
    this.#members?.add(key, connection)
  }

  /** It has lost its place; its raw socket is still there. */
  evict (key: string, connection: ManagedConnection): void {
    this.#counts.get(key)!.counted--
    this.#members?.delete(key, connection)
  }

  /** Its raw socket is gone, or it belongs elsewhere; `evicted` says whether it has lost its place before. */
  remove (key: string, connection: ManagedConnection, evicted: boolean): void {
    const count = this.#counts.get(key)!
    if (!evicted) this.evict(key, connection)
    if (--count.physical === 0) this.#counts.delete(key)
  }
}
