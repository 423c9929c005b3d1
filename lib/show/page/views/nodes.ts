/**
 * The nodes of the fleet: what each has, what it can take, who leaves, and which of them do not answer.
 */
import type { Fleet, FleetNode, FleetTurns, MissingNode } from '../../../track/fleet.ts'
import { answerOf, gaps } from '../answers.ts'
import { count, cut, duration, href, html } from '../html.ts'
import type { Content, Markup } from '../html.ts'
import type { View } from '../layout.ts'
import { pick } from '../pick.ts'
import type { Site } from '../site.ts'
import { facts, orderIn, placesIn, table } from '../table.ts'
import type { Column } from '../table.ts'

interface Row extends Omit<FleetNode, 'id'> {
  /** Its place among the nodes. */
  id: number
  name: string
  missing: MissingNode | undefined
}

const COLUMNS: Array<Column<Row>> = [
  { name: 'Node', sort: 'node', ascending: true, key: ({ name }) => name, cell: ({ name, self }) => html`<a href="${href({ view: 'fleet', node: name })}">${cut(name)}</a>${self && ' (this server)'}` },
  { name: 'State', sort: 'state', key: ({ state }) => state, cell: ({ state }) => html`<span class="state ${state === 'running' ? 'open' : 'draining'}">${state}</span>` },
  { name: 'Connections', sort: 'connections', key: ({ connections }) => connections, numeric: true, cell: ({ connections }) => count(connections) },
  { name: 'Expected', sort: 'expected', key: ({ expected }) => expected, numeric: true, cell: ({ expected }) => count(expected) },
  { name: 'Takes', sort: 'capacity', key: ({ capacity }) => capacity, numeric: true, cell: ({ capacity }) => perSecond(capacity) },
  { name: 'Leaves', sort: 'booked', key: ({ booked }) => booked?.clients ?? -1, cell: ({ booked }) => booked !== null && leaves(booked) },
  { name: 'Answers', sort: 'answers', ascending: true, key: ({ missing }) => missing === undefined ? 'yes' : missing.state, cell: ({ missing }) => missing === undefined ? 'yes' : html`<b>${missing.state}</b>` },
  { name: 'Last seen', sort: 'seen', key: ({ lastSeen }) => lastSeen, numeric: true, cell: ({ self, lastSeen }) => !self && duration(lastSeen) },
  { name: 'Version', cell: ({ version }) => version }
]

/** Makes the view. */
export async function nodesView ({ tracker, fleet }: Site & { fleet: Fleet }, query: URLSearchParams): Promise<View> {
  // The cheapest question to all nodes, for who does not answer it.
  const counted = await answerOf(fleet.count())
  const missing = new Map(counted.answer?.missing.map((each) => [each.node, each]))
  const items = fleet.nodes.map(({ id, ...node }, index): Row => ({ ...node, id: index + 1, name: id, missing: missing.get(id) }))
  const { sort, key, descending } = orderIn(query, COLUMNS)
  const picked = await pick(tracker.clock, items, { matches: () => true, key, descending, ...placesIn(query) })
  const { state, nodes, lost, orders, arrivals, ignored } = tracker.stats().fleet!
  const takes = items.reduce((sum, { capacity }) => sum + capacity, 0)
  return {
    title: 'Nodes',
    body: html`
${table('Nodes', COLUMNS, picked, { parameters: { view: 'nodes' }, sort, descending }, html`${gaps(counted)}
${facts([
  ['Engine', state],
  ['Leaving', nodes.draining > 0 && count(nodes.draining)],
  ['Connections', counted.answer !== null && count(counted.answer.value)],
  ['Arrivals booked', `${perSecond(arrivals)} of ${perSecond(takes)} that the nodes can take`],
  ['Orders not carried out', count(orders.waiting)],
  ['Nodes found lost here', count(lost)],
  ['Messages ignored', count(ignored)]
])}`)}`
  }
}

/** What is left of the turns of a node. */
export function leaves ({ clients, rate, within }: FleetTurns): string {
  return `${count(clients)} clients, ${perSecond(rate)}, within ${duration(within)}`
}

/** Nodes that leave, as a part of another view; false if there are none. */
export function leavers ({ nodes }: Fleet): Markup | false {
  const leaving = nodes.filter(({ state, booked }) => state === 'draining' || booked !== null)
  return leaving.length > 0 && html`<h3>Nodes that leave</h3>
${facts(leaving.map(({ id, connections, booked }): [string, Content] => [cut(id), booked === null ? `${count(connections)} connections` : leaves(booked)]))}`
}

function perSecond (rate: number): string { return `${count(Math.round(rate))}/s` }
