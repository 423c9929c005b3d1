/**
 * Several values to a key, in the order in which they came. One alone is kept as it is: most owners have one connection,
 * and a set for it would take more memory than all else that is kept of it.
 */
export class MultiMap<V extends object> {
  readonly #entries = new Map<string, V | Set<V>>()

  /** How many keys have a value. */
  get size (): number { return this.#entries.size }

  /** Values of a key; not a snapshot. */
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
