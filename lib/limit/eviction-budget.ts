/**
 * How many evictions are allowed under one key: two clients of one owner must not evict each other for ever.
 */
import type { Clock } from '../base/clock.ts'

/** Length of a window, milliseconds. */
const WINDOW = 60_000

/** Number of evictions under one key that are always allowed in a window. */
const LEAST = 10

/** Bounds the evictions under each key. */
export class EvictionBudget {
  readonly #clock: Clock
  readonly #spent = new Map<string, number>()
  #since: number

  constructor (clock: Clock) {
    this.#clock = clock
    this.#since = clock.now()
  }

  /** Returns whether one more eviction is allowed under this key, whose limit is `max`. */
  has (key: string, max: number): boolean {
    // One window for all keys: they need no clean-up of their own.
    if (this.#clock.now() - this.#since >= WINDOW) {
      this.#spent.clear()
      this.#since = this.#clock.now()
    }
    return (this.#spent.get(key) ?? 0) < Math.max(LEAST, max)
  }

  spend (key: string): void { this.#spent.set(key, (this.#spent.get(key) ?? 0) + 1) }
}
