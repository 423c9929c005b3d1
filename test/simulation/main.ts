/**
 * Runs the simulation: `npm run simulate -- --seed N --runs M` does the seeds N to N + M - 1. Without a seed a fresh one
 * is taken; it is printed first, so that a crash can be seen again, too. `--sabotage 'a message is queued twice'` shows
 * what a failure looks like; sabotage.ts has more of them. `npm run simulate -- fleet` is about nodes that leave together:
 * fleet/main.ts.
 */
import { parseArgs } from 'node:util'
import { run } from './run.ts'
import { describe, freshSeed } from './report.ts'
import { SABOTAGES } from './sabotage.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, runs: { type: 'string', default: '2000' }, sabotage: { type: 'string' }, write: { type: 'boolean', default: false } }
})
const seed = values.seed === undefined ? freshSeed() : Number(values.seed)
const runs = Number(values.runs)
const sabotage = SABOTAGES.find(({ what }) => what === values.sabotage)
if ((values.sabotage !== undefined && sabotage === undefined) || !Number.isSafeInteger(seed) || !Number.isSafeInteger(runs) || runs < 1) {
  console.error('usage: npm run simulate -- [--seed <integer>] [--runs <positive integer>] [--sabotage <what>]')
  process.exit(2)
}

if (positionals[0] === 'fleet') {
  const fleet = await import('./fleet/main.ts')
  fleet.main(values.seed === undefined ? undefined : seed, runs, values.write)
  process.exit()
}

console.log(`simulation: seed ${seed}, ${runs} runs`)
const startedAt = performance.now()
const sum = { steps: 0, time: 0, connections: 0 }
let current = seed
// An unhandled rejection, or a throw out of a callback, is a failure of the run in which it came.
process.on('uncaughtException', (error) => {
  console.error(`uncaught in the run of seed ${current}:`, error)
  process.exit(1)
})

for (; current < seed + runs; current++) {
  const result = await run(current, sabotage && { sabotage })
  if (result.breach !== null) {
    console.error(describe(result))
    if (sabotage) console.error(`  (add --sabotage '${sabotage.what}')`)
    process.exit(1)
  }
  sum.steps += result.steps
  sum.time += result.time
  sum.connections += result.connections
}

const seconds = (performance.now() - startedAt) / 1000
console.log(`simulation: ${runs} runs passed in ${seconds.toFixed(1)} s: ${sum.steps} steps, ${sum.connections} connections, ${Math.round(sum.time / 60_000)} simulated minutes`)
