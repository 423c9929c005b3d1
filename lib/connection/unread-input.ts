/**
 * Input of a connection that had arrived when it began to drain. It is work until it has been read from the kernel, the inflater
 * of ws, or the socket that a full queue pauses.
 *
 * Input counts as read when two checks found none, with a whole poll of the event loop between them. One check is not enough:
 * when ws has just parsed all that it held, the kernel may hold more.
 */
import { afterInput } from '../base/clock.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { WorkCounter } from './work.ts'

/** Longest time between two checks, milliseconds. */
const MAX_DELAY = 32

/** The messages whose input is waited for. */
export interface InputSource {
  /** Whether input waits to be parsed or delivered. */
  readonly hasUnread: boolean
  readonly work: WorkCounter
  /** Called when the input has been read. */
  inputRead (): void
}

export class UnreadInput {
  readonly #clock: Clock
  readonly #source: InputSource
  #timer: Timer | null = null
  #delay = 1
  #ended = false
  /** Whether `messages()` takes no new messages after this input. */
  isLast = false

  constructor (clock: Clock, source: InputSource) {
    this.#clock = clock
    this.#source = source
    source.work.start()
    this.#check()
  }

  /** Ends the wait. */
  end (): void {
    this.#ended = true
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer)
    this.#source.work.end()
  }

  #check (): void {
    if (this.#ended) return
    if (!this.#source.hasUnread) return afterInput(this.#clock, () => { this.#checkAgain() })
    // A consumer may be slow: the checks become rarer.
    this.#timer = this.#clock.setTimeout(() => { afterInput(this.#clock, () => { this.#check() }) }, this.#delay)
    this.#delay = Math.min(MAX_DELAY, this.#delay * 2)
  }

  #checkAgain (): void {
    if (this.#ended) return
    if (this.#source.hasUnread) this.#check()
    else this.#source.inputRead()
  }
}
