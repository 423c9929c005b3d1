/**
 * What the drain leans on, beside what connections share.
 */
import type { Connection } from '../connection/connection.ts'
import type { ConnectionHost } from '../connection/host.ts'
import type { DrainPlan } from '../track/drain-report.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { Events } from '../track/events.ts'
import type { Registry } from '../track/registry.ts'
import type { DrainReason, ReconnectOptions } from './reconnect.ts'

/** What the drain needs of the tracker. */
export interface DrainHost extends ConnectionHost {
  readonly registry: Registry
  readonly events: Events
  /** Whether policies act. */
  readonly enforcement: Enforcement
  readonly plan: DrainPlan
  /** Whether a spread was asked for. */
  readonly evenly: boolean
  readonly code: number
  readonly reason: DrainReason
  readonly reconnect: ReconnectOptions
  /** Whether code of a connection that the drain has closed may send to the others. */
  readonly farewells: boolean
  readonly onDrain: ((connection: Connection) => unknown) | undefined
  readonly random: () => number
  /** From now on handshakes are turned away. */
  stopAdmitting (): void
  /** Turns away the handshakes that still wait in somebody's hook. */
  refuseHandshakes (): void
}
