/**
 * The table of a deploy in the README. Pure.
 */
import { figure } from './charts.ts'
import { findLargest } from './report-rows.ts'
import type { Results, ScenarioResult } from './results.ts'

/** Columns: candidates and their heads. */
const COLUMNS = {
  'bare with partysocket': '@fastify/websocket',
  'ours with partysocket': 'this plugin',
  'ours with the class': 'this plugin and the class'
}

/** The comments between which the table stands. */
const PLACE = /(?<=<!-- Written by benchmarks\/report\.ts: do not edit\. -->\n)[^]*?(?=\n<!-- end -->)/

/** Returns the README with its table, or as it is if a deploy was not measured with all candidates. */
export function withDeploy (readme: string, { scenarios }: Results): string {
  const scenario = scenarios.deploy
  const measured = Object.keys(COLUMNS).every((candidate) => findLargest(scenario, candidate, 'close events') !== undefined)
  return measured ? readme.replace(PLACE, () => table(scenario!).join('\n')) : readme
}

function table (scenario: ScenarioResult): string[] {
  const row = (label: string, cell: (median: (metric: string) => number) => string) => {
    const cells = Object.keys(COLUMNS).map((candidate) => cell((metric) => findLargest(scenario, candidate, metric)!.median))
    return `| ${[label, ...cells].join(' | ')} |`
  }
  const clients = figure(scenario.sizes.at(-1)!.connections)
  return [
    `| three servers restarted, ${clients} clients of partysocket | ${Object.values(COLUMNS).join(' | ')} |`,
    `|---|${'---|'.repeat(Object.keys(COLUMNS).length)}`,
    row('without a connection: mean, longest', (median) => `${time(median('without a connection, on average'))}, ${time(median('without a connection, at most'))}`),
    row('messages lost by each client', (median) => `${figure(median('messages lost'))} of ${figure(median('messages published'))}`),
    row('messages that came twice', (median) => figure(median('messages twice'))),
    row('questions without an answer', (median) => `${figure(median('questions without an answer'))} %`),
    row('`close` events of each client', (median) => figure(median('close events')))
  ]
}

function time (milliseconds: number): string {
  return milliseconds >= 1_000 ? `${(milliseconds / 1_000).toFixed(1)} s` : `${figure(milliseconds)} ms`
}
