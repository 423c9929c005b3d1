// Counts what clients see. Each crowd process has one object of counts; side.ts adds up those of its side.

import type { Kind, Counts } from './protocol.ts'

export function emptyCounts (): Counts {
  return {
    open: 0,
    codes: {},
    delays: [],
    messages: { sent: 0, answered: 0 },
    jobs: { started: 0, answered: 0 },
    attempts: {}
  }
}

/** Counts the end of a connection: its close code and, if the reason has one, the reconnect delay. */
export function countEnd (counts: Counts, kind: Kind, code: number, reason: string): void {
  const codes = counts.codes[kind] ??= {}
  codes[code] = (codes[code] ?? 0) + 1
  const retry = /\bretry=(\d+)/.exec(reason)
  if (retry) counts.delays.push(Number(retry[1]))
}

export function countAttempt (counts: Counts, outcome: string): void {
  counts.attempts[outcome] = (counts.attempts[outcome] ?? 0) + 1
}

export function addUp (all: Iterable<Counts>): Counts {
  const sum = emptyCounts()
  for (const counts of all) {
    sum.open += counts.open
    sum.delays.push(...counts.delays)
    sum.messages.sent += counts.messages.sent
    sum.messages.answered += counts.messages.answered
    sum.jobs.started += counts.jobs.started
    sum.jobs.answered += counts.jobs.answered
    addCounts(sum.attempts, counts.attempts)
    for (const [kind, codes] of Object.entries(counts.codes)) addCounts(sum.codes[kind as Kind] ??= {}, codes)
  }
  return sum
}

/** Close codes of the wanted kinds of clients, or of all. */
export function codesOf (counts: Counts, wanted?: readonly Kind[]): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const [kind, codes] of Object.entries(counts.codes)) {
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
