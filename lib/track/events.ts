/**
 * The typed events of the tracker.
 *
 * The error of a listener that throws or rejects is reported; it reaches neither the emitter nor the other listeners.
 */
import { show } from '../base/check.ts'
import type { CloseRecord, Connection } from '../connection/connection.ts'
import type { AuditRecord } from './audit.ts'
import type { DrainProgress, DrainReport, DrainStart } from './drain-report.ts'
import type { Observation, PolicyName } from './observation.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'

/** A refused handshake. */
export interface Refusal {
  /** Why it was refused; these words do not change. */
  reason: 'draining' | 'handshake timeout' | 'not a websocket route' | PolicyName
  /** Path of the request, without its query string. */
  path: string
  /** Address of the peer as the raw socket knows it. */
  ip: string
}

/** Event name → arguments of its listeners. */
export interface LifecycleEvents {
  /** A connection was accepted; its handler has not run yet. */
  open: [connection: Connection]
  /** The connection has started to drain. */
  draining: [connection: Connection]
  /** A close frame was sent or received, or the raw socket is gone. */
  closing: [connection: Connection]
  /** The raw socket is gone and the cleanups have settled. */
  closed: [connection: Connection, record: CloseRecord]
  /** Code that belongs to a connection threw or rejected. */
  error: [error: unknown, connection: Connection]
  /** A handshake was refused. */
  refused: [refusal: Refusal]
  /** A policy that only observes would have acted. */
  observed: [observation: Observation]
  /** A drain has started. */
  drain: [start: DrainStart]
  /** Progress of the drain: at every change of phase and four times a second. */
  progress: [progress: DrainProgress]
  /** The drain has ended. */
  drained: [report: DrainReport]
  /** The application or an operator has called `disconnect()` or `drain()`, or was refused it. */
  audit: [act: AuditRecord]
}

/** A listener for one event; it may be async. */
export type Listener<K extends keyof LifecycleEvents> = (...args: LifecycleEvents[K]) => unknown

/** Keys of an object, so that the compiler finds a missing name. */
const NAMES = Object.keys({
  open: 0, draining: 0, closing: 0, closed: 0, error: 0, refused: 0, observed: 0, drain: 0, progress: 0, drained: 0, audit: 0
} satisfies Record<keyof LifecycleEvents, 0>)

/** Arrays that are never changed: an event that is under way continues with the listeners that it began with. */
type Listeners = { [K in keyof LifecycleEvents]?: ReadonlyArray<Listener<K>> }

export class Events {
  readonly #listeners: Listeners = {}
  readonly #report: (error: unknown, event: string) => void

  /** `report` gets what a listener threw or rejected with; it must not throw. */
  constructor (report: (error: unknown, event: string) => void) {
    this.#report = report
  }

  /** Adds a listener once. Throws SOCKETS_ERR_INVALID_ARGUMENT for an unknown event, and for a listener that is not a function. */
  on<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): void {
    checkArguments(event, listener)
    const listeners = this.#of(event)
    if (!listeners.includes(listener)) this.#listeners[event] = [...listeners, listener] as never
  }

  /** Removes a listener, if it was added. Throws as `on` does. */
  off<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): void {
    checkArguments(event, listener)
    this.#listeners[event] = this.#of(event).filter((each) => each !== listener) as never
  }

  emit<K extends keyof LifecycleEvents> (event: K, ...args: LifecycleEvents[K]): void {
    for (const listener of this.#of(event)) attempt(() => listener(...args), (error) => this.#report(error, event))
  }

  #of<K extends keyof LifecycleEvents> (event: K): ReadonlyArray<Listener<K>> {
    return (this.#listeners[event] as ReadonlyArray<Listener<K>> | undefined) ?? []
  }
}

function checkArguments (event: string, listener: unknown): void {
  if (!NAMES.includes(event)) throw new SOCKETS_ERR_INVALID_ARGUMENT('event', `one of ${NAMES.join(', ')}`, show(event))
  if (typeof listener !== 'function') throw new SOCKETS_ERR_INVALID_ARGUMENT('listener', 'a function', show(listener))
}
