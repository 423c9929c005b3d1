/**
 * Looks at every connection once a period, a few at each beat, so that a crowd costs no stall.
 *
 * Connections are spread over the beats of a period, neighbours together; whoever is looked at keeps its place in it, so the
 * time between two looks is the period exactly. A stall of any length makes one beat, and input is read before each look.
 * Nothing beats while nobody is there.
 */
import { RUN, SLICE } from './clock.ts'
import type { Clock, Timer } from './clock.ts'
import { TICK } from './deadlines.ts'
import { IdList } from './id-list.ts'

/** Milliseconds from beat to beat, as a rule: each wakes the process, which costs more than many looks. */
const BEAT = 250

/** Fewest groups that entries are spread over, where there are as many ticks: a stall counts as one beat. */
const MIN_GROUPS = 5

/** Most groups. */
const MAX_GROUPS = 250

/** Who does the looking. */
export interface SweepVisitor<T> {
  /** A group is due. */
  beat? (): void
  /** Looks at one; says whether that took its time. */
  visit (entry: T): boolean
  /** All that was due was looked at. */
  rest? (): void
}

export class Sweep<T extends { readonly id: number }> {
  readonly #clock: Clock
  readonly #visitor: SweepVisitor<T>
  /** Milliseconds from one group to the next. */
  readonly #gap: number
  readonly #groups: Array<IdList<T> | undefined>
  #timer: Timer | null = null
  #size = 0
  /** Groups due so far, groups looked at, and the last entry visited of the one under way. */
  #due = 0
  #done = 0
  #cursor = 0
  #looking = false

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

  /** Says whether it was there. */
  remove ({ id }: T): boolean {
    if (this.#groups[this.#groupOf(id)]?.remove(id) !== true) return false
    if (--this.#size === 0) {
      this.#clock.clearTimeout(this.#timer!)
      this.#timer = null
    }
    return true
  }

  /** Those that came one after another are looked at together: see RUN. */
  #groupOf (id: number): number { return Math.floor(id / RUN) % this.#groups.length }

  /** For the next of the moments at which all rounds with this gap beat, so that they wake the process once; `least` gaps away. */
  #arm (least: number): void {
    const clock = this.#clock
    const next = (Math.floor(clock.now() / this.#gap + least) + 1) * this.#gap
    const timer: Timer = this.#timer = clock.setTimeout(() => {
      // Timers run before the poll for input: after a stall, what tells that a peer is well may wait there unread.
      clock.setImmediate(() => { if (this.#timer === timer) this.#onBeat() })
    }, next - clock.now())
    timer.unref()
  }

  #onBeat (): void {
    // Those that follow keep their moments where this one was late; after a stall the time between two looks must not be too short.
    this.#arm(0.5)
    this.#visitor.beat?.()
    // So far behind that a group would be due twice: it is looked at once.
    if (this.#due - this.#done < this.#groups.length) this.#due++
    if (!this.#looking) this.#look()
  }

  /** Looks at the groups that are due, a slice at a time. */
  #look (): void {
    // Half a slice: who is asked something answers, and the other half goes to the answers that come in the same turn.
    const until = this.#clock.now() + SLICE / 2
    const visit = (entry: T) => {
      this.#cursor = entry.id
      return !this.#visitor.visit(entry) || this.#clock.now() < until
    }
    this.#looking = true
    while (this.#done < this.#due) {
      const group = this.#groups[this.#done % this.#groups.length]
      if (group?.visit(this.#cursor, visit) === false) return this.#clock.setImmediate(() => { this.#look() })
      this.#cursor = 0
      this.#done++
    }
    this.#looking = false
    this.#visitor.rest?.()
  }
}
