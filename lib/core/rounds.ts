/**
 * Looks at every connection once a period, a few at each tick, so that a crowd costs no stall.
 *
 * Connections are spread over the ticks of a period by their ids; whoever is looked at keeps its place in it, so the time
 * between two looks is the period exactly. Time is that during which the event loop ran, and input is read before each
 * look. Nothing ticks while nobody is there.
 */
import { SLICE } from './clock.ts'
import type { Clock } from './clock.ts'
import { Deadline, TICK } from './deadlines.ts'
import type { Deadlines } from './deadlines.ts'
import { IdList } from './id-list.ts'

/** Most groups that entries are spread over. */
const MAX_GROUPS = 250

/** What rounds lean on. */
export interface RoundsHost {
  readonly clock: Clock
  readonly running: Deadlines
}

/** Who does the looking. */
export interface Rounder<T> {
  /** A group is due. */
  beat? (): void
  /** Looks at one; says whether that took its time. */
  visit (entry: T): boolean
  /** All that was due was looked at. */
  rest? (): void
}

export class Rounds<T extends { readonly id: number }> {
  readonly #host: RoundsHost
  readonly #rounder: Rounder<T>
  /** Ticks from one group to the next. */
  readonly #stride: number
  readonly #groups: Array<IdList<T> | undefined>
  readonly #beat = new Deadline(() => { this.#onBeat() })
  #size = 0
  /** Groups due so far, groups looked at, and the last entry visited of the one under way. */
  #due = 0
  #done = 0
  #cursor = 0
  #looking = false

  /** `period` is milliseconds; rounded down to ticks, at least one. */
  constructor (host: RoundsHost, period: number, rounder: Rounder<T>) {
    this.#host = host
    this.#rounder = rounder
    const ticks = Math.max(1, Math.floor(period / TICK))
    this.#stride = Math.ceil(ticks / MAX_GROUPS)
    this.#groups = new Array(Math.floor(ticks / this.#stride)).fill(undefined)
  }

  get size (): number { return this.#size }

  add (entry: T): void {
    ;(this.#groups[entry.id % this.#groups.length] ??= new IdList()).add(entry)
    if (this.#size++ === 0) this.#arm()
  }

  /** Says whether it was there. */
  remove (entry: T): boolean {
    if (this.#groups[entry.id % this.#groups.length]?.remove(entry.id) !== true) return false
    if (--this.#size === 0) this.#host.running.cancel(this.#beat)
    return true
  }

  #arm (): void {
    // Just short of the tick it is meant for: a deadline is never early, and would skip one.
    this.#host.running.set(this.#beat, (this.#stride - 1) * TICK + 1)
  }

  #onBeat (): void {
    this.#arm()
    this.#rounder.beat?.()
    // So far behind that a group would be due twice: it is looked at once.
    if (this.#due - this.#done < this.#groups.length) this.#due++
    if (!this.#looking) this.#look()
  }

  /** Looks at the groups that are due, a slice at a time. */
  #look (): void {
    const { clock } = this.#host
    const until = clock.now() + SLICE
    const visit = (entry: T) => {
      this.#cursor = entry.id
      return !this.#rounder.visit(entry) || clock.now() < until
    }
    this.#looking = true
    while (this.#done < this.#due) {
      const group = this.#groups[this.#done % this.#groups.length]
      if (group?.visit(this.#cursor, visit) === false) return clock.setImmediate(() => { this.#look() })
      this.#cursor = 0
      this.#done++
    }
    this.#looking = false
    this.#rounder.rest?.()
  }
}
