/**
 * The typed events of the tracker.
 */
import { Emitter } from '../base/emitter.ts'
import type { CloseRecord, Connection } from '../connection/connection.ts'
import type { AuditRecord } from './audit.ts'
import type { DrainProgress, DrainReport, DrainStart } from './drain-report.ts'
import type { Observation, PolicyName } from './observation.ts'

/** A refused handshake. */
export interface Refusal {
  /** Why it was refused; these words do not change. */
  reason: 'draining' | 'handshake timeout' | 'not a websocket route' | 'fleet' | PolicyName
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
  /** The application or an operator has called `disconnect()` or `drain()`, has given an order to the fleet, or was refused it. */
  audit: [act: AuditRecord]
}

/** A listener for one event; it may be async. */
export type Listener<K extends keyof LifecycleEvents> = (...args: LifecycleEvents[K]) => unknown

export class Events extends Emitter<LifecycleEvents> {
  /** `report` gets what a listener threw or rejected with; it must not throw. */
  constructor (report: (error: unknown, event: string) => void) {
    super({ open: 0, draining: 0, closing: 0, closed: 0, error: 0, refused: 0, observed: 0, drain: 0, progress: 0, drained: 0, audit: 0 }, report)
  }
}
