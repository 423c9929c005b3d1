/**
 * Who holds a place, by a key: an owner, or an address. An evicted connection gives its place up at once and its raw
 * socket later; both are counted.
 */
import type { ManagedConnection } from '../../core/managed-connection.ts'
import type { Count } from './decision.ts'

interface Entry {
  readonly members: Set<ManagedConnection>
  /** Members, and those evicted whose raw socket is still there. */
  physical: number
}

export class Places {
  readonly #entries = new Map<string, Entry>()

  /** Keys that somebody holds a place under. */
  get size (): number { return this.#entries.size }

  /** As it would be with one more. */
  withOneMore (key: string): Count {
    const entry = this.#entries.get(key)
    return { counted: (entry?.members.size ?? 0) + 1, physical: (entry?.physical ?? 0) + 1 }
  }

  members (key: string): Iterable<ManagedConnection> { return this.#entries.get(key)?.members ?? [] }

  add (key: string, connection: ManagedConnection): void {
    let entry = this.#entries.get(key)
    if (entry === undefined) this.#entries.set(key, entry = { members: new Set(), physical: 0 })
    entry.members.add(connection)
    entry.physical++
  }

  /** It has lost its place; its raw socket is still there. */
  evict (key: string, connection: ManagedConnection): void { this.#entries.get(key)?.members.delete(connection) }

  /** Its raw socket is gone, or it belongs elsewhere. */
  remove (key: string, connection: ManagedConnection): void {
    const entry = this.#entries.get(key)!
    entry.members.delete(connection)
    if (--entry.physical === 0) this.#entries.delete(key)
  }
}
