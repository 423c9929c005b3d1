/**
 * The cleanups of one connection: last in, first out, one after the other, each exactly once.
 *
 * A cleanup that throws does not stop the others. One that hangs is given up after its time, and reported by name. One that is
 * added after the start runs at once. No error of a cleanup reaches the caller.
 */
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { attempt, isThenable } from '../base/guard.ts'

/** A cleanup; what it returns is awaited. */
export type Cleanup = () => unknown

/** Receives the results of the cleanups. */
export interface CleanupObserver {
  /** Calls a cleanup in the right async context. */
  callAtEnd<T> (call: () => T): T
  /** A cleanup ran to its end. */
  cleanupFinished (): void
  /** A cleanup threw or rejected. */
  cleanupFailed (error: unknown): void
  /** An asynchronous cleanup has ended, or is about to be given up, after `duration` milliseconds. */
  cleanupTook (cleanup: Cleanup, duration: number): void
  /** A cleanup was given up: its time, or that of the drain, has ended. */
  cleanupAbandoned (cleanup: Cleanup): void
  /** No cleanup waits or runs; called again after a late cleanup. */
  cleanupsSettled (): void
}

/** A cleanup that waits; an object, because the same function may be added twice. */
interface Waiting {
  /** Null once it was started or taken back, so that the function that takes it back does not hold it in memory. */
  cleanup: Cleanup | null
}

interface Running {
  cleanup: Cleanup
  deadline: Deadline
  /** Milliseconds on the clock of the deadlines. */
  startedAt: number
  /** Called when it has ended or was given up. */
  ended: () => void
}

/** Takes back a cleanup that has started: does nothing. */
const TOO_LATE = (): void => {}

/** The stack whose cleanup's synchronous part is on the call stack; the innermost if they nest. */
let innermost: CleanupStack | null = null

/** Returns true while the synchronous part of any cleanup is on the call stack. */
export function insideCleanup (): boolean { return innermost !== null }

export class CleanupStack {
  readonly #deadlines: Deadlines
  readonly #timeout: number
  readonly #observer: CleanupObserver
  readonly #waiting: Waiting[] = []
  readonly #running = new Set<Running>()
  #started = false
  #inLoop = false
  #calls = 0

  /** `timeout`: longest time of one cleanup, milliseconds. */
  constructor (deadlines: Deadlines, timeout: number, observer: CleanupObserver) {
    this.#deadlines = deadlines
    this.#timeout = timeout
    this.#observer = observer
  }

  /** Whether no cleanup waits or runs. */
  get settled (): boolean { return this.#waiting.length === 0 && this.#running.size === 0 }

  /** Whether the synchronous part of a cleanup of this stack is on the call stack. */
  get active (): boolean { return innermost === this }

  /** The asynchronous cleanups that run now, with the milliseconds so far. */
  underWay (): Array<[Cleanup, number]> {
    return [...this.#running].map(({ cleanup, startedAt }) => [cleanup, this.#deadlines.elapsed - startedAt])
  }

  /** Adds a cleanup; after `run` it starts at once. Returns a function that takes it back unless it has started. */
  push (cleanup: Cleanup): () => void {
    if (this.#started) {
      this.#start(cleanup, () => this.#checkSettled())
      return TOO_LATE
    }
    const entry: Waiting = { cleanup }
    this.#waiting.push(entry)
    return () => { this.#takeBack(entry) }
  }

  /** Runs the cleanups; further calls do nothing. */
  run (): void {
    if (this.#started) return
    this.#started = true
    this.#next()
  }

  /** Starts all cleanups that wait, without waiting for each other. */
  startAll (): void {
    while (this.#waiting.length > 0) this.#start(this.#pop(), () => this.#checkSettled())
  }

  /** Starts all cleanups that wait, and gives up those that do not end at once. */
  giveUp (): void {
    this.startAll()
    for (const running of [...this.#running]) this.#abandon(running)
  }

  #pop (): Cleanup {
    const entry = this.#waiting.pop()!
    const cleanup = entry.cleanup!
    entry.cleanup = null
    return cleanup
  }

  #takeBack (entry: Waiting): void {
    if (entry.cleanup === null) return
    entry.cleanup = null
    this.#waiting.splice(this.#waiting.lastIndexOf(entry), 1)
  }

  #next (): void {
    // A loop, not recursion: a thousand synchronous cleanups must not make a call stack a thousand frames deep.
    this.#inLoop = true
    let wait = false
    while (this.#waiting.length > 0 && !wait) {
      wait = true
      this.#start(this.#pop(), () => {
        wait = false
        if (!this.#inLoop) this.#next()
      })
    }
    this.#inLoop = false
    this.#checkSettled()
  }

  #checkSettled (): void {
    if (this.#started && !this.#inLoop && this.#calls === 0 && this.settled) this.#observer.cleanupsSettled()
  }

  #start (cleanup: Cleanup, ended: () => void): void {
    let running: Running | null = null
    let over = false
    const settle = (note: () => void) => {
      if (running === null) over = true
      else if (!this.#stop(running)) return // it was given up
      note()
      if (running !== null) ended()
    }
    const outer = innermost
    innermost = this
    this.#calls++
    let result: unknown
    try {
      result = attempt(() => this.#observer.callAtEnd(cleanup), (error) => settle(() => this.#observer.cleanupFailed(error)))
    } finally {
      this.#calls--
      innermost = outer
    }
    if (isThenable(result)) {
      running = { cleanup, ended, startedAt: this.#deadlines.elapsed, deadline: new Deadline(() => this.#abandon(running!)) }
      this.#running.add(running)
      this.#deadlines.set(running.deadline, this.#timeout)
      result.then(() => settle(() => this.#observer.cleanupFinished()), () => {})
      return
    }
    if (!over) this.#observer.cleanupFinished()
    ended()
  }

  #abandon (running: Running): void {
    if (!this.#stop(running)) return
    this.#observer.cleanupAbandoned(running.cleanup)
    running.ended()
  }

  /** Ends the wait for a cleanup. Returns false if it had ended. */
  #stop (running: Running): boolean {
    if (!this.#running.delete(running)) return false
    this.#deadlines.cancel(running.deadline)
    this.#observer.cleanupTook(running.cleanup, this.#deadlines.elapsed - running.startedAt)
    return true
  }
}
