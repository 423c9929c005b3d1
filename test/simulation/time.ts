/**
 * How much time has passed, told without the code under test: the clock's, and bounds of running time.
 *
 * While the event loop stands still, little or no running time passes. `slow` never counts more of it than really
 * passed for the code under test, so that "by then at the latest" is measured with it; `fast` never counts less, so that "not before
 * then" is. A moment is both, with the monotonic time.
 */
import type { FakeClock } from '../helpers/fake-clock.ts'

/** Milliseconds of a tick, as S29 and the documentation have it. */
export const TICK = 50

/** Most running time in a stall: two ticks. */
const MOST_IN_STALL = 2 * TICK

/** A moment on all clocks. */
export interface Moment {
  /** Monotonic. */
  now: number
  slow: number
  fast: number
}

interface Disturbance {
  slow: number
  /** Milliseconds by which a clock went ahead. */
  ahead: number
}

export class Time {
  readonly clock: FakeClock
  /** Turns of the event loop so far. */
  turns = 0
  #stalled = 0
  #lost = 0
  #stalling = 0
  /** Those of late that may belong to one and the same gap. */
  #disturbances: Disturbance[] = []
  readonly #restarts = new Map<number, number>()

  constructor (clock: FakeClock) {
    this.clock = clock
  }

  get slow (): number { return this.clock.now() - this.#stalled }
  get moment (): Moment { return { now: this.clock.now(), slow: this.slow, fast: this.clock.now() - this.#lost } }

  /** Names an interval whose pings may be restarted. */
  watch (interval: number): void {
    if (!this.#restarts.has(interval)) this.#restarts.set(interval, -Infinity)
  }

  /** The event loop stands still; several without a turn between them are one. */
  stall (ms: number): void {
    this.clock.stall(ms * this.clock.share)
    this.#stalled += ms
    this.#lost -= Math.max(0, this.#stalling - MOST_IN_STALL)
    this.#stalling += ms
    this.#lost += Math.max(0, this.#stalling - MOST_IN_STALL)
    this.#disturb(ms)
  }

  /** Code that runs needs this much CPU, which takes longer where there is little. It counts as running time. */
  work (ms: number): void {
    const real = ms / this.clock.share
    this.clock.stall(ms)
    this.#stalled += real
    this.#disturb(real)
  }

  /** The event loop had its turn. */
  turned (): void {
    this.#stalling = 0
    this.turns++
  }

  /** Sets the wall clock. */
  jump (ms: number): void {
    this.clock.setWall(this.clock.wallNow() + ms)
    if (ms > 0) this.#disturb(ms)
  }

  /** The last moment, in `slow`, at which outstanding pings may have been asked anew. */
  restartedAt (interval: number): number { return this.#restarts.get(interval)! }

  #disturb (ahead: number): void {
    const { slow } = this
    this.#disturbances.push({ slow, ahead })
    for (const interval of this.#restarts.keys()) {
      const between = beatsApart(interval)
      const sum = this.#disturbances.filter((one) => one.slow >= slow - between).reduce((total, one) => total + one.ahead, 0)
      if (sum + between > interval) this.#restarts.set(interval, slow)
    }
    this.#disturbances = this.#disturbances.filter((one) => one.slow >= slow - 1_000)
  }
}

/** Most running time from one beat to the next: more than 250 groups make them rarer. */
function beatsApart (interval: number): number {
  return (Math.ceil(interval / 2 / TICK / 250) + 2) * TICK
}
