/**
 * A set of objects with increasing ids, in one sorted array: 8 bytes an entry, where a Map takes several times as much.
 *
 * Entries are found by binary search. A removed entry leaves its id as a hole; holes are removed when they are half of the array.
 */

/** Entries from which on holes are removed. */
const COMPACT_FROM = 32

export class IdList<T extends { readonly id: number }> {
  #entries: Array<T | number> = []
  #size = 0

  get size (): number { return this.#size }

  /** Adds an entry; usually its id is the highest. */
  add (entry: T): void {
    const at = this.#entries.length
    if (at === 0 || this.#idAt(at - 1) < entry.id) this.#entries.push(entry)
    // A copy: a visit may be under way.
    else this.#entries = this.#entries.toSpliced(this.#search(entry.id), 0, entry)
    this.#size++
  }

  /** Removes an entry. Returns false if there was none. */
  remove (id: number): boolean {
    const index = this.#search(id)
    const entry = this.#entries[index]
    if (entry === undefined || typeof entry === 'number' || entry.id !== id) return false
    this.#entries[index] = id
    this.#size--
    if (this.#entries.length >= COMPACT_FROM && this.#size * 2 <= this.#entries.length) this.#entries = this.snapshot()
    return true
  }

  get (id: number): T | undefined {
    const entry = this.#entries[this.#search(id)]
    return typeof entry === 'object' && entry.id === id ? entry : undefined
  }

  /** Visits the entries whose ids are above `id`, lowest first, while `visit` returns true. Returns true if all were visited. */
  visit (id: number, visit: (entry: T) => boolean): boolean {
    // A visit may remove entries, and so replace the array of the list.
    const entries = this.#entries
    for (let index = this.#search(id + 1); index < entries.length; index++) {
      const entry = entries[index]!
      if (typeof entry === 'object' && !visit(entry)) return false
    }
    return true
  }

  /** Every entry, lowest id first. */
  snapshot (): T[] {
    // A copy of the whole array is faster than a filter.
    if (this.#size === this.#entries.length) return this.#entries.slice() as T[]
    return this.#entries.filter((entry) => typeof entry !== 'number')
  }

  /** Index of the first entry or hole whose id is not below `id`. */
  #search (id: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#idAt(middle) < id) low = middle + 1
      else high = middle
    }
    return low
  }

  #idAt (index: number): number {
    const entry = this.#entries[index]!
    return typeof entry === 'number' ? entry : entry.id
  }
}
