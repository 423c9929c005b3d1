/**
 * Nodes of a fleet leave: `npm run simulate -- fleet` prints how many clients arrive in the busiest second, by what the nodes that
 * stay can take, and how long a client is offline. With `--write` it draws the chart of docs/explanation/leaving-together.md.
 *
 * `npm run simulate -- fleet --seed N --runs M` does random schedules instead, of the seeds N to N + M - 1.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chart } from './chart.ts'
import { allAtOnce, lameDuck, ours, phoenix } from './leaver.ts'
import type { Way } from './leaver.ts'
import { randomRun } from './random-run.ts'
import { CAPACITY, CLIENTS, NODES, run } from './run.ts'
import type { RunOptions } from './run.ts'

const CHART = join(import.meta.dirname, '../../../docs/explanation/leaving-together.svg')

/** What an application sets that has found out what the rest can take when one node leaves. */
const RATE = 0.8 * (NODES - 1) * CAPACITY

const WAYS: ReadonlyArray<readonly [name: string, way: Way]> = [
  ['this package, in a fleet', ours()],
  [`without, rate ${RATE}`, ours(RATE)],
  ['without, rate 200', ours(200)],
  ['all at once', allAtOnce],
  ['Phoenix, 10,000 / 2 s', phoenix],
  ['NATS, 110 s', lameDuck]
]

/** Circumstances in which a fleet leaves. */
const CASES: ReadonlyArray<readonly [what: string, options: Partial<RunOptions>]> = [
  ['clients that move', { manners: 'move' }],
  ['balancer: random', { balancer: 'random' }],
  ['balancer: least connections', { balancer: 'least connections' }],
  ['5 of them die; their clients, who all come at once, are not in the first number', { deaths: 5 }],
  ['90 s until the kill', { gracePeriod: 90_000 }],
  ['clients that do not obey', { manners: 'do not obey' }],
  ['the same, 90 s until the kill', { manners: 'do not obey', gracePeriod: 90_000 }]
]

export function main (seed: number | undefined, runs: number, write: boolean): void {
  if (seed !== undefined) return schedules(seed, runs)
  console.log(`${CLIENTS.toLocaleString('en')} clients on ${NODES} nodes, of which each takes ${CAPACITY} a second.`)
  console.log('Clients in the busiest second by what the nodes that stay can take · the same of the busiest node · mean time offline\n')
  console.log('| how they leave | leaving | at once | every 2 s |\n| --- | ---: | --- | --- |')
  for (const [name, way] of WAYS) {
    for (const leaving of [1, 5, 17, 25]) console.log(`| ${name} | ${leaving} | ${[0, 2_000].map((gap) => cell({ way, leaving, gap })).join(' | ')} |`)
  }
  console.log('\nIn a fleet, otherwise:\n\n| | 17 at once | 25 at once | 25, every 2 s |\n| --- | --- | --- | --- |')
  for (const [what, options] of CASES) {
    console.log(`| ${what} | ${([[17, 0], [25, 0], [25, 2_000]] as const).map(([leaving, gap]) => cell({ way: ours(), leaving, gap, ...options })).join(' | ')} |`)
  }
  if (write) draw()
}

function draw (): void {
  const capacity = (NODES - 25) * CAPACITY
  const lines = [
    ['this package', ours(), '#0080c8', ''],
    ['all at once', allAtOnce, '#d55e00', '8 3 2 3'],
    ['Phoenix', phoenix, '#a0a0a0', '6 4'],
    ['NATS', lameDuck, '#009e73', '2 4']
  ] as const
  writeFileSync(CHART, chart(`25 of ${NODES} nodes leave at once: clients that arrive in each second`, lines.map(([name, way, color, dashes]) =>
    ({ name, color, dashes, seconds: run({ seed: 1, way, leaving: 25, gap: 0 }).seconds })), capacity))
  console.log(`\nWritten: ${CHART}`)
}

function cell (options: Omit<RunOptions, 'seed'>): string {
  const { busiest, busiestNode, offline } = run({ seed: 1, ...options })
  return `${busiest.toFixed(2)} · ${busiestNode.toFixed(2)} · ${offline.toFixed(2)} s`
}

function schedules (seed: number, runs: number): void {
  console.log(`fleet: seed ${seed}, ${runs} runs`)
  let most = { busiest: 0 } as ReturnType<typeof randomRun>
  let above = 0
  for (let i = seed; i < seed + runs; i++) {
    const result = randomRun(i)
    if (result.busiest > most.busiest) most = result
    if (result.busiest > 1) above++
  }
  console.log(`fleet: ${runs} runs, ${above} above 1; the busiest second had ${most.busiest.toFixed(3)} of what the nodes that stay can take (seed ${most.seed}: ${most.what})`)
  if (above > 0) process.exitCode = 1
}
