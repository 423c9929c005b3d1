/**
 * What is going to happen, in order of time: what peers and the application will do by themselves.
 *
 * It is no timer of the clock under test: the clock's own timers are all the tracker's, so that none may be left.
 */

interface Entry {
  at: number
  callback: () => void
}

export class Schedule {
  /** Latest first, so that the next one is taken from the end. */
  #entries: Entry[] = []

  /** Time of the next one; Infinity when there is none. */
  get next (): number { return this.#entries.at(-1)?.at ?? Infinity }

  /** Does something at a moment; what is due at one moment happens in the order in which it was asked for. */
  add (at: number, callback: () => void): void {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#entries[middle]!.at <= at) high = middle
      else low = middle + 1
    }
    this.#entries.splice(low, 0, { at, callback })
  }

  /** Does what is due; what that asks for at once is done, too. */
  run (now: number): void {
    while (this.next <= now) this.#entries.pop()!.callback()
  }

  /** The machine was asleep: moves all that is to come by `delay`, but to no moment before `earliest`. */
  postpone (delay: number, earliest: number): void {
    for (const entry of this.#entries) entry.at = Math.max(earliest, entry.at + delay)
  }

  /** Forgets all. */
  clear (): void { this.#entries = [] }
}
