/**
 * Books the turns of a drain in the calendar of its fleet, and books those that are left again while it goes on.
 *
 * Nodes that leave at the same time count as one, whatever their order: the first turns come some time after the first booking, and
 * each node books again more often than that. When a booking fails, the turns of the one before are taken; if there is none, turns
 * at this node's part of what the others take. The drain waits for the first one only, and never longer than its deadline.
 */
import type { Clock, Timer } from '../base/clock.ts'
import type { Booked } from './booked-turns.ts'
import type { Schedule } from './schedule.ts'

/** Time between two bookings, milliseconds: half of the time until the next turn, within these. */
const LEAST_INTERVAL = 100
const LONGEST_INTERVAL = 500

const SECOND = 1_000

/** Time from the first booking to the first turn, milliseconds. Until then all nodes that leave have booked without this one. */
export const LEAD = 300

/** The fleet that a draining node leaves. */
export interface DrainFleet {
  /** Clients a second that the other nodes take, by their last beats. 0: there is no other node. */
  readonly rate: number
  /** Nodes that leave, by their last beats, this one included. */
  readonly leavers: number
  /** Books turns, the first of them in `from` milliseconds. Never rejects, and has a deadline; null: there are none. */
  book (clients: number, from: number): PromiseLike<Booked | null>
}

/** What bookings need of the drain. */
export interface BookingsHost {
  readonly clock: Pick<Clock, 'now' | 'setTimeout' | 'clearTimeout'>
  readonly fleet: DrainFleet | null
  readonly random: () => number
}

export class Bookings {
  readonly #clock: Pick<Clock, 'now' | 'setTimeout' | 'clearTimeout'>
  readonly #fleet: DrainFleet | null
  readonly #schedule: Schedule
  readonly #random: () => number
  readonly #left: () => number
  readonly #changed: () => void
  #firstAt = 0
  #timer: Timer | null = null
  /** Calls back when the first booking is answered; null: it is, or there is none. */
  #waits: (() => void) | null = null
  #answered = true
  #ended = false

  /** `left` returns how many clients have had no turn yet; `changed` is called when turns are others than before. */
  constructor ({ clock, fleet, random }: BookingsHost, schedule: Schedule, left: () => number, changed: () => void) {
    this.#clock = clock
    this.#fleet = fleet
    this.#schedule = schedule
    this.#random = random
    this.#left = left
    this.#changed = changed
  }

  /** The node leaves. The first turns come after `settles` milliseconds, or a little later. */
  begin (settles: number): void {
    // While it settles clients may still come.
    if (this.#fleet === null || this.#fleet.rate === 0 || (this.#left() === 0 && settles === 0)) return
    this.#firstAt = this.#clock.now() + Math.max(LEAD, settles)
    this.#answered = false
    this.#book(this.#fleet)
  }

  /** Calls `done` when the first booking is answered; at once if it is, or there is none. */
  whenAnswered (done: () => void): void {
    if (this.#answered) done()
    else this.#waits = done
  }

  /** Ends: turns that are booked stay. */
  end (): void {
    this.#ended = true
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer)
  }

  #has (booked: Booked): void {
    this.#schedule.book(booked, this.#random(), this.#clock.now())
    this.#changed()
  }

  get #interval (): number {
    const now = this.#clock.now()
    // Clients that are told of turns to come cannot be told again.
    const ahead = this.#schedule.told(now) > 0 ? 0 : this.#schedule.wait(now)
    return Math.min(LONGEST_INTERVAL, Math.max(LEAST_INTERVAL, ahead / 2))
  }

  #book (fleet: DrainFleet): void {
    const now = this.#clock.now()
    const from = Math.max(0, this.#firstAt - now, this.#schedule.told(now))
    void fleet.book(this.#left(), from).then((booked) => {
      if (this.#ended) return
      if (booked !== null) this.#has(booked)
      else if (!this.#answered && fleet.rate > 0) this.#has({ begins: this.#firstAt, first: SECOND, length: SECOND, turns: [fleet.rate / fleet.leavers] })
      this.#answered = true
      this.#waits?.()
      this.#waits = null
      // Also after a failure, and when there was no room: the next one may have some.
      this.#timer = this.#clock.setTimeout(() => { this.#book(fleet) }, this.#interval)
    })
  }
}
