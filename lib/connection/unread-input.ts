/**
 * Input of a connection that had arrived when it began to drain. It is work until it has been read: it may still lie in the
 * kernel, in the inflater of ws, or behind a queue that is full.
 *
 * Input counts as read when nothing was waiting at two looks with a whole poll of the event loop between them. One look is
 * not enough: when ws has just parsed what it held, the kernel may hold more that is read next.
 */
import { afterInput } from '../base/clock.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { WorkCounter } from './work.ts'

/** Longest time between two looks, milliseconds. */
const LONGEST = 32

/** What is read. */
export interface InputSource {
  /** Whether input waits to be parsed or delivered. */
  readonly hasUnread: boolean
  readonly work: WorkCounter
  /** The input has been read. */
  stop (): void
}

export class UnreadInput {
  readonly #clock: Clock
  readonly #source: InputSource
  #timer: Timer | null = null
  #delay = 1
  #ended = false

  constructor (clock: Clock, source: InputSource) {
    this.#clock = clock
    this.#source = source
    source.work.start()
    this.#look()
  }

  /** Waits no longer. */
  end (): void {
    this.#ended = true
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer)
    this.#source.work.end()
  }

  #look (): void {
    if (this.#ended) return
    if (!this.#source.hasUnread) return afterInput(this.#clock, () => { this.#lookAgain() })
    // A consumer may take its time: the looks become fewer.
    this.#timer = this.#clock.setTimeout(() => { afterInput(this.#clock, () => { this.#look() }) }, this.#delay)
    this.#delay = Math.min(LONGEST, this.#delay * 2)
  }

  #lookAgain (): void {
    if (this.#ended) return
    if (this.#source.hasUnread) this.#look()
    else this.#source.stop()
  }
}
