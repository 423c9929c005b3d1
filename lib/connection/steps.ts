/**
 * What the server has told a connection, or heard of it, before its close: steps that few connections take.
 *
 * They are kept apart from the connection, which then costs nothing for them, until its record has them.
 */
import type { Clock } from '../base/clock.ts'

/** A step of a connection before its close. */
export interface Step {
  /** What happened. */
  what: 'draining' | 'asked to move' | 'moved' | 'move failed'
  /** Time since the handshake, milliseconds. */
  after: number
}

const NONE: readonly Step[] = Object.freeze([])

/** What steps need of a connection. */
interface Started { readonly startedAt: number }

export class Steps {
  readonly #clock: Pick<Clock, 'now'>
  readonly #all = new Map<Started, Step[]>()

  constructor (clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** Number of connections with steps. */
  get size (): number { return this.#all.size }

  /** Returns the steps of a connection, in order. */
  of (connection: Started): readonly Step[] { return (this.#all.size > 0 && this.#all.get(connection)) || NONE }

  /** Adds a step that was not added before: a client may be asked again, with another delay. */
  add (connection: Started, what: Step['what']): void {
    const step = { what, after: Math.max(0, Math.round(this.#clock.now() - connection.startedAt)) }
    const steps = this.#all.get(connection)
    if (steps === undefined) this.#all.set(connection, [step])
    else if (!steps.some((other) => other.what === what)) steps.push(step)
  }

  delete (connection: Started): void { this.#all.delete(connection) }
}
