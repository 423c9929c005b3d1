/**
 * The user's preClose in the drain's *notify*: close frames are held while it takes its time.
 */
import { attempt, isThenable } from '../base/guard.ts'
import type { DrainHost } from './host.ts'

export class PreClose {
  readonly #host: DrainHost
  readonly #released: () => void
  #hook: (() => unknown) | null = null
  #holding = false

  /** `released` is called when frames are held no longer. */
  constructor (host: DrainHost, released: () => void) {
    this.#host = host
    this.#released = released
  }

  /** Whether frames are held. */
  get holding (): boolean { return this.#holding }

  /** A hook to be called in *notify*. */
  give (hook: () => unknown): void { this.#hook = hook }

  /** Calls a hook; what it throws or rejects with is reported. */
  call (hook: () => unknown): unknown {
    return attempt(hook, (error) => {
      this.#host.hookFailed(error, 'preClose')
      this.letGo()
    })
  }

  /** Calls the hook that was given; frames are held from here on if it takes time. */
  run (): void {
    const result = this.#hook === null ? undefined : this.call(this.#hook)
    if (!isThenable(result)) return
    this.#holding = true
    result.then(() => { this.letGo() }, () => {})
  }

  /** It has settled, or grace is over. */
  letGo (): void {
    if (!this.#holding) return
    this.#holding = false
    this.#released()
  }
}
