// The table of the second act, and the text below it. Every clause is derived from the counts.

import { seconds } from '../explain.ts'
import { bold, dim, renderRow, rule, wrap, type Row } from '../layout.ts'
import type { DeployOutcome } from './deploy.ts'

export function renderDeploys (outcomes: DeployOutcome[]): string {
  return [
    rule(),
    bold(renderRow(['A deploy under traffic', ...outcomes.map(({ name }) => [name])])),
    rule(),
    ...figures(outcomes).map(renderRow),
    rule(),
    ...wrap(note(outcomes)).map(dim),
    '',
    ...wrap(outcomes.map(explain).join(' '))
  ].join('\n')
}

function figures (outcomes: DeployOutcome[]): Row[] {
  const row = (label: string, cell: (outcome: DeployOutcome) => string): Row => [label, ...outcomes.map((outcome) => [cell(outcome)])]
  return [
    row('Without a connection: most, mean', ({ counts }) => `${time(counts.longest)}, ${time(counts.total / counts.readers)}`),
    row('Messages lost', ({ counts, published }) => of(counts.missed, published * counts.readers)),
    row('Messages that came twice', ({ counts }) => number(counts.twice)),
    row('Replies lost', ({ counts }) => of(counts.unanswered, counts.sent)),
    row("'close' events", ({ counts }) => number(counts.closes)),
    row('From signal to exit', ({ exit }) => seconds(exit.after)),
    row('Exit code', ({ exit }) => String(exit.code ?? exit.signal))
  ]
}

function note (outcomes: DeployOutcome[]): string {
  const readers = [...new Set(outcomes.map(({ counts }) => counts.readers))].join(' or ')
  return `${readers} readers on partysocket behind a balancer. A message goes to all of them every 200 ms, and each sends one ` +
    'every 2 s. The next server is started, the balancer passes new connections to it, and the old one gets SIGTERM.'
}

function explain ({ name, counts }: DeployOutcome): string {
  const { readers, total, missed, twice, unanswered, closes } = counts
  const seen = [
    closes > 0 && many(closes, "'close' event"),
    total > 0 && `${time(total / readers)} without a connection on average`,
    missed > 0 && `${many(missed, 'message')} lost`,
    twice > 0 && `${many(twice, 'message')} twice`,
    unanswered > 0 && `${many(unanswered, 'message')} without a reply`
  ].filter((clause) => clause !== false)
  return `${capitalized(name)}: ${seen.join(', ') || 'its readers saw nothing of the deploy'}.`
}

/** Small times are not rounded to nothing. */
function time (milliseconds: number): string {
  return milliseconds === 0 || milliseconds >= 100 ? seconds(milliseconds) : `${milliseconds.toPrecision(2)} ms`
}

function of (part: number, whole: number): string {
  return `${number(part)} of ${number(whole)}`
}

function many (count: number, what: string): string {
  return `${number(count)} ${what}${count === 1 ? '' : 's'}`
}

function number (value: number): string {
  return value.toLocaleString('en')
}

function capitalized (text: string): string {
  return text[0]!.toUpperCase() + text.slice(1)
}
