/**
 * An AbortSignal that costs nothing until somebody reads it: a signal weighs 770 bytes, and most are never read.
 */
export class LazySignal {
  #controller: AbortController | null = null

  /** The reason it was aborted with, if it was read. */
  get reason (): unknown {
    return this.#controller?.signal.reason
  }

  /** The signal; `aborted` makes the reason when it is read for the first time after the fact. */
  read (aborted: (() => Error) | false): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (aborted !== false) this.#controller.abort(aborted())
    }
    return this.#controller.signal
  }

  abort (reason: () => Error): void {
    this.#controller?.abort(reason())
  }
}
