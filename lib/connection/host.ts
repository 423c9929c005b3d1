/**
 * What all connections of one tracker share.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../base/clock.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { LineBudget } from '../base/line-budget.ts'
import type { CloseRecord, Connection } from './connection.ts'
import type { Hooks } from './hooks.ts'
import type { Settings } from './settings.ts'
import type { Suppression } from './suppression.ts'
import type { Transport } from './transport.ts'

/** The application's listeners; what they throw is reported and goes no further. */
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
  /** Settings of connections whose route has none of its own. */
  readonly settings: Settings
  /** The parts of the plugin that hear of connections. */
  readonly hooks: Hooks<C>
  readonly events: ConnectionEvents
  /** What the drain keeps from being sent. */
  readonly suppression: Suppression
  /** Log lines that may be written about connections. */
  readonly lines: LineBudget
  /** Milliseconds a peer has to answer a close frame, from when the frame has left. */
  readonly closeTimeout: number
  /** Milliseconds one cleanup may take. */
  readonly cleanupTimeout: number
  /** Whether what listeners throw ends their connection instead of the process. */
  readonly isolation: boolean
  /** Close code after a fault. */
  readonly errorCode: number
  /** Makes the child logger of a connection. */
  childLogger (connection: Connection): FastifyBaseLogger
  /** Reports what a connection's code threw; must not throw. */
  report (error: unknown, connection: Connection): void
}
