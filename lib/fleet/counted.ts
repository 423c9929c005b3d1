/**
 * Which connections count for an owner or a tag in a fleet: those that are not closing, and whose client has not moved to a new one.
 */
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { FleetFilter } from '../track/fleet.ts'
import type { Registry } from '../track/registry.ts'

/** Returns whether a connection counts. */
function isCounted (connection: ManagedConnection): boolean { return !isClosing(connection.state) && !connection.host.mover.moved(connection) }

/** Counts the connections of this node that match, as the engine counts those of others. */
export function countHere (registry: Registry, filter: FleetFilter): number { return registry.select(filter).filter(isCounted).length }
