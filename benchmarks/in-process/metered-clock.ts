/**
 * A clock for the plugin's option of that name: the real one, which adds up the CPU time of the functions it calls. The clock
 * calls all work that the plugin does by itself, and not in response to an event.
 */
import { systemClock } from '../../lib/base/clock.ts'
import type { Clock, Timer } from '../../lib/base/clock.ts'
import { cpuMicros } from '../servers/stall-probe.ts'

export class MeteredClock implements Clock {
  /** Microseconds so far. */
  spent = 0

  readonly now = systemClock.now
  readonly wallNow = systemClock.wallNow
  readonly cpu = systemClock.cpu
  readonly clearTimeout = systemClock.clearTimeout
  readonly firesTimers = systemClock.firesTimers

  setTimeout (callback: () => void, delay: number): Timer { return systemClock.setTimeout(() => { this.#meter(callback) }, delay) }
  setImmediate (callback: () => void): void { systemClock.setImmediate(() => { this.#meter(callback) }) }

  #meter (callback: () => void): void {
    const before = cpuMicros()
    callback()
    this.spent += cpuMicros() - before
  }
}
