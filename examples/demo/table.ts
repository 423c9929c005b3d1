// The table at the end: both servers side by side, within 100 columns. The text below it is written by explain.ts.

import { crowd, kinds, lateClients, labels, type Kind } from './protocol.ts'
import type { Outcome } from './side.ts'
import { formatCounts } from './counts.ts'
import { explain, noteCodes, noteReplies, seconds } from './explain.ts'
import { bold, dim, renderRow, rule, wrap, type Row } from './layout.ts'

export function renderTable (outcomes: Outcome[]): string {
  return [
    rule(),
    bold(renderRow(['', ...outcomes.map((outcome) => [outcome.name])])),
    rule(),
    'Close codes seen by the clients',
    ...kinds.filter(isPresent(outcomes)).map((kind) => renderRow(codesRow(kind, outcomes))),
    rule(),
    ...figures(outcomes).map(renderRow),
    rule(),
    ...wrap(noteCodes(outcomes)).map(dim),
    ...wrap(noteReplies).map(dim),
    '',
    ...wrap(explain(outcomes))
  ].join('\n')
}

function codesRow (kind: Kind, outcomes: Outcome[]): Row {
  const clients = crowd.reduce((sum, { clients }) => sum + (clients[kind] ?? 0), 0)
  const count = clients ? String(clients).padStart(3) : '   '
  return [`  ${count} ${labels[kind]}`, ...outcomes.map(({ counts }) => [formatCounts(counts.codes[kind] ?? {}) || '–'])]
}

function isPresent (outcomes: Outcome[]): (kind: Kind) => boolean {
  return (kind) => crowd.some(({ clients }) => clients[kind]) || outcomes.some(({ counts }) => counts.codes[kind])
}

function figures (outcomes: Outcome[]): Row[] {
  const row = (label: string, cell: (outcome: Outcome) => string | string[]): Row => {
    return [label, ...outcomes.map((outcome) => [cell(outcome)].flat())]
  }
  return [
    ...outcomes.some(({ counts }) => counts.delays.length > 0)
      ? [row('Reconnect delay: least, median, most', ({ counts }) => formatDelays(counts.delays))]
      : [],
    row('Replies lost', ({ counts: { messages } }) => of(messages.sent - messages.answered, messages.sent)),
    row('Jobs of 2 s finished and answered', ({ counts: { jobs } }) => of(jobs.answered, jobs.started)),
    row('Cleanups done before the database closed', ({ database }) => [
      of(database.released, database.acquired),
      ...(database.closed ? [] : ['(the database never closed)'])
    ]),
    row(`New handshakes, one every ${lateClients.every} ms for ${lateClients.during / 1_000} s`, ({ counts }) => {
      return Object.entries(counts.attempts).map(([outcome, count]) => `${outcome} ×${count}`)
    }),
    row('From signal to exit', ({ exit }) => seconds(exit.after)),
    row('Exit code', ({ exit }) => exit.killed ? 'none: killed by the demo' : String(exit.code ?? exit.signal))
  ]
}

/** `1.0 s, 1.5 s, 2.0 s` */
function formatDelays (delays: number[]): string {
  if (delays.length === 0) return 'none'
  const sorted = delays.toSorted((one, other) => one - other)
  return [sorted[0]!, sorted[sorted.length >> 1]!, sorted.at(-1)!].map(seconds).join(', ')
}

function of (part: number, whole: number): string {
  return `${part.toLocaleString('en')} of ${whole.toLocaleString('en')}`
}
