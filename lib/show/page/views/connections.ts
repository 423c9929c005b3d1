/**
 * The connections: searched, sorted and cut on the server.
 */
import { STATES } from '../../../connection/connection.ts'
import type { Connection } from '../../../connection/connection.ts'
import { cut, count, duration, href, html } from '../html.ts'
import type { View } from '../layout.ts'
import type { Site } from '../site.ts'
import { pick } from '../pick.ts'
import { keepOrder, orderIn, placesIn, select, table } from '../table.ts'
import type { Column } from '../table.ts'

const columnsAt = (now: number): Array<Column<Connection>> => [
  { name: 'Id', sort: 'id', key: ({ id }) => id, cell: ({ id }) => html`<a href="${href({ id })}">${id}</a>` },
  { name: 'State', sort: 'state', ascending: true, key: ({ state }) => STATES.indexOf(state), cell: ({ state }) => html`<span class="state ${state}">${state}</span>` },
  { name: 'Route', sort: 'route', ascending: true, key: ({ route }) => route, cell: ({ route }) => cut(route) },
  { name: 'Owner', sort: 'owner', ascending: true, key: ({ owner }) => owner ?? '', cell: ({ owner }) => cut(owner ?? '') },
  { name: 'Tags', cell: ({ tags }) => cut([...tags].join(', ')) },
  { name: 'Address', sort: 'ip', ascending: true, key: ({ ip }) => ip, cell: ({ ip }) => ip },
  { name: 'Protocol', cell: ({ socket }) => cut(socket.protocol) },
  { name: 'Age', numeric: true, cell: ({ openedAt }) => duration(now - openedAt) },
  { name: 'Round trip', sort: 'rtt', key: ({ rtt }) => rtt ?? -1, numeric: true, cell: ({ rtt }) => rtt === undefined ? '' : duration(rtt) },
  { name: 'Messages', sort: 'messages', key: ({ messagesReceived }) => messagesReceived, numeric: true, cell: ({ messagesReceived }) => count(messagesReceived) }
]

/** Makes the view. */
export async function connectionsView ({ tracker }: Site, query: URLSearchParams): Promise<View> {
  const q = query.get('q')?.trim() ?? ''
  const state = query.get('state') ?? ''
  const columns = columnsAt(tracker.clock.wallNow())
  const { sort, key, descending } = orderIn(query, columns)
  const searched = q.toLowerCase()
  const matches = (connection: Connection) => (state === '' || connection.state === state) && (searched === '' || contains(connection, searched))
  const picked = await pick(tracker.clock, tracker.list(), { matches, key, descending, ...placesIn(query) })
  return {
    title: 'Connections',
    body: html`
<form role="search">
<label>Search <input type="search" name="q" value="${q}" placeholder="id, route, owner, tag, address"></label>
${select('state', 'State', STATES.filter((each) => each !== 'closed'), state)}
${keepOrder(sort, descending)}
<button>Search</button>
</form>
${table('Connections', columns, picked, { parameters: { q, state }, sort, descending })}`
  }
}

/** Returns whether a field of a connection contains the text, which is in lower case. */
function contains ({ id, route, owner, ip, requestId, tags }: Connection, searched: string): boolean {
  if (String(id) === searched || [route, owner, ip, requestId].some((field) => field?.toLowerCase().includes(searched) === true)) return true
  for (const tag of tags) if (tag.toLowerCase().includes(searched)) return true
  return false
}
