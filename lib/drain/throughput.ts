/**
 * Measures the turns of the event loop and the cost of a close frame while frames go out, and predicts from them how long the rest
 * of the drain takes.
 *
 * Elapsed time and CPU time are both measured: they differ if the process gets little CPU. The application's own work makes turns
 * longer, too.
 */
import { LONG_SLICE } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { FIRST_WINDOW } from './window.ts'

/** Weight of the last turn in the mean interval. */
const WEIGHT = 0.25
/** Initial values, as if measured: the first frames cost many times as much, and CPU time has a coarse resolution. Milliseconds. */
const FRAMES = 500
const FRAME_COST = 0.02
const TURNS = 4
const TURN = 5
/** Costs of destroying a raw socket, in costs of a frame: the call, with a frame before it, and the events that follow in the turn. */
const CUT = 1.5
const EVENTS = 0.75
/** LONG_SLICE is divided by so much at most. */
const LARGEST_DIVISOR = 3
/** Cost of closing a connection, apart from its frame: the answer, the end of TCP, the cleanups; several times what it usually is. */
const CLOSE = 0.38

/** Milliseconds that closing a connection is expected to take before anything was measured. */
export const EXPECTED_CLOSE = FRAME_COST + CLOSE

export class Throughput {
  readonly #clock: Clock
  /** Number of frames so far, and their CPU time. */
  #frames = FRAMES
  #frameCpu = FRAMES * FRAME_COST
  /** Turns so far that left frames for the next one: their number, elapsed time, CPU time, and CPU time without frames. */
  #turns = TURNS
  #elapsed = TURNS * TURN
  #cpu = TURNS * TURN
  #otherCpu = 0
  /** Mean time from one turn to the next, waiting included. */
  #interval = 0
  /** Time and CPU time at the start of the turn, and CPU time after its frames. */
  #startedAt = 0
  #cpuAtStart = 0
  #cpuAtEnd = 0
  /** When the wait for the next turn began; -1: no frame waits. */
  #waitsFrom = -1
  #hasMore = false

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Mean time from one turn to the next, milliseconds. */
  get interval (): number { return this.#interval }

  /** A turn begins. Returns the time. */
  begin (): number {
    const now = this.#clock.now()
    const cpu = this.#clock.cpu()
    if (this.#waitsFrom >= 0) this.#interval += (Math.max(0, now - this.#waitsFrom) - this.#interval) * WEIGHT
    if (this.#hasMore) {
      this.#turns++
      this.#elapsed += now - this.#startedAt
      this.#cpu += cpu - this.#cpuAtStart
      this.#otherCpu += cpu - this.#cpuAtEnd
    }
    this.#startedAt = now
    this.#cpuAtStart = cpu
    return now
  }

  /**
   * A turn has sent `frames` frames. `more`: its slice was over before its frames, and the next turn follows at once.
   * `waitsFrom`: the moment from which the next frame could have gone out, or -1 if there is none.
   */
  end (frames: number, more: boolean, waitsFrom: number): void {
    this.#hasMore = more
    this.#waitsFrom = waitsFrom
    this.#cpuAtEnd = this.#clock.cpu()
    this.#frames += frames
    if (frames > 0) this.#frameCpu += this.#cpuAtEnd - this.#cpuAtStart
  }

  /**
   * Longest slice of a turn that cuts off when the drain is short of time, milliseconds. Where the process gets little CPU, and not few
   * turns, it is shorter: what the slice causes takes many times as long there, as caches and memory are cold.
   */
  get longSlice (): number { return LONG_SLICE / Math.min(LARGEST_DIVISOR, this.#starvation) }

  /** Returns the milliseconds that closing `count` connections will take. */
  toClose (count: number): number {
    return count * ((this.#frameCpu / this.#frames + CLOSE) * this.#starvation + this.#interval / FIRST_WINDOW)
  }

  /** Returns the milliseconds that destroying `count` raw sockets will take, in slices of `slice` milliseconds. */
  toCut (count: number, slice: number): number {
    const turns = count * this.#frameCpu / this.#frames * CUT / slice
    return turns * (this.#otherCpu / this.#turns + slice * (1 + EVENTS)) * this.#starvation
  }

  /** Elapsed time for each millisecond of CPU time. */
  get #starvation (): number { return Math.max(1, this.#elapsed / this.#cpu) }
}
