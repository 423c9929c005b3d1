/**
 * The application's preClose hook in the drain's *notify*: close frames wait for its promise.
 */
import { attempt, isThenable } from '../base/guard.ts'
import type { DrainHost } from './host.ts'

export class PreClose {
  readonly #host: DrainHost
  readonly #released: () => void
  #hook: (() => unknown) | null = null
  #holding = false

  /** `released` is called when close frames are no longer held back. */
  constructor (host: DrainHost, released: () => void) {
    this.#host = host
    this.#released = released
  }

  /** Whether close frames are held back. */
  get holding (): boolean { return this.#holding }

  /** Sets the hook that run() calls. */
  give (hook: () => unknown): void { this.#hook = hook }

  /** Calls a hook, reports its error and returns its result. */
  call (hook: () => unknown): unknown {
    return attempt(hook, (error) => {
      this.#host.hookFailed(error, 'preClose')
      this.letGo()
    })
  }

  /** Calls the hook. Close frames are held back if it returns a promise. */
  run (): void {
    const result = this.#hook === null ? undefined : this.call(this.#hook)
    if (!isThenable(result)) return
    this.#holding = true
    result.then(() => { this.letGo() }, () => {})
  }

  /** The hook has settled, or grace is over. */
  letGo (): void {
    if (!this.#holding) return
    this.#holding = false
    this.#released()
  }
}
