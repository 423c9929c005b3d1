/**
 * The history: how the last connections ended.
 */
import { CAUSE_CODES } from '../../../base/close-codes.ts'
import type { CloseRecord } from '../../../connection/connection.ts'
import { bytes, count, cut, duration, href, html, time } from '../html.ts'
import type { Site, View } from '../layout.ts'
import { pick } from '../pick.ts'
import { keepOrder, orderIn, placesIn, select, table } from '../table.ts'
import type { Column } from '../table.ts'

const closedAt = ({ openedAt, duration }: CloseRecord) => openedAt + duration

const COLUMNS: Array<Column<CloseRecord>> = [
  { name: 'Closed (UTC)', sort: 'closed', key: closedAt, cell: (record) => time(closedAt(record)) },
  { name: 'Id', sort: 'id', key: ({ id }) => id, cell: ({ id }) => html`<a href="${href({ id })}">${id}</a>` },
  { name: 'Route', sort: 'route', ascending: true, key: ({ route }) => route, cell: ({ route }) => cut(route) },
  { name: 'Owner', sort: 'owner', ascending: true, key: ({ owner }) => owner ?? '', cell: ({ owner }) => cut(owner ?? '') },
  { name: 'Cause', sort: 'cause', ascending: true, key: ({ cause }) => cause, cell: ({ cause }) => cause },
  { name: 'Code', sort: 'code', key: ({ code }) => code, numeric: true, cell: ({ code }) => code },
  { name: 'Reason', cell: ({ reason }) => cut(reason) },
  { name: 'Clean', cell: ({ clean }) => clean ? 'yes' : 'no' },
  { name: 'Open for', sort: 'duration', key: (record) => record.duration, numeric: true, cell: (record) => duration(record.duration) },
  { name: 'Messages', sort: 'messages', key: ({ messages }) => messages, numeric: true, cell: ({ messages }) => count(messages) },
  { name: 'Received', numeric: true, cell: ({ bytesReceived }) => bytes(bytesReceived) },
  { name: 'Sent', numeric: true, cell: ({ bytesSent }) => bytes(bytesSent) }
]

/** Makes the view. */
export async function historyView ({ tracker }: Site, query: URLSearchParams): Promise<View> {
  const owner = query.get('owner')?.trim() ?? ''
  const cause = query.get('cause') ?? ''
  const code = query.get('code')?.trim() ?? ''
  const { sort, key, descending } = orderIn(query, COLUMNS)
  const matches = (record: CloseRecord) => (owner === '' || record.owner === owner) && (cause === '' || record.cause === cause) && (code === '' || String(record.code) === code)
  const picked = await pick(tracker.clock, tracker.history, { matches, key, descending, ...placesIn(query) })
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
${table('Closed connections', COLUMNS, picked, { parameters: { view: 'history', owner, cause, code }, sort, descending })}`
  }
}
