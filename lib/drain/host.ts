/**
 * What the drain needs, in addition to what connections share.
 */
import type { Connection } from '../connection/connection.ts'
import type { ConnectionHost } from '../connection/host.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Suppression } from '../connection/suppression.ts'
import type { DrainPlan } from '../track/drain-report.ts'
import type { Events } from '../track/events.ts'
import type { Registry } from '../track/registry.ts'
import type { DrainFleet } from './bookings.ts'
import type { DrainReason, ReconnectOptions } from './reconnect.ts'
import type { Spread } from './schedule.ts'

/** The options and the parts that the drain uses. */
export interface DrainHost extends ConnectionHost<ManagedConnection> {
  suppression: Suppression
  readonly registry: Registry
  readonly events: Events
  readonly plan: DrainPlan
  readonly spread: Spread
  /** The limit of all connections. */
  readonly maxConnections: number | false
  /** Whether another server takes over: clients are then asked to move. */
  readonly takeover: boolean
  /** The fleet that the node leaves; null: it is in none. */
  readonly fleet: DrainFleet | null
  readonly code: number
  readonly reason: DrainReason
  readonly reconnect: ReconnectOptions
  /** Whether code of a connection that the drain has closed may send to other connections. */
  readonly farewells: boolean
  readonly onDrain: ((connection: Connection) => unknown) | undefined
  readonly random: () => number
  /** Refuses the handshakes that still wait in a hook. */
  refuseHandshakes (): void
  /** Reports the error of a hook of the application; must not throw. */
  hookFailed (error: unknown, hook: string): void
}
