/**
 * A clock whose time passes only when a test says so.
 *
 * One turn is that of Node's event loop: timers that are due, then input that has arrived, then immediates; what an
 * immediate adds waits for the next turn. `tick` and `stall` are synchronous; `flush` and `run` let promises settle too.
 */
import type { Clock, Timer } from '../../lib/base/clock.ts'

/** Turns without rest after which a test is told that it would never end. */
const MAX_TURNS = 100_000

const realImmediate = globalThis.setImmediate

interface FakeTimer extends Timer {
  at: number
  order: number
  callback: () => void
  refed: boolean
}

/** Where the clock stands at the start. */
export interface FakeClockOptions {
  /** @default 1000 */
  now?: number
  /** Wall time at that moment. @default 2024-01-01T00:00:00Z */
  wall?: number
}

export class FakeClock implements Clock {
  #now: number
  #wallOffset: number
  #cpu = 0
  #order = 0
  #timers = new Set<FakeTimer>()
  #immediates: Array<() => void> = []
  #input: Array<() => void> = []
  /** Timers ever made: 0 shows that something went without any. */
  timersMade = 0
  /** Immediates ever asked for. */
  immediatesMade = 0
  /** The part of the CPU that the process gets: what takes 1 ms takes so many times as long. */
  share = 1

  constructor ({ now = 1000, wall = Date.UTC(2024, 0, 1) }: FakeClockOptions = {}) {
    this.#now = now
    this.#wallOffset = wall - now
  }

  now (): number { return this.#now }
  wallNow (): number { return this.#now + this.#wallOffset }
  cpu (): number { return this.#cpu }

  setTimeout (callback: () => void, delay: number): Timer {
    const timer: FakeTimer = {
      at: this.#now + Math.max(1, delay),
      order: this.#order++,
      callback,
      refed: true,
      unref () {
        timer.refed = false
        return timer
      }
    }
    this.timersMade++
    this.#timers.add(timer)
    return timer
  }

  clearTimeout (timer: Timer): void { this.#timers.delete(timer as FakeTimer) }

  setImmediate (callback: () => void): void {
    this.immediatesMade++
    this.#immediates.push(callback)
  }

  firesTimers (): boolean { return true }

  /** Something that arrives from the network: it runs after the timers of a turn and before its immediates. */
  input (callback: () => void): void { this.#input.push(callback) }

  /** Timers that wait. */
  get pendingTimers (): number { return this.#timers.size }
  /** Timers that keep the process alive. */
  get refedTimers (): number { return [...this.#timers].filter(({ refed }) => refed).length }
  /** Immediates that wait. */
  get pendingImmediates (): number { return this.#immediates.length }
  /** Milliseconds until the next timer; Infinity when there is none. */
  get nextTimerIn (): number { return Math.min(...[...this.#timers].map(({ at }) => at)) - this.#now }
  /** Whether nothing is left that would run by itself, now or later. */
  get idle (): boolean { return this.#timers.size + this.#immediates.length + this.#input.length === 0 }

  /** Lets `ms` pass: runs every timer that comes due, in order, each followed by its turn of input and immediates. */
  tick (ms: number = 0): void {
    const target = this.#now + ms
    this.#rest()
    for (let turns = 0; this.#runNext(target); turns++) {
      never(turns)
      this.#rest()
    }
    this.#now = Math.max(this.#now, target)
  }

  /** Like `tick`, but promises settle between the timers. */
  async run (ms: number = 0): Promise<void> {
    const target = this.#now + ms
    await this.flush()
    for (let turns = 0; this.#runNext(target); turns++) {
      never(turns)
      await this.flush()
    }
    this.#now = Math.max(this.#now, target)
  }

  /** Runs input and immediates, and lets promises settle, until neither is left. No time passes. `after` is called after each turn, before promises settle. */
  async flush (after?: () => void): Promise<void> {
    let turns = 0
    do {
      never(turns++)
      this.turn()
      after?.()
      // Every microtask runs before a real immediate does.
      await new Promise((resolve) => { realImmediate(resolve) })
    } while (this.#input.length + this.#immediates.length > 0)
  }

  /** The code that runs takes this long, or the event loop stands still: nothing else runs meanwhile. */
  stall (ms: number): void {
    this.#now += ms / this.share
    this.#cpu += ms
  }

  /** Time passes in which the event loop waits. */
  pass (ms: number): void { this.#now += ms }

  /** One turn of the event loop at this moment: due timers, input, immediates. */
  turn (): void {
    this.#runDue()
    this.#runQueues()
  }

  /** Sets the wall clock, as NTP or an operator does. */
  setWall (wall: number): void { this.#wallOffset = wall - this.#now }

  #rest (): void {
    for (let turns = 0; this.#input.length + this.#immediates.length > 0; turns++) {
      never(turns)
      this.#runQueues()
    }
  }

  #runQueues (): void {
    for (const callback of this.#input.splice(0)) callback()
    for (const callback of this.#immediates.splice(0)) callback()
  }

  /** Goes to the next moment at which timers are due, no later than `target`, and runs them. */
  #runNext (target: number): boolean {
    const next = this.#now + this.nextTimerIn
    if (next > Math.max(target, this.#now)) return false
    this.#now = Math.max(this.#now, next)
    this.#runDue()
    return true
  }

  #runDue (): void {
    const now = this.#now
    const due = [...this.#timers].filter(({ at }) => at <= now).sort((a, b) => a.at - b.at || a.order - b.order)
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback()
  }
}

function never (turns: number): void {
  if (turns > MAX_TURNS) throw new Error('the event loop never comes to rest')
}
