/**
 * What the fleet needs of the plugin; wiring.ts fills it.
 */
import type { Clock } from '../base/clock.ts'
import type { Hooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Mover } from '../connection/mover.ts'
import type { Act } from '../track/audit.ts'
import type { BroadcastResult } from '../track/broadcast.ts'
import type { StoryQuery } from '../track/explain.ts'
import type { Filter } from '../track/filter.ts'
import type { FleetChannels } from '../track/fleet.ts'
import type { Registry } from '../track/registry.ts'
import type { Story } from '../track/story.ts'
import type { PlacesHost } from './places.ts'
import type { LoadCounters } from './capacity.ts'
import type { FleetReporter } from './reporter.ts'

export interface FleetHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly hooks: Hooks<ManagedConnection>
  readonly mover: Mover<ManagedConnection>
  readonly reporter: FleetReporter
  readonly channels: FleetChannels
  /** Clients a second that this node can take, by the option `drain.reconnect.rate`. */
  readonly reconnectRate: number
  /** What has happened so far, to measure what this node can take. */
  counters (): LoadCounters
  /** Clients a second for all nodes that stay, at most: `drain.reconnect.rate` if the application has set it. */
  readonly reconnectCeiling: number
  /** What limits that nodes share need; null: there are none. */
  readonly places: PlacesHost | null
  /** Clients that are connected, or were told to come back to this node or another. */
  expected (): number
  /** Whether this node drains: it has stopped to admit connections. */
  draining (): boolean
  /** Sends a message to connections of this node. Throws SOCKETS_ERR_INVALID_FILTER, SOCKETS_ERR_INVALID_ARGUMENT. */
  broadcast (data: string | Uint8Array, filter: Filter): Promise<BroadcastResult>
  /** Returns stories of this node. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  explain (query: StoryQuery): Story[]
  /** Emits an act of administration. */
  audited (act: Act): void
  /** A listener of an event of the fleet threw or rejected. */
  listenerFailed (error: unknown, event: string): void
}
