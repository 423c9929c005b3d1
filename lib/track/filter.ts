/**
 * Filters: which connections a query, a disconnect or a broadcast selects.
 *
 * A mistake must never select every connection: an empty filter, an unknown key, and a value that is undefined throw.
 * The literal 'all' selects every connection.
 */
import { show } from '../base/check.ts'
import { STATES } from '../connection/connection.ts'
import type { Connection, ConnectionState } from '../connection/connection.ts'
import { SOCKETS_ERR_INVALID_FILTER } from '../base/errors.ts'
import { isThenable } from '../base/guard.ts'

/** Selects connections: those that match all keys, or every connection. */
export type Filter = 'all' | {
  /** The id of the connection. */
  id?: number
  /** The owner of the connection. */
  owner?: string
  /** A tag of the connection. */
  tag?: string
  /** Pattern of the route, as it was declared. */
  route?: string
  /** The state of the connection. */
  state?: ConnectionState
  /** A test of the application; must not be async. */
  where?: (connection: Connection) => boolean
}

/** Key → type of its value. */
const TYPES: Record<string, string> = { id: 'number', owner: 'string', tag: 'string', route: 'string', state: 'string', where: 'function' }
const KEYS = Object.keys(TYPES)

/** Checks a filter, and returns the test for one connection. Throws SOCKETS_ERR_INVALID_FILTER. */
export function matcher (filter: Exclude<Filter, 'all'>): (connection: Connection) => boolean {
  if (typeof filter !== 'object' || filter === null) throw new SOCKETS_ERR_INVALID_FILTER(`expected an object, got ${show(filter)}`)
  const entries = Object.entries(filter)
  if (entries.length === 0) throw new SOCKETS_ERR_INVALID_FILTER('it is empty')
  for (const [key, value] of entries) {
    if (!KEYS.includes(key)) throw new SOCKETS_ERR_INVALID_FILTER(`unknown key "${key}", known keys are ${KEYS.join(', ')}`)
    if (value === undefined) throw new SOCKETS_ERR_INVALID_FILTER(`"${key}" is undefined`)
    const type = TYPES[key]
    // eslint-disable-next-line valid-typeof -- the type is one of TYPES
    if (typeof value !== type) throw new SOCKETS_ERR_INVALID_FILTER(`"${key}" must be a ${type}, got ${show(value)}`)
  }
  // Not from `filter`: a getter may return another value than the one checked.
  const { id, owner, tag, route, state, where } = Object.fromEntries(entries) as Exclude<Filter, 'all'>
  if (state !== undefined && !STATES.includes(state)) throw new SOCKETS_ERR_INVALID_FILTER(`"state" must be one of ${STATES.join(', ')}, got ${state}`)
  return (connection) =>
    (id === undefined || connection.id === id) &&
    (owner === undefined || connection.owner === owner) &&
    (tag === undefined || connection.tags.has(tag)) &&
    (route === undefined || connection.route === route) &&
    (state === undefined || connection.state === state) &&
    (where === undefined || holds(where, connection))
}

/** Returns the result of `where`. Throws for a promise, which would be true for every connection. */
function holds (where: (connection: Connection) => boolean, connection: Connection): boolean {
  const answer: unknown = where(connection)
  if (isThenable(answer)) throw new SOCKETS_ERR_INVALID_FILTER('"where" must not be async')
  return Boolean(answer)
}
