/**
 * A clock that a test advances, for servers with real sockets: timers wait for `tick`, the network does not.
 */
import { systemClock } from '../base/clock.ts'
import type { Clock, Timer } from '../base/clock.ts'

/** Turns of the event loop between two timers: enough for a message to a client in this process and its answer. */
const TURNS = 4

interface ManualTimer extends Timer {
  readonly at: number
  readonly callback: () => void
}

/** Options of `createClock`. */
export interface TestClockOptions {
  /** Wall time at the start, epoch milliseconds or Date. @default the real time */
  wall?: number | Date
}

/** A clock whose time passes only by `tick` and `stall`. Pass it to the plugin as the option `clock`. */
export class TestClock implements Clock {
  #now = 0
  #wall: number
  #cpu = 0
  readonly #timers = new Set<ManualTimer>()

  constructor ({ wall = systemClock.wallNow() }: TestClockOptions = {}) {
    this.#wall = Number(wall)
  }

  now (): number { return this.#now }
  wallNow (): number { return this.#now + this.#wall }
  cpu (): number { return this.#cpu }

  /** Sets the wall clock, as an administrator or NTP does. Durations do not change. */
  setWall (wall: number | Date): void { this.#wall = Number(wall) - this.#now }

  setTimeout (callback: () => void, delay: number): Timer {
    const timer: ManualTimer = { at: this.#now + Math.max(1, delay), callback, unref () {} }
    this.#timers.add(timer)
    return timer
  }

  clearTimeout (timer: Timer): void { this.#timers.delete(timer as ManualTimer) }

  setImmediate (callback: () => void): void { systemClock.setImmediate(callback) }

  firesTimers (): boolean { return false }

  /** Number of timers that wait. */
  get pendingTimers (): number { return this.#timers.size }

  /**
   * Advances the time by `ms` milliseconds and runs the timers that come due, in order. Between two of them, messages over loopback
   * arrive. Resolves after the last.
   */
  async tick (ms: number): Promise<void> {
    const target = this.#now + ms
    await turns()
    for (;;) {
      const next = Math.min(...[...this.#timers].map(({ at }) => at))
      if (next > target) break
      // A timer may have been set for a time that `stall` has passed.
      this.#now = Math.max(this.#now, next)
      for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
        if (this.#timers.delete(timer)) timer.callback()
      }
      await turns()
    }
    this.#now = target
  }

  /** Advances the time as a blocked event loop does, by `ms` milliseconds: no timer runs, nothing is read. */
  stall (ms: number): void {
    this.#now += ms
    this.#cpu += ms
  }
}

/** Creates a clock. */
export function createClock (options?: TestClockOptions): TestClock {
  return new TestClock(options)
}

async function turns (): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => { systemClock.setImmediate(resolve) })
}
