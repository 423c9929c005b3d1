/**
 * A map of several values to a key, in the order in which they were added. A single value is held without a set: most owners have
 * one connection, and a set takes more memory than the rest of the connection's record.
 */
export class MultiMap<V extends object> {
  readonly #entries = new Map<string, V | Set<V>>()

  /** Number of keys. */
  get size (): number { return this.#entries.size }

  /** Returns the values of a key; not a snapshot. */
  get (key: string): Iterable<V> {
    const entry = this.#entries.get(key)
    return entry === undefined ? [] : entry instanceof Set ? entry : [entry]
  }

  add (key: string, value: V): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) this.#entries.set(key, value)
    else if (entry instanceof Set) entry.add(value)
    else if (entry !== value) this.#entries.set(key, new Set([entry, value]))
  }

  delete (key: string, value: V): void {
    const entry = this.#entries.get(key)
    if (entry === value) {
      this.#entries.delete(key)
    } else if (entry instanceof Set && entry.delete(value) && entry.size === 1) {
      const [last] = entry
      this.#entries.set(key, last!)
    }
  }
}
