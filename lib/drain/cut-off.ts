/**
 * The end of a drain for those who do not leave by themselves: their raw sockets are destroyed, then their cleanups are
 * given up.
 *
 * Both in slices, and begun early enough for what is left to do, however little CPU there is: close frames are given up
 * before the drain is late.
 */
import { afterInput, inSlices, LONG_SLICE, RUN, SLICE } from '../base/clock.ts'
import type { DrainHost } from './host.ts'
import type { CloseFrames } from './close-frame.ts'
import type { Pace } from './pace.ts'
import type { DrainMoments } from './plan.ts'

/** How many times as long as expected it may take; and how many times as long it takes with close frames as without. */
const MARGIN = 1.25
/** Part of the connections that counts as done at first: the first ones take longest. */
const HEAD_START = 0.05

export class CutOff {
  readonly #host: DrainHost
  readonly #pace: Pace
  readonly #closeFrames: CloseFrames
  /** Whether all connections are cut off by now, or about to be. */
  begun = false
  /** Whether nothing is waited for any more. */
  givingUp = false

  constructor (host: DrainHost, pace: Pace, closeFrames: CloseFrames) {
    this.#host = host
    this.#pace = pace
    this.#closeFrames = closeFrames
  }

  /** When to begin, for it to be done in time with those who are left. */
  at ({ cutAt, endAt }: DrainMoments): number {
    return Math.min(cutAt, endAt - this.#expected(LONG_SLICE))
  }

  /** Destroys the raw sockets that are still there, until `endAt` at the latest. */
  begin (endAt: number): void {
    if (this.begun) return
    this.begun = true
    this.#pace.clear()
    const { clock, registry } = this.#host
    const startedAt = clock.now()
    const left = registry.snapshot()
    let done = left.length * HEAD_START
    inSlices(clock, left, (connection) => {
      const now = clock.now()
      const rest = (now - startedAt) * (left.length - done) / done++
      this.#closeFrames.kill(connection, now + rest / MARGIN <= endAt)
    }, undefined, startedAt + this.#expected(SLICE) < endAt ? SLICE : LONG_SLICE)
  }

  /**
   * The time is up: what is left is cut off, cleanups get one more turn of the event loop, then they are given up.
   * At once where the drain was aborted: the process ends a few turns later.
   */
  giveUp (aborted: boolean, done: () => void): void {
    this.begun = this.givingUp = true
    const { registry, clock } = this.#host
    const left = () => [...registry.snapshot(), ...registry.late]
    const slice = aborted ? Infinity : LONG_SLICE
    const tellUntil = clock.now() + LONG_SLICE
    let told = 0
    inSlices(clock, left(), (connection) => {
      // The first frames take longest, in code that has not run yet: a few are sent however long that takes.
      this.#closeFrames.kill(connection, !aborted && (told++ < RUN || clock.now() < tellUntil))
      connection.startCleanups()
    }, () => {
      afterInput(clock, () => { inSlices(clock, left(), (connection) => { connection.giveUp() }, done, slice) })
    }, slice)
  }

  /** Milliseconds to keep for cutting off who is left, in slices of `slice` milliseconds. */
  #expected (slice: number): number {
    const { size, cleaning } = this.#host.registry
    return this.#pace.toCut(size - cleaning, slice) * MARGIN
  }
}
