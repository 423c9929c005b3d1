/**
 * A clock that a test moves by hand, for servers with real sockets: timers wait for `tick`, the network does not.
 */
import { systemClock } from '../base/clock.ts'
import type { Clock, Timer } from '../base/clock.ts'

/** Turns of the event loop between two timers: enough for what is sent to a client in this process and back. */
const TURNS = 4

interface ManualTimer extends Timer {
  readonly at: number
  readonly callback: () => void
}

/** Where a clock stands at the start. */
export interface TestClockOptions {
  /** Wall time, epoch milliseconds or Date. @default the real one */
  wall?: number | Date
}

/** Time that passes only when a test says so. Give it to the plugin as its option `clock`. */
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

  /** Sets the wall clock, as an administrator or NTP does; durations are not touched. */
  setWall (wall: number | Date): void { this.#wall = Number(wall) - this.#now }

  setTimeout (callback: () => void, delay: number): Timer {
    const timer: ManualTimer = { at: this.#now + Math.max(1, delay), callback, unref () {} }
    this.#timers.add(timer)
    return timer
  }

  clearTimeout (timer: Timer): void { this.#timers.delete(timer as ManualTimer) }

  setImmediate (callback: () => void): void { systemClock.setImmediate(callback) }

  /** Timers that wait. */
  get pendingTimers (): number { return this.#timers.size }

  /**
   * Lets `ms` milliseconds pass: every timer that comes due runs, one moment after the other, and between two of them
   * what was sent over loopback arrives. Resolves when all that is done.
   */
  async tick (ms: number): Promise<void> {
    const target = this.#now + ms
    await turns()
    for (;;) {
      const next = Math.min(...[...this.#timers].map(({ at }) => at))
      if (next > target) break
      // A timer may have been armed for a moment that is over by now.
      this.#now = Math.max(this.#now, next)
      for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
        if (this.#timers.delete(timer)) timer.callback()
      }
      await turns()
    }
    this.#now = target
  }

  /** The event loop stands still for `ms` milliseconds: no timer runs, nothing is read. */
  stall (ms: number): void {
    this.#now += ms
    this.#cpu += ms
  }
}

/** Makes a clock. */
export function createClock (options?: TestClockOptions): TestClock {
  return new TestClock(options)
}

async function turns (): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => { systemClock.setImmediate(resolve) })
}
