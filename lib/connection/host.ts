/**
 * What all connections of one tracker share.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../base/clock.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { LineBudget } from '../base/line-budget.ts'
import type { CloseRecord, Connection } from './connection.ts'
import type { Handovers } from './handovers.ts'
import type { Hooks } from './hooks.ts'
import type { Mover } from './mover.ts'
import type { RouteSettings } from './settings.ts'
import type { Steps } from './steps.ts'
import type { Suppression } from './suppression.ts'
import type { Tracing } from './tracing.ts'
import type { Transport } from './transport.ts'

/** Events for the application's listeners. `emit` never throws: an error of a listener is reported. */
export interface ConnectionEvents {
  emit (event: 'draining' | 'closing', connection: Connection): void
  emit (event: 'closed', connection: Connection, record: CloseRecord): void
  emit (event: 'error', error: unknown, connection: Connection): void
}

export interface ConnectionHost<C> {
  readonly clock: Clock
  /** Wall time at the start of the tracker. */
  readonly epoch: number
  readonly transport: Transport
  readonly deadlines: Deadlines
  /** Deadlines in time that passes only while the event loop runs. */
  readonly running: Deadlines
  /** Settings of connections whose route is not known. */
  readonly settings: RouteSettings
  readonly hooks: Hooks<C>
  readonly events: ConnectionEvents
  /** Decides which messages a drain suppresses. */
  readonly suppression: Suppression
  /** Traces what connections do; null without tracing. */
  readonly tracing: Tracing<C> | null
  /** Asks clients to move to a new connection. */
  readonly mover: Mover<C>
  /** Hands states over to the next connections of clients. */
  readonly handovers: Handovers<C>
  /** What happened to connections before their close. */
  readonly steps: Steps
  /** Limits the log lines about connections during a drain. */
  readonly lines: LineBudget
  /** Time for a peer to answer a close frame, from when the frame has left, milliseconds. */
  readonly closeTimeout: number
  /** Longest time of one cleanup, milliseconds. */
  readonly cleanupTimeout: number
  /** Whether an error of a listener closes its connection, and does not reach the process. */
  readonly isolation: boolean
  /** Close code after a fault. */
  readonly errorCode: number
  /** Makes the child logger of a connection. */
  childLogger (connection: Connection): FastifyBaseLogger
  /** Reports an error of the application's code on a connection; must not throw. */
  report (error: unknown, connection: Connection): void
}
