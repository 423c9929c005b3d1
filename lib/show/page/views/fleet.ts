/**
 * The connections of all servers: searched by what the nodes can look up, a page at a time.
 */
import { STATES } from '../../../connection/connection.ts'
import type { ConnectionState } from '../../../connection/connection.ts'
import type { Fleet, FleetFilter, RemoteConnection } from '../../../track/fleet.ts'
import { answerOf, gaps } from '../answers.ts'
import { cut, duration, href, html } from '../html.ts'
import type { View } from '../layout.ts'
import type { Site } from '../site.ts'
import { grid, select } from '../table.ts'
import type { Column } from '../table.ts'

/** Fields of the search, by their keys in a filter. */
const FIELDS = [['owner', 'Owner'], ['tag', 'Tag'], ['route', 'Route'], ['node', 'Node']] as const

const columnsAt = (now: number): Array<Column<RemoteConnection>> => [
  { name: 'Node', cell: ({ node }) => cut(node) },
  { name: 'Id', cell: ({ node, id }) => html`<a href="${href({ node, id })}">${id}</a>` },
  { name: 'State', cell: ({ state }) => html`<span class="state ${state}">${state}</span>` },
  { name: 'Route', cell: ({ route }) => cut(route) },
  { name: 'Owner', cell: ({ owner }) => cut(owner ?? '') },
  { name: 'Tags', cell: ({ tags }) => cut(tags.join(', ')) },
  { name: 'Address', cell: ({ ip }) => cut(ip) },
  { name: 'Age', numeric: true, cell: ({ openedAt }) => duration(Math.max(0, now - openedAt)) }
]

/** Makes the view. */
export async function fleetView ({ tracker, fleet }: Site & { fleet: Fleet }, query: URLSearchParams): Promise<View> {
  const asked = Object.fromEntries([...FIELDS.map(([key]) => key), 'state'].map((key) => [key, query.get(key)?.trim() ?? '']))
  const after = query.get('after') ?? undefined
  const listed = await answerOf(fleet.list(filterOf(asked), { after }))
  const { value: rows, next } = listed.answer ?? { value: [], next: null }
  const link = (more: Record<string, string>) => href({ view: 'fleet', ...asked, ...more })
  return {
    title: 'Connections of all servers',
    body: html`
<form role="search">
<input type="hidden" name="view" value="fleet">
${FIELDS.map(([key, name]) => html`<label>${name} <input type="search" name="${key}" value="${asked[key]}"></label>`)}
${select('state', 'State', STATES.filter((each) => each !== 'closed'), asked['state']!)}
<button>Search</button>
</form>
<div id="rows">
${grid('Connections of all servers', columnsAt(tracker.clock.wallNow()), rows)}
<p class="pager">${rows.length === 0 && 'None'}
${after !== undefined && html` <a href="${link({})}">First</a>`}
${next !== null && html` <a rel="next" href="${link({ after: next })}">Next</a>`}</p>
${gaps(listed)}
</div>`
  }
}

/** Returns the filter of a search. A state that is none is for any: so it is in the field. */
function filterOf ({ state, ...asked }: Record<string, string>): FleetFilter {
  const filter = Object.fromEntries(Object.entries({ ...asked, state: STATES.includes(state as ConnectionState) ? state : '' }).filter(([, value]) => value !== ''))
  return Object.keys(filter).length === 0 ? 'all' : filter
}
