/**
 * Things with growing ids, in one dense array that stays sorted: 8 bytes an entry, no map.
 *
 * Ids come about evenly, so the place of one is guessed first; then it is a binary search. A removed one leaves its id as
 * a hole, so that the search stays exact; holes are closed when they are half of the array.
 */

/** Guesses before the search is binary. */
const GUESSES = 3

/** Below this many entries holes are not worth closing. */
const COMPACT_FROM = 32

export class IdList<T extends { readonly id: number }> {
  #entries: Array<T | number> = []
  #size = 0

  get size (): number { return this.#size }

  /** Adds an entry; as a rule its id is higher than all before. */
  add (entry: T): void {
    const at = this.#entries.length
    if (at === 0 || this.#idAt(at - 1) < entry.id) this.#entries.push(entry)
    // A copy: somebody may be in the middle of a visit.
    else this.#entries = this.#entries.toSpliced(this.#search(entry.id), 0, entry)
    this.#size++
  }

  /** Removes an entry; says whether it was there. */
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

  /** Visits the entries whose ids are above `id`, lowest first, while `visit` says true; says whether it got through. */
  visit (id: number, visit: (entry: T) => boolean): boolean {
    // A visit that removes entries may have the holes closed: this array stays as it was.
    const entries = this.#entries
    for (let index = this.#search(id + 1); index < entries.length; index++) {
      const entry = entries[index]!
      if (typeof entry === 'object' && !visit(entry)) return false
    }
    return true
  }

  /** Every entry, lowest id first. */
  snapshot (): T[] {
    // Without holes nobody has to be looked at.
    if (this.#size === this.#entries.length) return this.#entries.slice() as T[]
    return this.#entries.filter((entry) => typeof entry !== 'number')
  }

  /** Index of the first entry or hole whose id is not below `id`. */
  #search (id: number): number {
    let low = 0
    let high = this.#entries.length
    for (let guesses = 0; low < high; guesses++) {
      const middle = guesses < GUESSES ? this.#guess(id, low, high - 1) : (low + high) >>> 1
      if (this.#idAt(middle) < id) low = middle + 1
      else if (middle > low && this.#idAt(middle - 1) >= id) high = middle
      else return middle
    }
    return low
  }

  /** Where an id would be between two entries, were all as far apart. */
  #guess (id: number, low: number, high: number): number {
    const first = this.#idAt(low)
    const last = this.#idAt(high)
    // Also for what is no number.
    if (!(id > first)) return low
    return id >= last ? high : low + Math.floor((high - low) * (id - first) / (last - first))
  }

  #idAt (index: number): number {
    const entry = this.#entries[index]!
    return typeof entry === 'number' ? entry : entry.id
  }
}
