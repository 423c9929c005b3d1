/**
 * How many closing handshakes may be in flight.
 *
 * At most 64, where a place is free again on the answer or after 10 ms, whichever comes first, so that silent peers cannot
 * slow the others down. So many answers may come in one turn of the event loop: there are fewer places at first, when
 * nothing is compiled yet, and whenever a turn has taken long, though as many as it takes to be in time.
 */
import type { Clock } from '../../core/clock.ts'

/** Places: at most, at first, and after turns that took long. */
export const WINDOW = 64
export const FIRST_WINDOW = 32
export const LEAST_WINDOW = 8
/** How long an unanswered one holds its place, milliseconds, as a rule. */
export const HOLD = 10
/** A turn of the event loop that is long, milliseconds at work. */
const LONG_TURN = 8

export class Window<T> {
  readonly #clock: Clock
  /** Who is in flight, with the moment of sending; in order of sending. */
  readonly #inFlight = new Map<T, number>()
  #places = FIRST_WINDOW
  /** Places that have become free since the last frames went out, and what the clock said of work then. */
  #freed = 0
  #busy = 0
  /** Milliseconds of work from then on. */
  #worked = 0

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Frames are about to go out: makes the window fit what the event loop has done since the last; what it did before the first is not their fault. */
  open (): void {
    const under = this.#freed > 0 || this.#inFlight.size > 0
    this.#worked = under ? this.#clock.busy() - this.#busy : 0
    if (this.#worked > LONG_TURN) this.#places = Math.max(LEAST_WINDOW, this.#places / 2)
    else if (this.#worked <= LONG_TURN / 2) this.#places = Math.min(WINDOW, this.#places + this.#freed)
    this.#freed = 0
  }

  /** They have gone out. */
  shut (): void { this.#busy = this.#clock.busy() }

  /** When there is a place for the next of `left`, the last of which is to leave within `rest` milliseconds; null: now. */
  freeAt (now: number, left: number, rest: number): number | null {
    const turn = Math.max(HOLD, this.#worked)
    // Places that silent peers hold are not waited for where that would make the last one late.
    if ((left / WINDOW + 1) * turn >= rest) return null
    // Where turns are long because of others: as many as there must be in a turn.
    const places = Math.max(this.#places, Math.min(WINDOW, left * turn / Math.max(1, rest - turn)))
    // No answer can be read in a turn that takes longer than a place is held.
    const hold = Math.max(HOLD, 2 * this.#worked)
    for (const [one, sentAt] of this.#inFlight) {
      if (this.#inFlight.size < places) break
      if (sentAt + hold > now) return sentAt + hold
      this.#free(one)
    }
    return null
  }

  /** It is in flight. */
  add (one: T, now: number): void { this.#inFlight.set(one, now) }

  /** The peer has answered: its place is free. */
  answered (one: T): void { this.#free(one) }

  /** Lets go of everyone. */
  clear (): void { this.#inFlight.clear() }

  #free (one: T): void { if (this.#inFlight.delete(one)) this.#freed++ }
}
