/**
 * An AbortSignal that costs nothing until somebody reads it: a signal weighs 770 bytes, and most are never read.
 */
import { setMaxListeners } from 'node:events'

export class LazySignal {
  #controller: AbortController | null = null

  /** Whether this is what it was aborted with; one that nobody has read has no reason, and `undefined` may have been thrown. */
  hasReason (error: unknown): boolean {
    return error !== undefined && error === this.#controller?.signal.reason
  }

  /** The signal; `aborted` makes the reason when it is read for the first time after the fact. */
  read (aborted: (() => Error) | false): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      // Every producer of a connection may wait on it: many listeners are no leak.
      setMaxListeners(0, this.#controller.signal)
      if (aborted !== false) this.#controller.abort(aborted())
    }
    return this.#controller.signal
  }

  abort (reason: () => Error): void {
    this.#controller?.abort(reason())
  }
}
