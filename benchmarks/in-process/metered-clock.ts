/**
 * A clock for the plugin's option of that name: the real one, which adds up the CPU time of all that it calls. Whatever the
 * plugin does by itself, and not in answer to something, is called by its clock.
 */
import type { Clock } from '../../lib/index.ts'
import { cpuMicros } from '../servers/stall-probe.ts'

export class MeteredClock implements Clock {
  /** Microseconds so far. */
  spent = 0

  now (): number { return performance.now() }
  wallNow (): number { return Date.now() }
  busy (): number { return performance.eventLoopUtilization().active }
  setTimeout (callback: () => void, delay: number): NodeJS.Timeout { return setTimeout(() => { this.#meter(callback) }, delay) }
  clearTimeout (timer: NodeJS.Timeout): void { clearTimeout(timer) }
  setImmediate (callback: () => void): void { setImmediate(() => { this.#meter(callback) }) }

  #meter (callback: () => void): void {
    const before = cpuMicros()
    callback()
    this.spent += cpuMicros() - before
  }
}
