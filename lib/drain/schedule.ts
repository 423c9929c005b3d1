/**
 * The schedule of close frames: when each of them is due, and how long its client waits before it reconnects. Pure; no clock, no
 * connections.
 *
 * A turn is the moment at which a client may come back; turns are 1 / rate apart. With the spread 'auto' a frame is due in its
 * client's turn. If not all turns come before the last frame must have left, the frames that are left go out as late as closing
 * them allows, and their clients wait for the rest of their turns. Without turns, or if all turns come within 100 ms, frames are
 * due at once or at even intervals.
 *
 * In a fleet turns are booked, and booked again while frames go out: booked-turns.ts says when each of them comes.
 */
import { BookedTurns, endOf } from './booked-turns.ts'
import type { Booked } from './booked-turns.ts'
import type { ReconnectOptions } from './reconnect.ts'

/** When close frames go out: in turns, evenly over so many milliseconds, or as fast as they can be sent. */
export type Spread = 'auto' | number | false

/** Turns that all come within this time are not waited for, milliseconds. */
export const LEAST_WAIT = 100

/** Within any second no more clients come back than the rate allows, but for a little: else a frame that is late would hold up all others. */
const SECOND = 1_000
const MARGIN = 1.04

/** Lateness that the next frames make up for, milliseconds: with little CPU time the turns of the event loop come late, and far apart. */
const MAX_LATENESS = 250

/** Returns whether the close frames of `count` connections wait for turns. */
export function hasTurns (spread: Spread, rate: number, count: number): boolean {
  return spread === 'auto' && count / rate * 1000 >= LEAST_WAIT
}

export class Schedule {
  readonly #reconnect: ReconnectOptions
  /** The spread is 'auto'. */
  #isAuto = false
  #inTurns = false
  /** Time from one turn to the next, and the next turn. Monotonic milliseconds, as all moments here. */
  #interval: number
  #turn = 0
  /** When the last clients are back, as many as may come back within a second: a ring, and the number of those so far. */
  #back: number[] = []
  #places = 0
  #count = 0
  /** Time from one frame to the next, and the moment of the next one, if they go out evenly. */
  #gap = 0
  #evenly = 0
  #until = Infinity
  /** Turns that were booked, in place of those at the rate: as they were given, and as they are taken. */
  #given: Booked | null = null
  #booked: BookedTurns | null = null
  /** The last turn that a client has had, or has been told. */
  #last = -Infinity

  constructor (reconnect: ReconnectOptions) {
    this.#reconnect = reconnect
    this.#interval = SECOND / reconnect.rate
    this.#empty()
  }

  /** Frames begin to go out: `count` of them, the last one by `until`. */
  begin (spread: Spread, count: number, now: number, until: number): void {
    const { rate, minDelay, maxDelay } = this.#reconnect
    this.#isAuto = spread === 'auto'
    this.#inTurns = this.#given === null ? hasTurns(spread, rate, count) : this.#isAuto
    const longestWait = maxDelay - minDelay + (this.#inTurns ? Math.max(0, until - now) : 0)
    this.#interval = Math.min(SECOND / rate, longestWait / Math.max(1, count))
    this.#empty()
    this.#gap = typeof spread === 'number' ? spread / Math.max(1, count) : this.#inTurns ? Infinity : 0
    this.#turn = this.#evenly = now
    this.#until = until
    // The last frame has a moment now.
    if (this.#given !== null) this.book(this.#given, 0, now)
  }

  /**
   * Turns of the clients that are left were booked. They come closer together if the last delay would be over `maxDelay`. `share`: the
   * part of a turn that passes before the first of them; at random, for many nodes may begin at the same moment.
   */
  book (booked: Booked, share: number, now: number): void {
    this.#given = booked
    const { minDelay, maxDelay } = this.#reconnect
    const { begins } = booked
    const longest = Math.max(begins, this.#inTurns ? this.#until : this.#evenly) + maxDelay - minDelay - begins
    const shrink = Math.min(1, longest / (endOf(booked) - begins))
    const turns = new BookedTurns({ ...booked, first: booked.first * shrink, length: booked.length * shrink }, this.#booked?.shareAfter(begins) ?? share)
    // Clients have had turns, or were told some, since these were asked for.
    turns.skip(Math.max(now, this.#last))
    this.#booked = turns
  }

  /** Whether turns were booked. */
  get isBooked (): boolean { return this.#booked !== null }

  /** Returns the time until the turn of the last client that was told to wait: turns are booked from then on. */
  told (now: number): number { return Math.max(0, this.#last - now) }

  /** Frames wait again, after a pause: those that follow do not make up for it. */
  resume (now: number): void {
    this.#turn = Math.max(this.#turn, now)
    this.#evenly = Math.max(this.#evenly, now)
  }

  /** Returns when the next frame is due, if closing all connections that are left takes `closing` milliseconds. */
  due (closing: number): number {
    const turn = this.#next
    // Connections that opened after the first frame may have turns to wait for, however few there were then.
    const waits = this.#inTurns || (this.#isAuto && turn - this.#evenly >= LEAST_WAIT)
    return waits ? Math.min(turn, Math.max(this.#evenly, this.#until - closing)) : this.#evenly
  }

  /** Returns the time until the turn of the next client. */
  wait (now: number): number { return Math.max(0, this.#next - now) }

  /** The next client has had its turn, or has been told when it comes. `left` clients were waiting, this one included. */
  next (now: number, left: number): void {
    const turn = this.#last = this.#next
    this.#booked?.take(now)
    this.#back[this.#count++ % this.#places] = Math.max(now, turn)
    this.#turn = Math.max(turn, now - MAX_LATENESS) + this.#interval
    // If late, the gaps shrink, so that the frames that are left still go out evenly.
    this.#evenly += Math.min(this.#gap, Math.max(0, this.#until - this.#evenly) / left)
  }

  /** The turn of the next client. */
  get #next (): number {
    if (this.#booked !== null) return this.#booked.next
    const earlier = this.#back[this.#count % this.#places]
    return earlier === undefined ? this.#turn : Math.max(this.#turn, earlier + SECOND)
  }

  #empty (): void {
    this.#back = []
    const rate = SECOND / this.#interval
    this.#places = Math.max(Math.ceil(rate), Math.floor(rate * MARGIN))
    this.#count = 0
  }
}
