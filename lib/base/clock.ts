/**
 * Time, in one place.
 *
 * Nothing else in lib/ reads a clock or makes a timer, so that the rooms above it run on a fake one.
 * A test suite with fake timers (sinon, jest, vitest, node:test) must not freeze the drain of a server that it closes. Timers
 * are taken when the module is loaded, which is enough where they are replaced later. A drain of clients that answer needs
 * no timer, only turns of the event loop and a clock, and these come from where fakes do not reach: `scheduler.yield`, which
 * is Node's own setImmediate as a promise, and the `performance` of node:perf_hooks. Fakes replace the functions of the same
 * names on the global object, in node:timers and in node:timers/promises.
 */
import { performance } from 'node:perf_hooks'
import { scheduler } from 'node:timers/promises'
import { outside } from './async-context.ts'

/** An armed timer; opaque to its holder. */
export interface Timer {
  /** Lets the process exit while the timer is pending. */
  unref(): unknown
}

/** The source of time for everything in this package. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back. */
  now(): number
  /** Wall time, milliseconds since the epoch; may jump. */
  wallNow(): number
  /** Milliseconds of CPU time that this process has used so far: they do not pass while another process has the CPU. */
  cpu(): number
  /** Calls `callback` once after `delay` milliseconds, or after LONGEST_TIMER. What waits for longer looks at the time and waits again. */
  setTimeout(callback: () => void, delay: number): Timer
  /** Cancels a timer; a fired or cancelled one is ignored. */
  clearTimeout(timer: Timer): void
  /** Calls `callback` after input that has already arrived was read. */
  setImmediate(callback: () => void): void
}

const { setTimeout, clearTimeout, process } = globalThis
const wallNow = Date.now

/** Longest delay that a timer of Node can hold, milliseconds: with a longer one it fires at once. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** What measures time and waits. */
export type Ticker = Omit<Clock, 'wallNow' | 'cpu'>

/** The real clock. Its callbacks run in no async context: one tick serves many connections. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => wallNow(),
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
  // Node cuts fractions off: a timer would be early, and whoever waits for a moment would need a second one.
  setTimeout: (callback, delay) => outside(() => setTimeout(callback, Math.min(Math.ceil(delay), LONGEST_TIMER))),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  setImmediate: (callback) => { outside(() => { void scheduler.yield().then(callback) }) }
}

/** Longest run of work before the event loop gets its turn, milliseconds. */
export const SLICE = 2

/** The same where time runs out. What follows such a run in its turn takes about as long again. */
export const LONG_SLICE = 15

/**
 * Connections next to each other in age that are worked on together, so also in memory: with one after another from all over
 * the heap the same work takes half as much time again (docs/explanation/performance.md).
 */
export const RUN = 64

/** Calls `act` for each, a slice of `length` milliseconds at a time, the first at once; then `done`. */
export function inSlices<T> (clock: Clock, items: readonly T[], act: (item: T) => void, done?: () => void, length = SLICE): void {
  let next = 0
  slice()

  function slice (): void {
    const until = clock.now() + length
    while (next < items.length) {
      act(items[next++]!)
      if (next < items.length && clock.now() >= until) return clock.setImmediate(slice)
    }
    done?.()
  }
}

/**
 * Calls `callback` when input that had arrived by now was read: one turn of the event loop may be in the middle of its
 * poll, the second has a whole one.
 */
export function afterInput (clock: Clock, callback: () => void): void {
  clock.setImmediate(() => { clock.setImmediate(callback) })
}
