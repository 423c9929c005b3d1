/**
 * The history: how the last connections ended.
 */
import { CAUSE_CODES } from '../../../base/close-codes.ts'
import type { HistoryEntry } from '../../../track/history.ts'
import type { Fleet, FleetStory } from '../../../track/fleet.ts'
import { answerOf, gaps } from '../answers.ts'
import { bytes, count, cut, duration, href, html, time } from '../html.ts'
import type { Markup } from '../html.ts'
import type { View } from '../layout.ts'
import type { Site } from '../site.ts'
import { pick } from '../pick.ts'
import { grid, keepOrder, orderIn, placesIn, select, table } from '../table.ts'
import type { Column } from '../table.ts'

/** Longest summary of a story in a table, characters. */
const MAX_SUMMARY = 200

const closedAt = ({ record }: HistoryEntry) => record.openedAt + record.duration

const COLUMNS: Array<Column<HistoryEntry>> = [
  { name: 'Closed (UTC)', sort: 'closed', key: closedAt, cell: (entry) => time(closedAt(entry)) },
  { name: 'Id', sort: 'id', key: ({ id }) => id, cell: ({ id }) => html`<a href="${href({ id })}">${id}</a>` },
  { name: 'Route', sort: 'route', ascending: true, key: ({ record }) => record.route, cell: ({ record }) => cut(record.route) },
  { name: 'Owner', sort: 'owner', ascending: true, key: ({ owner }) => owner ?? '', cell: ({ owner }) => cut(owner ?? '') },
  { name: 'Cause', sort: 'cause', ascending: true, key: ({ record }) => record.cause, cell: ({ record }) => record.cause },
  { name: 'Code', sort: 'code', key: ({ record }) => record.code, numeric: true, cell: ({ record }) => record.code },
  { name: 'Reason', cell: ({ record }) => cut(record.reason) },
  { name: 'Clean', cell: ({ record }) => record.clean ? 'yes' : 'no' },
  { name: 'Open for', sort: 'duration', key: ({ record }) => record.duration, numeric: true, cell: ({ record }) => duration(record.duration) },
  { name: 'Messages', sort: 'messages', key: ({ record }) => record.messages, numeric: true, cell: ({ record }) => count(record.messages) },
  { name: 'Received', numeric: true, cell: ({ record }) => bytes(record.bytesReceived) },
  { name: 'Sent', numeric: true, cell: ({ record }) => bytes(record.bytesSent) }
]

/** Makes the view. */
export async function historyView ({ tracker, fleet }: Site, query: URLSearchParams): Promise<View> {
  const owner = query.get('owner')?.trim() ?? ''
  const cause = query.get('cause') ?? ''
  const code = query.get('code')?.trim() ?? ''
  const { sort, key, descending } = orderIn(query, COLUMNS)
  const matches = ({ record, owner: kept }: HistoryEntry) => (owner === '' || kept === owner) && (cause === '' || record.cause === cause) && (code === '' || String(record.code) === code)
  const picked = await pick(tracker.clock, tracker.historyEntries, { matches, key, descending, ...placesIn(query) })
  return {
    title: 'History',
    body: html`
<form role="search">
<input type="hidden" name="view" value="history">
<label>Owner <input type="search" name="owner" value="${owner}"></label>
${select('cause', 'Cause', Object.keys(CAUSE_CODES).toSorted(), cause)}
<label>Code <input name="code" value="${code}" inputmode="numeric" size="6"></label>
${keepOrder(sort, descending)}
<button>Search</button>
</form>
${table('Closed connections', COLUMNS, picked, { parameters: { view: 'history', owner, cause, code }, sort, descending }, fleet !== null && owner !== '' && await elsewhere(fleet, owner))}`
  }
}

const ELSEWHERE: Array<Column<FleetStory>> = [
  { name: 'Opened (UTC)', cell: ({ story }) => time(story.openedAt) },
  { name: 'Node', cell: ({ node }) => cut(node) },
  { name: 'Id', cell: ({ node, story: { id } }) => html`<a href="${href({ node, id })}">${id}</a>` },
  { name: 'Route', cell: ({ story }) => cut(story.route) },
  { name: 'State', cell: ({ story: { state } }) => html`<span class="state ${state}">${state}</span>` },
  { name: 'Story', cell: ({ story }) => cut(story.summary, MAX_SUMMARY) }
]

/** What the other servers know of an owner: open connections, and those of their history. */
async function elsewhere (fleet: Fleet, owner: string): Promise<Markup> {
  const told = await answerOf(fleet.explain({ owner }))
  const stories = (told.answer?.value ?? []).filter(({ node }) => node !== fleet.node)
  return html`<h3>On other servers</h3>
${stories.length > 0 ? grid('On other servers', ELSEWHERE, stories) : html`<p>None</p>`}
${gaps(told)}
`
}
