/**
 * The routes with their numbers, and what was closed and refused, from counters.
 */
import type { RouteStats } from '../../../track/stats.ts'
import { bytes, count, cut, html } from '../html.ts'
import type { View } from '../layout.ts'
import type { Site } from '../site.ts'
import { sum } from '../numbers.ts'
import { pick } from '../pick.ts'
import { facts, orderIn, placesIn, table } from '../table.ts'
import type { Column } from '../table.ts'

interface Route extends RouteStats {
  /** Its place among the routes. */
  id: number
  name: string
}

function numbers (name: string, sort: string, key: (route: Route) => number, text = count): Column<Route> {
  return { name, sort, key, numeric: true, cell: (route) => text(key(route)) }
}

const COLUMNS: Array<Column<Route>> = [
  { name: 'Route', sort: 'route', ascending: true, key: ({ name }) => name, cell: ({ name }) => cut(name) },
  numbers('Open', 'open', ({ open }) => open),
  numbers('Draining', 'draining', ({ draining }) => draining),
  numbers('Closing', 'closing', ({ closing }) => closing),
  numbers('Opened', 'opened', ({ opened }) => opened),
  numbers('Closed', 'closed', ({ closed }) => sum(closed.map(({ count: times }) => times))),
  numbers('Messages in', 'received', ({ messages }) => messages.received),
  numbers('out', 'sent', ({ messages }) => messages.sent),
  numbers('Bytes in', 'bytes-received', ({ bytes: size }) => size.received, bytes),
  numbers('out', 'bytes-sent', ({ bytes: size }) => size.sent, bytes)
]

/** Makes the view. */
export async function routesView ({ tracker }: Site, query: URLSearchParams): Promise<View> {
  const { routes, closed, refused, broadcasts, expected } = tracker.stats()
  const items = Object.entries(routes).map(([name, route], index): Route => ({ ...route, name, id: index + 1 }))
  const { sort, key, descending } = orderIn(query, COLUMNS)
  const picked = await pick(tracker.clock, items, { matches: () => true, key, descending, ...placesIn(query) })
  return {
    title: 'Routes',
    body: html`
${table('Routes', COLUMNS, picked, { parameters: { view: 'routes' }, sort, descending })}
<h3>Since the start</h3>
${facts([
  ['Closed, by cause', list(closed)],
  ['Refused, by reason', list(refused)],
  ['Broadcasts, by connection', list({ ...broadcasts })],
  ['Expected', `${count(expected)} clients: connected, or told to come back here`]
])}`
  }
}

function list (counts: Partial<Record<string, number>>): string {
  return Object.entries(counts).filter(([, times]) => times! > 0).map(([name, times]) => `${name} ${count(times!)}`).join(', ') || 'none'
}
