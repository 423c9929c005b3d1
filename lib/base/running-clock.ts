/**
 * A clock that stands still while the event loop is blocked.
 *
 * Each callback advances it by two ticks at most, however late it is called. So a stall, a SIGSTOP or a suspended machine
 * counts as two ticks at most, and input that waits in the kernel is read before a deadline finds the client silent.
 */
import type { Ticker, Timer } from './clock.ts'
import { TICK } from './deadlines.ts'

/** Most that the clock advances between two callbacks, milliseconds: a tick that is a little late counts in full. */
const MAX_STEP = 2 * TICK

export class RunningClock implements Ticker {
  readonly #clock: Ticker
  /** Time on this clock at `#since`. */
  #passed = 0
  #since: number

  constructor (clock: Ticker) {
    this.#clock = clock
    this.#since = clock.now()
  }

  now (): number { return this.#passed + Math.min(MAX_STEP, this.#clock.now() - this.#since) }

  setTimeout (callback: () => void, delay: number): Timer {
    this.#advance()
    return this.#clock.setTimeout(() => {
      this.#advance()
      callback()
    }, delay)
  }

  clearTimeout (timer: Timer): void { this.#clock.clearTimeout(timer) }

  setImmediate (callback: () => void): void {
    this.#clock.setImmediate(() => {
      // Slices are measured on this clock: it must not stand still during a long sequence of them.
      this.#advance()
      callback()
    })
  }

  #advance (): void {
    this.#passed = this.now()
    this.#since = this.#clock.now()
  }
}
