/**
 * Limits the closing handshakes in flight.
 *
 * There are at most 64 places. A place is free again when the peer answers or after 10 ms, whichever comes first, so that silent
 * peers do not delay the others. The answers to all places may arrive in one turn of the event loop: there are fewer places at
 * first, when no code is compiled yet, and after answers that took long. Their CPU time counts, from the first answer on: the
 * application's work elsewhere in the turn and a lack of CPU do not shrink the window.
 */
import type { Clock } from '../base/clock.ts'

/** Number of places: the maximum, at first, and the minimum after answers that took long. */
export const WINDOW = 64
export const FIRST_WINDOW = 32
export const LEAST_WINDOW = 8
/** Time for which an unanswered frame keeps its place, milliseconds; longer after answers that took longer. */
export const HOLD = 10
/** CPU time of the answers of one turn above which the window shrinks, milliseconds. */
const LONG_TURN = 8

export class Window<T> {
  readonly #clock: Clock
  /** Handshakes in flight and when their frames were sent, in that order. */
  readonly #inFlight = new Map<T, number>()
  #places = FIRST_WINDOW
  /** Number of places that have become free since the last frames went out. */
  #freed = 0
  /** Time of the first answer since then, -1 without one, and the CPU time at that moment. */
  #answeredAt = -1
  #cpuAtAnswer = 0
  #hold = HOLD

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Frames are about to go out: fits the window to the cost of the answers since the last ones. */
  open (now: number): void {
    const lasted = this.#answeredAt === -1 ? 0 : now - this.#answeredAt
    // At most the elapsed time: other threads of the process use CPU time as well.
    const cost = lasted > LONG_TURN / 2 ? Math.min(lasted, this.#clock.cpu() - this.#cpuAtAnswer) : lasted
    if (cost > LONG_TURN) this.#places = Math.max(LEAST_WINDOW, this.#places / 2)
    else if (cost <= LONG_TURN / 2) this.#places = Math.min(WINDOW, this.#places + this.#freed)
    // While answers are processed, no other answer is read.
    this.#hold = Math.max(HOLD, 2 * lasted)
    this.#freed = 0
    this.#answeredAt = -1
  }

  /** Returns the moment at which a place is free; null: now. */
  freeAt (now: number): number | null {
    for (const [entry, sentAt] of this.#inFlight) {
      if (this.#inFlight.size < this.#places) break
      if (sentAt + this.#hold > now) return sentAt + this.#hold
      this.#free(entry)
    }
    return null
  }

  /** A close frame goes out. */
  add (entry: T, now: number): void { this.#inFlight.set(entry, now) }

  /** The peer has answered: its place is free. */
  answered (entry: T): void {
    if (this.#free(entry) && this.#answeredAt === -1) {
      this.#answeredAt = this.#clock.now()
      this.#cpuAtAnswer = this.#clock.cpu()
    }
  }

  clear (): void { this.#inFlight.clear() }

  #free (entry: T): boolean {
    if (!this.#inFlight.delete(entry)) return false
    this.#freed++
    return true
  }
}
