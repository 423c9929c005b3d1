/**
 * The end of a drain for connections that have not closed: their raw sockets are destroyed, then their cleanups are given up.
 *
 * Both are done in slices, and begin early enough to end in time even if the process gets little CPU: a drain sends fewer close
 * frames rather than end late.
 */
import { afterInput, inSlices, RUN, SLICE } from '../base/clock.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainHost } from './host.ts'
import type { CloseFrames } from './close-frame.ts'
import type { Pace } from './pace.ts'
import type { DrainMoments } from './plan.ts'

/** Ratio of the time reserved to the time expected; also of the time with close frames to the time without. */
const MARGIN = 1.25
/** Least time to give up all that is left, milliseconds: where `reserve` is short, or the process stood still until it was over. */
const LEAST_TIME = 250
/**
 * Part of the time for cutting off in which no close frame is given up, nor the pace measured: the first ones take longest, as their
 * code is not compiled yet.
 */
const WARM_UP = 2 / 3
/** Part of the time for giving up in which close frames still go out. */
const WITH_FRAMES = 0.25

export class CutOff {
  readonly #host: DrainHost
  readonly #pace: Pace
  readonly #closeFrames: CloseFrames
  /** Whether begin() or giveUp() was called. */
  begun = false
  /** Whether giveUp() was called. */
  givingUp = false

  constructor (host: DrainHost, pace: Pace, closeFrames: CloseFrames) {
    this.#host = host
    this.#pace = pace
    this.#closeFrames = closeFrames
  }

  /** Returns the moment to begin, for the number of connections that are left. */
  at ({ cutAt, endAt }: DrainMoments): number {
    return Math.min(cutAt, endAt - this.#expected(this.#pace.longSlice))
  }

  /** Destroys all raw sockets by `endAt`. */
  begin (endAt: number): void {
    if (this.begun) return
    this.begun = true
    this.#pace.clear()
    const { clock, registry } = this.#host
    const startedAt = clock.now()
    const left = registry.snapshot()
    const warmAt = startedAt + (endAt - startedAt) * WARM_UP
    // The pace is that since the last slice which began before.
    let [since, doneThen] = [startedAt, 0]
    let done = 0
    const slice = startedAt + this.#expected(SLICE) < endAt ? SLICE : this.#pace.longSlice
    inSlices(clock, left, (connection) => {
      // giveUp() has them all.
      if (this.givingUp) return
      const now = clock.now()
      const rest = (now - since) * (left.length - ++done) / (done - doneThen)
      this.#closeFrames.terminate(connection, now < warmAt || now + rest / MARGIN <= endAt)
    }, undefined, () => {
      const now = clock.now()
      if (now < warmAt) [since, doneThen] = [now, done]
      return slice
    })
  }

  /**
   * The timeout has passed: destroys all raw sockets, gives cleanups one more turn of the event loop, then gives them up; connections
   * with cleanups come first. When half of `reserve` has passed, too, `done` is called, and what is left is done behind it: the other
   * half is for what follows the drain. `done` is called again when all is done, and may be called between.
   * An aborted drain does so without slices, also if it was done in slices until then: the process ends a few turns later.
   */
  giveUp (endAt: number, aborted: boolean, done: () => void): void {
    this.begun = this.givingUp = true
    const { registry, clock, plan } = this.#host
    const until = aborted ? Infinity : Math.max(endAt + plan.reserve / 2, clock.now() + LEAST_TIME)
    const slice = () => aborted ? Infinity : clock.now() < until ? this.#pace.longSlice : SLICE
    const each = (connections: readonly ManagedConnection[], act: (connection: ManagedConnection) => void, then: () => void) => {
      inSlices(clock, connections, (connection) => {
        act(connection)
        if (clock.now() >= until) done()
      }, then, slice)
    }
    const left = () => [...registry.snapshot(), ...registry.late]
    const framesUntil = clock.now() + (until - clock.now()) * WITH_FRAMES
    let count = 0
    const terminate = (connection: ManagedConnection) => {
      // The first frames take longest, as their code is not compiled yet: RUN of them are sent however long that takes.
      this.#closeFrames.terminate(connection, !aborted && (count++ < RUN || clock.now() < framesUntil))
      connection.startCleanups()
    }
    const others: ManagedConnection[] = []
    each(left(), (connection) => {
      if (connection.parts.cleanups === null) others.push(connection)
      else terminate(connection)
    }, () => {
      each(others, terminate, () => {
        afterInput(clock, () => { each(left(), (connection) => { connection.giveUp() }, done) })
      })
    })
  }

  /** Returns the milliseconds to reserve for destroying all raw sockets in slices of `slice` milliseconds. */
  #expected (slice: number): number {
    const { size, cleaning } = this.#host.registry
    return this.#pace.toCut(size - cleaning.size, slice) * MARGIN
  }
}
