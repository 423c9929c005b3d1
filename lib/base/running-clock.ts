/**
 * Time during which this process ran: a clock that does not pass while the event loop stands still.
 *
 * Each timer that fires lets at most two ticks pass, however long it was late. So a stall, a SIGSTOP or a suspended
 * machine counts as one tick, and what waits unread in the kernel is read before anyone is judged by its silence.
 */
import type { Ticker, Timer } from './clock.ts'
import { TICK } from './deadlines.ts'

/** Most that may pass between two timers, milliseconds: one that is a little late loses nothing. */
const MOST = 2 * TICK

export class RunningClock implements Ticker {
  readonly #clock: Ticker
  /** Time that has passed until `#since`. */
  #passed = 0
  #since: number

  constructor (clock: Ticker) {
    this.#clock = clock
    this.#since = clock.now()
  }

  now (): number { return this.#passed + Math.min(MOST, this.#clock.now() - this.#since) }

  setTimeout (callback: () => void, delay: number): Timer {
    this.#goOn()
    return this.#clock.setTimeout(() => {
      this.#goOn()
      callback()
    }, delay)
  }

  clearTimeout (timer: Timer): void { this.#clock.clearTimeout(timer) }

  setImmediate (callback: () => void): void {
    this.#clock.setImmediate(() => {
      // Slices are measured by it: it must not stand still in a long row of them.
      this.#goOn()
      callback()
    })
  }

  #goOn (): void {
    this.#passed = this.now()
    this.#since = this.#clock.now()
  }
}
