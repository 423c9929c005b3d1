/**
 * The only file of lib/ that reads a clock or makes a timer; all other code takes a Clock, and runs on a fake one in tests.
 *
 * A test suite with fake timers (sinon, jest, vitest, node:test) must not freeze the drain of a server that it closes. The
 * timer functions are read when the module is loaded, before a suite replaces them. If they are replaced earlier, a drain of
 * clients that answer still ends: it needs no timer, only turns of the event loop and a clock, and these come from functions
 * that fakes do not replace: `scheduler.yield`, which is Node's setImmediate as a promise, and the `performance` of
 * node:perf_hooks.
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
  /** Milliseconds of CPU time that this process has used so far. */
  cpu(): number
  /** Calls `callback` once after `delay` milliseconds, or after LONGEST_TIMER: for a longer delay, check the time and set another timer. */
  setTimeout(callback: () => void, delay: number): Timer
  /** Cancels a timer; a fired or cancelled one is ignored. */
  clearTimeout(timer: Timer): void
  /** Calls `callback` after input that has already arrived was read. */
  setImmediate(callback: () => void): void
  /** Whether timers fire by themselves; not if a test suite has replaced them, or advances the clock. */
  firesTimers(): boolean
}

/** Returns the milliseconds for which the event loop has been busy so far. */
export function busyTime (): number { return performance.eventLoopUtilization().active }

const { setTimeout, clearTimeout, process } = globalThis
const wallNow = Date.now

/** Longest delay of a timer of Node, milliseconds: with a longer one it fires at once. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** A clock without wall time and CPU time. */
export type Ticker = Omit<Clock, 'wallNow' | 'cpu' | 'firesTimers'>

/** Whether timers are those of Node; null until it is asked. */
let nodeTimers: boolean | null = null

/** Returns whether a timer is one of Node: then Node counts it among the resources that keep the process alive. */
function areNodeTimers (): boolean {
  const count = () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length
  const before = count()
  const timer = setTimeout(() => {}, 1)
  const added = count() - before
  clearTimeout(timer)
  return added > 0
}

/** The real clock. Its callbacks run in no async context: one tick serves many connections. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => wallNow(),
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
  // Node truncates fractions: the timer would fire early, and a second one would be needed.
  setTimeout: (callback, delay) => outside(() => setTimeout(callback, Math.min(Math.ceil(delay), LONGEST_TIMER))),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  setImmediate: (callback) => { outside(() => { void scheduler.yield().then(callback) }) },
  firesTimers: () => {
    nodeTimers ??= areNodeTimers()
    return nodeTimers
  }
}

/** Longest run of work in one turn of the event loop, milliseconds. */
export const SLICE = 2

/** The same when a drain is short of time, milliseconds. What the work causes in its turn takes about as long again. */
export const LONG_SLICE = 17

/**
 * Connections of neighbouring ids that are processed together: they are neighbours in memory, too. In random order the same
 * work takes half as long again (docs/explanation/performance.md).
 */
export const RUN = 64

/** Calls `act` for each item, a slice of `length()` milliseconds at a time, the first at once; then `done`. */
export function inSlices<T> (clock: Clock, items: readonly T[], act: (item: T) => void, done?: () => void, length = () => SLICE): void {
  let next = 0
  slice()

  function slice (): void {
    const until = clock.now() + length()
    while (next < items.length) {
      act(items[next++]!)
      if (next < items.length && clock.now() >= until) return clock.setImmediate(slice)
    }
    done?.()
  }
}

/**
 * Calls `callback` when input that has arrived by now was read. The current turn of the event loop may be in the middle of
 * its poll; the next one has a whole poll.
 */
export function afterInput (clock: Clock, callback: () => void): void {
  clock.setImmediate(() => { clock.setImmediate(callback) })
}

/** Resolves when a promise has settled, or after `delay` milliseconds. */
export function atMost (clock: Ticker, promise: PromiseLike<unknown>, delay: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(resolve, delay)
    const settled = () => {
      clock.clearTimeout(timer)
      resolve()
    }
    promise.then(settled, settled)
  })
}
