/**
 * Turns that a drain has booked in the calendar of its fleet: from numbers in pieces of time to the moment of each turn. Pure.
 *
 * Turns are spread evenly over their piece. When turns are booked again, progress towards the next turn is kept: a node whose
 * turns are far apart has its turns however often it books.
 */

/** Lateness that the next turns make up for, milliseconds. More of it is booked again. */
const MAX_LATENESS = 100

/** Turns in pieces of time that follow each other. Numbers may be fractions. */
export interface Booked {
  /** When the first piece begins, monotonic milliseconds. */
  readonly begins: number
  /** Length of the first piece, and of the others, milliseconds. */
  readonly first: number
  readonly length: number
  /** Turns in each piece; more than 0 in all. */
  readonly turns: readonly number[]
}

/** Returns when the last piece ends. */
export function endOf ({ begins, first, length, turns }: Booked): number {
  return begins + first + (turns.length - 1) * length
}

export class BookedTurns {
  readonly #booked: Booked
  /** The next turn, and the piece in which it is. */
  #next: number
  #piece = 0

  /** `share`: the part of a turn that passes before the first one. */
  constructor (booked: Booked, share: number) {
    this.#booked = booked
    this.#next = booked.begins
    this.#advance(share)
  }

  /** The next turn. */
  get next (): number { return this.#next }

  /** The next turn was taken, at `now` at the earliest: those that follow make up for a little lateness only. */
  take (now: number): void {
    this.skip(now - MAX_LATENESS)
    this.#advance(1)
  }

  /** No turn comes before a moment. */
  skip (moment: number): void {
    while (this.#next < moment) this.#advance(1)
  }

  /** Returns the part of a turn between a moment and the next turn. */
  shareAfter (moment: number): number {
    if (moment >= this.#next) return 0
    let share = 0
    let at = this.#next
    for (let piece = this.#piece; piece >= 0 && at > moment; piece--) {
      const begins = Math.max(moment, this.#endOf(piece - 1))
      share += Math.max(0, at - begins) * this.#rate(piece)
      at = Math.min(at, begins)
    }
    return Math.min(1, share)
  }

  /** Moves to the moment at which `share` of a turn has passed, and turns go on: not into a piece without any. */
  #advance (share: number): void {
    let left = share
    for (;;) {
      const rate = this.#rate(this.#piece)
      const end = this.#endOf(this.#piece)
      const room = (end - this.#next) * rate
      // A turn at the end of a piece is in the next one that has some. Sums of fractions are inexact.
      if (rate > 0 && room > left + 1e-9) {
        this.#next += left / rate
        return
      }
      left = Math.max(0, left - room)
      this.#next = end
      this.#piece++
    }
  }

  /** When a piece ends; the one after the last never does. */
  #endOf (piece: number): number {
    const { begins, first, length, turns } = this.#booked
    return piece < 0 ? begins : piece < turns.length ? begins + first + piece * length : Infinity
  }

  /** Turns a millisecond in a piece. More turns than were booked come at the mean rate. */
  #rate (piece: number): number {
    const { begins, first, length, turns } = this.#booked
    if (piece < turns.length) return turns[piece]! / (piece === 0 ? first : length)
    return turns.reduce((sum, turns) => sum + turns) / (endOf(this.#booked) - begins)
  }
}
