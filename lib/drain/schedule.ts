/**
 * The schedule of close frames: when each of them is due, and how long its client waits before it reconnects. Pure; no clock, no
 * connections.
 *
 * A turn is the moment at which a client may come back; turns are 1 / rate apart. With the spread 'auto' a frame is due in its
 * client's turn. If not all turns come before the last frame must have left, the frames that are left go out as late as closing
 * them allows, and their clients wait for the rest of their turns. Without turns, or if all turns come within 100 ms, frames are
 * due at once or at even intervals.
 */
import type { ReconnectOptions } from './reconnect.ts'

/** When close frames go out: in turns, evenly over so many milliseconds, or as fast as they can be sent. */
export type Spread = 'auto' | number | false

/** Turns that all come within this time are not waited for, milliseconds. */
export const LEAST_WAIT = 100

/** Lateness that the next frames make up for, milliseconds: timers and event loops are late, and the rate must hold all the same. */
const MAX_LATENESS = 25

/** Returns whether the close frames of `count` connections wait for turns. */
export function hasTurns (spread: Spread, rate: number, count: number): boolean {
  return spread === 'auto' && count / rate * 1000 >= LEAST_WAIT
}

export class Schedule {
  readonly #reconnect: ReconnectOptions
  #inTurns = false
  /** Time from one turn to the next, and the next turn. Monotonic milliseconds, as all moments here. */
  #interval: number
  #turn = 0
  /** Time from one frame to the next, and the moment of the next one, if they go out evenly. */
  #gap = 0
  #evenly = 0
  #until = Infinity

  constructor (reconnect: ReconnectOptions) {
    this.#reconnect = reconnect
    this.#interval = 1000 / reconnect.rate
  }

  /** Frames begin to go out: `count` of them, the last one by `until`. */
  begin (spread: Spread, count: number, now: number, until: number): void {
    const { rate, minDelay, maxDelay } = this.#reconnect
    this.#inTurns = hasTurns(spread, rate, count)
    const longestWait = maxDelay - minDelay + (this.#inTurns ? Math.max(0, until - now) : 0)
    this.#interval = Math.min(1000 / rate, longestWait / Math.max(1, count))
    this.#gap = typeof spread === 'number' ? spread / Math.max(1, count) : this.#inTurns ? Infinity : 0
    this.#turn = this.#evenly = now
    this.#until = until
  }

  /** Frames wait again, after a pause: those that follow do not make up for it. */
  resume (now: number): void {
    this.#turn = Math.max(this.#turn, now)
    this.#evenly = Math.max(this.#evenly, now)
  }

  /** Returns when the next frame is due, if closing all connections that are left takes `closing` milliseconds. */
  due (closing: number): number {
    return this.#inTurns ? Math.min(this.#turn, Math.max(this.#evenly, this.#until - closing)) : this.#evenly
  }

  /** Returns the time until the turn of the next client. */
  wait (now: number): number { return Math.max(0, this.#turn - now) }

  /** The next client has had its turn, or has been told when it comes. `left` clients were waiting, this one included. */
  next (now: number, left: number): void {
    this.#turn = Math.max(this.#turn, now - MAX_LATENESS) + this.#interval
    // If late, the gaps shrink, so that the frames that are left still go out evenly.
    this.#evenly += Math.min(this.#gap, Math.max(0, this.#until - this.#evenly) / left)
  }
}
