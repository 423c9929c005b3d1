// Counting what clients see. A crowd process fills one tally; main.ts adds those of one side together.

import type { Kind, Tally } from './protocol.ts'

export function emptyTally (): Tally {
  return {
    open: 0,
    codes: {},
    delays: [],
    messages: { sent: 0, answered: 0 },
    jobs: { started: 0, answered: 0 },
    knocks: {}
  }
}

/** Notes the end of a connection: its close code and, where the reason carries one, the reconnect delay. */
export function countEnd (tally: Tally, kind: Kind, code: number, reason: string): void {
  const codes = tally.codes[kind] ??= {}
  codes[code] = (codes[code] ?? 0) + 1
  const retry = /\bretry=(\d+)/.exec(reason)
  if (retry) tally.delays.push(Number(retry[1]))
}

export function countKnock (tally: Tally, outcome: string): void {
  tally.knocks[outcome] = (tally.knocks[outcome] ?? 0) + 1
}

export function addUp (tallies: Iterable<Tally>): Tally {
  const sum = emptyTally()
  for (const tally of tallies) {
    sum.open += tally.open
    sum.delays.push(...tally.delays)
    sum.messages.sent += tally.messages.sent
    sum.messages.answered += tally.messages.answered
    sum.jobs.started += tally.jobs.started
    sum.jobs.answered += tally.jobs.answered
    addCounts(sum.knocks, tally.knocks)
    for (const [kind, codes] of Object.entries(tally.codes)) addCounts(sum.codes[kind as Kind] ??= {}, codes)
  }
  return sum
}

/** Close codes of all kinds of clients together, or of those asked for. */
export function codesOf (tally: Tally, wanted?: readonly Kind[]): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const [kind, codes] of Object.entries(tally.codes)) {
    if (!wanted || wanted.includes(kind as Kind)) addCounts(sum, codes)
  }
  return sum
}

/** `{ 1012: 80, 1006: 2 }` → `1012 ×80  1006 ×2`, most frequent first. */
export function formatCounts (counts: Record<string, number>): string {
  return Object.entries(counts)
    .sort(([, one], [, other]) => other - one)
    .map(([what, count]) => `${what} ×${count}`)
    .join('  ')
}

export function total (counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function addCounts (sum: Record<string, number>, counts: Record<string, number>): void {
  for (const [what, count] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + count
}
