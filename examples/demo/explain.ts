// Explains the figures of a run. Every clause is derived from the counts: if the plugin did worse, it says so.

import type { Outcome } from './side.ts'
import { codesOf } from './counts.ts'

const meanings: Record<string, string> = {
  1000: 'normal end',
  1001: 'server going away',
  1005: 'a close frame without a code',
  1006: 'cut off, no close frame',
  1011: 'internal error',
  1012: 'service restart',
  1013: 'try again later'
}
/** Codes that tell a client to reconnect. */
const reconnectCodes = ['1001', '1012', '1013']

/** `closeTimeout` of ws, which @fastify/websocket does not change. Milliseconds. */
const wsPatience = 30_000

export const noteReplies = 'A reply is lost if a chatty client sent its message before it saw the shutdown (a close ' +
  'frame, the end of the connection, or the announcement that lifecycle.ts sends in onDrain) and got no answer.'

/** A legend of the codes that occurred. */
export function noteCodes (outcomes: Outcome[]): string {
  const seen = new Set(outcomes.flatMap(({ counts }) => Object.keys(codesOf(counts))))
  return [...seen].sort().map((code) => `${code}: ${meanings[code] ?? 'see RFC 6455 §7.4'}.`).join(' ')
}

export function explain (outcomes: Outcome[]): string {
  const [bare, plugin] = outcomes as [Outcome, Outcome]
  return `Summary: ${[explainTime(bare, plugin), explainCodes(bare, plugin), explainLosses(bare, plugin)].join(' ')}`
}

function explainTime (bare: Outcome, plugin: Outcome): string {
  const [theirs, ours] = [bare, plugin].map(({ exit }) => seconds(exit.after))
  if (plugin.exit.after >= bare.exit.after) return `the plugin took ${ours} to shut down, the bare server ${theirs}.`
  const why = bare.exit.after >= wsPatience ? ', the time ws waits for clients that do not answer' : ''
  return `the bare server took ${theirs} to shut down${why}; with the plugin it took ${ours}.`
}

function explainCodes (bare: Outcome, plugin: Outcome): string {
  const { delays } = plugin.counts
  const spread = Math.max(...delays) - Math.min(...delays)
  const when = spread > 0 ? `, spread over ${seconds(spread)} so that they do not all reconnect at once` : ''
  return `${told(plugin)} of its clients were told to reconnect${when}; ` +
    `on the bare server ${told(bare) || 'none'} were.`
}

function explainLosses (bare: Outcome, plugin: Outcome): string {
  return `Lost on the bare server: ${lost(bare)}. Lost with the plugin: ${lost(plugin)}.`
}

function lost ({ counts, database }: Outcome): string {
  const { messages, jobs, attempts } = counts
  const losses = [
    [messages.sent - messages.answered, 'reply', 'replies', ''],
    [jobs.started - jobs.answered, 'job', 'jobs', ' half done'],
    [database.acquired - database.released, 'cleanup', 'cleanups', ' that came too late for the database'],
    [codesOf(counts, ['deaf'])['1006'] ?? 0, 'client', 'clients', ' cut off with unread data'],
    [attempts['cut off'] ?? 0, 'handshake', 'handshakes', ' cut off without an answer']
  ] as const
  const clauses = losses.filter(([count]) => count > 0).map(([count, one, many, what]) => `${count} ${count === 1 ? one : many}${what}`)
  return clauses.join(', ') || 'nothing'
}

function told ({ counts }: Outcome): number {
  const codes = codesOf(counts)
  return reconnectCodes.reduce((sum, code) => sum + (codes[code] ?? 0), 0)
}

export function seconds (milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`
}
