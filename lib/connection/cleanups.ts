/**
 * The cleanups of one connection: last in, first out, one after the other, each exactly once.
 *
 * One that throws stops no other. One that hangs is given up after its time and named; one that is added when the
 * others run already starts at once. Never throws outward.
 */
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { attempt, isThenable } from '../base/guard.ts'

/** A cleanup; what it returns is awaited. */
export type Cleanup = () => unknown

/** Who is told what became of the cleanups. */
export interface CleanupObserver {
  /** Calls a cleanup where its connection wants it called. */
  callAtEnd<T> (call: () => T): T
  /** A cleanup ran to its end. */
  cleanupFinished (): void
  /** A cleanup threw or rejected. */
  cleanupFailed (error: unknown): void
  /** A cleanup that took its time has ended, or is about to be given up, after so many milliseconds. */
  cleanupTook (cleanup: Cleanup, duration: number): void
  /** A cleanup took longer than its time, or the drain ended over it. */
  cleanupAbandoned (cleanup: Cleanup): void
  /** Nothing waits and nothing runs; may be said again after a late cleanup. */
  cleanupsSettled (): void
}

/** A cleanup that waits; an object, for one function may be there twice. */
interface Waiting {
  /** Null once it was started or taken back: then the function that takes it back does not keep it. */
  cleanup: Cleanup | null
}

interface Running {
  cleanup: Cleanup
  deadline: Deadline
  /** Milliseconds on the clock of the deadlines. */
  startedAt: number
  /** What goes on when it has ended or was given up. */
  ended: () => void
}

/** Does nothing: the cleanup has started already. */
const TOO_LATE = (): void => {}

/** Whose cleanup's synchronous part is on the call stack; the innermost where they nest. */
let innermost: CleanupStack | null = null

/** Whether the synchronous part of any cleanup is on the call stack. */
export function insideCleanup (): boolean {
  return innermost !== null
}

export class CleanupStack {
  readonly #deadlines: Deadlines
  readonly #timeout: number
  readonly #observer: CleanupObserver
  readonly #waiting: Waiting[] = []
  readonly #running = new Set<Running>()
  #started = false
  #inLoop = false
  #calls = 0

  /** `timeout` is how long one cleanup may take, milliseconds. */
  constructor (deadlines: Deadlines, timeout: number, observer: CleanupObserver) {
    this.#deadlines = deadlines
    this.#timeout = timeout
    this.#observer = observer
  }

  /** Whether nothing waits and nothing runs. */
  get settled (): boolean {
    return this.#waiting.length === 0 && this.#running.size === 0
  }

  /** Whether the synchronous part of a cleanup of this stack is on the call stack. */
  get active (): boolean {
    return innermost === this
  }

  /** Adds a cleanup; once the stack runs, it starts at once. Returns what takes it back until it has started. */
  push (cleanup: Cleanup): () => void {
    if (this.#started) {
      this.#start(cleanup, () => this.#checkSettled())
      return TOO_LATE
    }
    const entry: Waiting = { cleanup }
    this.#waiting.push(entry)
    return () => { this.#takeBack(entry) }
  }

  /** Starts the stack; once. */
  run (): void {
    if (this.#started) return
    this.#started = true
    this.#next()
  }

  /** Starts everything that still waits, without waiting for one another. */
  rush (): void {
    while (this.#waiting.length > 0) this.#start(this.#pop(), () => this.#checkSettled())
  }

  /** Gives up whatever still runs. */
  giveUp (): void {
    this.rush()
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
    // A loop, not recursion: a thousand synchronous cleanups must not become a thousand frames deep.
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
      else if (!this.#stop(running)) return // given up meanwhile
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

  /** Waits for it no longer; false where nothing did. */
  #stop (running: Running): boolean {
    if (!this.#running.delete(running)) return false
    this.#deadlines.cancel(running.deadline)
    this.#observer.cleanupTook(running.cleanup, this.#deadlines.elapsed - running.startedAt)
    return true
  }
}
