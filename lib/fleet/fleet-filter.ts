/**
 * Filters that travel to other nodes.
 */
import { SOCKETS_ERR_INVALID_FILTER } from '../base/errors.ts'
import { matcher } from '../track/filter.ts'
import type { Filter } from '../track/filter.ts'
import type { FleetFilter } from '../track/fleet.ts'

/** Longest value of a filter, characters. */
const MAX_VALUE = 4_096

/** Checks a filter, of the application or of another node, and returns a copy. Throws SOCKETS_ERR_INVALID_FILTER. */
export function checkRemoteFilter (given: unknown): FleetFilter {
  if (given === 'all') return 'all'
  const filter = typeof given === 'object' && given !== null ? { ...given } as Filter & Record<string, unknown> : given
  matcher(filter as Exclude<Filter, 'all'>)
  for (const [key, value] of Object.entries(filter as object)) {
    if (key === 'where') throw new SOCKETS_ERR_INVALID_FILTER('"where" is a function, and functions do not travel to other nodes')
    if (key === 'id') throw new SOCKETS_ERR_INVALID_FILTER('"id" is not unique in a fleet: select by owner or tag')
    if ((value as string).length > MAX_VALUE) throw new SOCKETS_ERR_INVALID_FILTER(`"${key}" has more than ${MAX_VALUE} characters`)
  }
  return filter as FleetFilter
}

/** Returns the label by which the engine finds connections that match: an owner, else a tag. `alone`: nothing else is asked for. */
export function labelOf (filter: FleetFilter): { kind: 'owner' | 'tag', label: string, alone: boolean } | null {
  if (filter === 'all') return null
  const { owner, tag } = filter
  const alone = Object.keys(filter).length === 1
  if (owner !== undefined) return { kind: 'owner', label: owner, alone }
  return tag === undefined ? null : { kind: 'tag', label: tag, alone }
}
