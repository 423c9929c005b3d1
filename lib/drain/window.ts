/**
 * How many closing handshakes may be in flight.
 *
 * At most 64, where a place is free again on the answer or after 10 ms, whichever comes first, so that silent peers cannot
 * slow the others down. So many answers may come in one turn of the event loop: there are fewer places at first, when
 * nothing is compiled yet, and whenever the answers of a turn have taken long. That is their CPU time, from the first answer
 * on: neither what the application does elsewhere in the turn nor a process without CPU makes the next turns smaller and more.
 */
import type { Clock } from '../base/clock.ts'

/** Places: at most, at first, and after answers that took long. */
export const WINDOW = 64
export const FIRST_WINDOW = 32
export const LEAST_WINDOW = 8
/** How long an unanswered one holds its place, milliseconds, as a rule. */
export const HOLD = 10
/** Answers of one turn that took long, milliseconds. */
const LONG_TURN = 8

export class Window<T> {
  readonly #clock: Clock
  /** Who is in flight, with the moment of sending; in order of sending. */
  readonly #inFlight = new Map<T, number>()
  #places = FIRST_WINDOW
  /** Places that have become free since the last frames went out. */
  #freed = 0
  /** When the first answer since then came, -1 without one, and the CPU time at that moment. */
  #answeredAt = -1
  #cpuThen = 0
  #hold = HOLD

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Frames are about to go out: makes the window fit what the answers since the last have cost. */
  open (now: number): void {
    const lasted = this.#answeredAt === -1 ? 0 : now - this.#answeredAt
    // Other threads of the process use CPU time as well.
    const worked = lasted > LONG_TURN / 2 ? Math.min(lasted, this.#clock.cpu() - this.#cpuThen) : lasted
    if (worked > LONG_TURN) this.#places = Math.max(LEAST_WINDOW, this.#places / 2)
    else if (worked <= LONG_TURN / 2) this.#places = Math.min(WINDOW, this.#places + this.#freed)
    // No answer is read while others are worked on.
    this.#hold = Math.max(HOLD, 2 * lasted)
    this.#freed = 0
    this.#answeredAt = -1
  }

  /** When there is a place for the next; null: now. */
  freeAt (now: number): number | null {
    for (const [one, sentAt] of this.#inFlight) {
      if (this.#inFlight.size < this.#places) break
      if (sentAt + this.#hold > now) return sentAt + this.#hold
      this.#free(one)
    }
    return null
  }

  /** It is in flight. */
  add (one: T, now: number): void { this.#inFlight.set(one, now) }

  /** The peer has answered: its place is free. */
  answered (one: T): void {
    if (this.#free(one) && this.#answeredAt === -1) {
      this.#answeredAt = this.#clock.now()
      this.#cpuThen = this.#clock.cpu()
    }
  }

  /** Lets go of everyone. */
  clear (): void { this.#inFlight.clear() }

  #free (one: T): boolean {
    if (!this.#inFlight.delete(one)) return false
    this.#freed++
    return true
  }
}
