/**
 * Filters that travel to other nodes.
 */
import { show } from '../base/check.ts'
import { SOCKETS_ERR_INVALID_FILTER } from '../base/errors.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { matcher } from '../track/filter.ts'
import type { Filter } from '../track/filter.ts'
import type { FleetFilter } from '../track/fleet.ts'
import type { FleetCore } from './core.ts'

/** Longest value of a filter, characters. */
const MAX_VALUE = 4_096

/** Checks a filter, of the application or of another node, and returns a copy. Throws SOCKETS_ERR_INVALID_FILTER. */
export function checkRemoteFilter (given: unknown): FleetFilter {
  if (given === 'all') return 'all'
  const filter = typeof given === 'object' && given !== null ? { ...given } as Filter & Record<string, unknown> : given
  const { node, ...ofNode } = (filter ?? {}) as Record<string, unknown>
  const named = typeof filter === 'object' && filter !== null && 'node' in filter
  if (named && typeof node !== 'string') throw new SOCKETS_ERR_INVALID_FILTER(`"node" must be a string, got ${show(node)}`)
  if (!named || Object.keys(ofNode).length > 0) matcher((named ? ofNode : filter) as Exclude<Filter, 'all'>)
  for (const [key, value] of Object.entries(filter as object)) {
    if (key === 'where') throw new SOCKETS_ERR_INVALID_FILTER('"where" is a function, and functions do not travel to other nodes')
    if (key === 'id' && !named) throw new SOCKETS_ERR_INVALID_FILTER('"id" is not unique in a fleet: add "node", or select by owner or tag')
    if (key === 'id' && !Number.isFinite(value)) throw new SOCKETS_ERR_INVALID_FILTER(`"id" must be a number that JSON can write, got ${show(value)}`)
    if (typeof value === 'string' && value.length > MAX_VALUE) throw new SOCKETS_ERR_INVALID_FILTER(`"${key}" has more than ${MAX_VALUE} characters`)
  }
  return filter as FleetFilter
}

/** Returns the nodes that a filter names; undefined: all. */
export function nodesIn (filter: FleetFilter): [string] | undefined {
  return filter === 'all' || filter.node === undefined ? undefined : [filter.node]
}

/** Returns what a filter selects on a node; null: nothing. */
export function filterOn (node: string, filter: FleetFilter): Filter | null {
  if (filter === 'all') return 'all'
  const { node: named = node, ...ofNode } = filter
  if (named !== node) return null
  return Object.keys(ofNode).length === 0 ? 'all' : ofNode
}

/** Returns the connections of a node that a filter selects. */
export function selectOn ({ node, registry }: Pick<FleetCore, 'node' | 'registry'>, filter: FleetFilter): ManagedConnection[] {
  const here = filterOn(node, filter)
  return here === null ? [] : registry.select(here)
}

/** Returns the label by which the engine finds connections that match: an owner, else a tag. `alone`: nothing else is asked for. */
export function labelOf (filter: FleetFilter): { kind: 'owner' | 'tag', label: string, alone: boolean } | null {
  if (filter === 'all') return null
  const { node, owner, tag } = filter
  if (node !== undefined) return null
  const alone = Object.keys(filter).length === 1
  if (owner !== undefined) return { kind: 'owner', label: owner, alone }
  return tag === undefined ? null : { kind: 'tag', label: tag, alone }
}
