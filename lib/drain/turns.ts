/**
 * How long the turns of the event loop take, and what closing a connection costs: measured while frames go out, and what the
 * drain expects of the turns to come.
 *
 * Wall time and CPU time are both read. They differ where the process gets little CPU; turns are long where the application
 * is at work in them.
 */
import type { Clock } from '../base/clock.ts'

/** Part that the last turn has in the mean interval. */
const WEIGHT = 0.25
/** What is taken for measured at first: the first frames cost many times as much, and CPU time comes in portions. */
const FRAMES = 500
const FRAME_COST = 0.02
const TURNS = 4
const TURN = 5
/** Costs of a frame that destroying a raw socket takes: the call, with a frame before it, and the events that follow it in the turn. */
const CUT = 1.5
const EVENTS = 0.75

export class Turns {
  readonly #clock: Clock
  /** Frames so far, and their CPU time. */
  #frames = FRAMES
  #spent = FRAMES * FRAME_COST
  /** Turns so far that had more to do: how many, their time, their CPU time, and the part of it that was not for frames. */
  #turns = TURNS
  #wall = TURNS * TURN
  #cpu = TURNS * TURN
  #other = 0
  /** Mean time from one turn to the next, waiting included. */
  #interval = 0
  #startedAt = 0
  #cpuThen = 0
  #ended = 0
  /** Counts from here to the next turn; -1: nothing waits for it. */
  #waitsFrom = -1
  #hasMore = false

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds from one turn to the next. */
  get interval (): number { return this.#interval }

  /** A turn begins: returns the time. */
  begin (): number {
    const now = this.#clock.now()
    const cpu = this.#clock.cpu()
    if (this.#waitsFrom >= 0) this.#interval += (Math.max(0, now - this.#waitsFrom) - this.#interval) * WEIGHT
    if (this.#hasMore) {
      this.#turns++
      this.#wall += now - this.#startedAt
      this.#cpu += cpu - this.#cpuThen
      this.#other += cpu - this.#ended
    }
    this.#startedAt = now
    this.#cpuThen = cpu
    return now
  }

  /**
   * So many frames have gone out in it. `more`: the slice was over first, and the next turn comes as soon as it can;
   * `waitsFrom`: when more could have gone out, or -1 where none is left.
   */
  end (frames: number, more: boolean, waitsFrom: number): void {
    this.#hasMore = more
    this.#waitsFrom = waitsFrom
    this.#ended = this.#clock.cpu()
    this.#frames += frames
    if (frames > 0) this.#spent += this.#ended - this.#cpuThen
  }

  /** Milliseconds that cutting off `count` connections will take, in slices of `slice` milliseconds. */
  toCut (count: number, slice: number): number {
    const turns = count * this.#spent / this.#frames * CUT / slice
    return turns * (this.#other / this.#turns + slice * (1 + EVENTS)) * Math.max(1, this.#wall / this.#cpu)
  }
}
