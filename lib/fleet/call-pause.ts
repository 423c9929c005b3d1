/**
 * The pause between two calls that write counts: a call takes as much CPU time as 100 of them. There is none if the last call is some
 * time ago, and none once the node leaves: no time need pass then, so that an application on a clock of a test closes.
 */
import type { Clock } from '../base/clock.ts'

/** Least time from one call to the next, milliseconds. */
const INTERVAL = 100

export class CallPause {
  readonly #clock: Clock
  /** Earliest time of the next call. */
  #next = -Infinity
  #resume: (() => void) | null = null
  #isOver = false

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** A call begins that writes all there is. */
  begin (): void { this.#next = this.#clock.now() + INTERVAL }

  /** Resolves when the next call is due; a turn later at least: what changes in one goes out together, and other work has turns. */
  wait (): Promise<void> {
    return new Promise((resolve) => {
      const wait = this.#isOver ? 0 : Math.max(0, this.#next - this.#clock.now())
      if (wait === 0) return this.#clock.setImmediate(resolve)
      const timer = this.#clock.setTimeout(resolve, wait)
      timer.unref()
      this.#resume = () => {
        this.#clock.clearTimeout(timer)
        resolve()
      }
    })
  }

  /** The next call is due now, and each of those that follow. */
  end (): void {
    this.#isOver = true
    this.#resume?.()
  }
}
