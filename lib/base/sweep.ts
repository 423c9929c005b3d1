/**
 * Visits every connection once a period, a group at each beat, so that many connections cause no stall.
 *
 * A connection stays in its group, so the time between two visits is exactly the period. A stall of any length counts as one
 * beat, and input is read before each visit. An empty sweep has no timer.
 *
 * A connection takes 8 bytes in a sweep; as an entry of Deadlines it would take 56 and more.
 */
import { RUN, SLICE } from './clock.ts'
import type { Clock, Timer } from './clock.ts'
import { TICK } from './deadlines.ts'
import { IdList } from './id-list.ts'

/** Usual time between two beats, milliseconds: to wake the process costs more than many visits. */
const BEAT = 250

/** Fewest groups, unless a period has fewer ticks: a stall counts as one beat. */
const MIN_GROUPS = 5

const MAX_GROUPS = 250

/** Visits the entries of a sweep. */
export interface SweepVisitor<T> {
  /** A group is due. */
  beat? (): void
  /** Visits an entry. Returns true if the visit did I/O. */
  visit (entry: T): boolean
  /** All groups that were due have been visited. */
  finished? (): void
}

export class Sweep<T extends { readonly id: number }> {
  readonly #clock: Clock
  readonly #visitor: SweepVisitor<T>
  /** Milliseconds from one group to the next. */
  readonly #gap: number
  readonly #groups: Array<IdList<T> | undefined>
  #timer: Timer | null = null
  #size = 0
  /** Groups due so far, groups visited, and the id of the last entry visited in the current group. */
  #due = 0
  #done = 0
  #cursor = 0
  #visiting = false

  /** `period` is milliseconds, at least a tick. */
  constructor (clock: Clock, period: number, visitor: SweepVisitor<T>) {
    this.#clock = clock
    this.#visitor = visitor
    const length = Math.max(TICK, period)
    const groups = Math.min(MAX_GROUPS, Math.floor(length / TICK), Math.max(MIN_GROUPS, Math.ceil(length / BEAT)))
    this.#gap = length / groups
    this.#groups = new Array(groups).fill(undefined)
  }

  get size (): number { return this.#size }

  add (entry: T): void {
    ;(this.#groups[this.#groupOf(entry.id)] ??= new IdList()).add(entry)
    if (this.#size++ > 0) return
    this.#arm(0)
  }

  /** Removes an entry. Returns false if there was none. */
  remove ({ id }: T): boolean {
    if (this.#groups[this.#groupOf(id)]?.remove(id) !== true) return false
    if (--this.#size === 0) {
      this.#clock.clearTimeout(this.#timer!)
      this.#timer = null
    }
    return true
  }

  /** Neighbours are in one group: see RUN. */
  #groupOf (id: number): number { return Math.floor(id / RUN) % this.#groups.length }

  /** Sets the timer for the next beat, at least `least` gaps away. Sweeps with the same gap beat together and wake the process once. */
  #arm (least: number): void {
    const clock = this.#clock
    const next = (Math.floor(clock.now() / this.#gap + least) + 1) * this.#gap
    const timer: Timer = this.#timer = clock.setTimeout(() => {
      // Timers run before the poll for input: after a stall, the pong of a healthy peer may still be unread.
      clock.setImmediate(() => { if (this.#timer === timer) this.#onBeat() })
    }, next - clock.now())
    timer.unref()
  }

  #onBeat (): void {
    // A late beat does not delay the next; but after a stall, two visits must not follow each other too closely.
    this.#arm(0.5)
    this.#visitor.beat?.()
    // A group that would be due twice is visited once.
    if (this.#due - this.#done < this.#groups.length) this.#due++
    if (!this.#visiting) this.#visitDue()
  }

  /** Visits the groups that are due, a slice at a time. */
  #visitDue (): void {
    // Half a slice: pongs that arrive in the same turn take the other half.
    const until = this.#clock.now() + SLICE / 2
    const visit = (entry: T) => {
      this.#cursor = entry.id
      return !this.#visitor.visit(entry) || this.#clock.now() < until
    }
    this.#visiting = true
    while (this.#done < this.#due) {
      const group = this.#groups[this.#done % this.#groups.length]
      if (group?.visit(this.#cursor, visit) === false) return this.#clock.setImmediate(() => { this.#visitDue() })
      this.#cursor = 0
      this.#done++
    }
    this.#visiting = false
    this.#visitor.finished?.()
  }
}
