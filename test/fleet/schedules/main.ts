/**
 * Runs random schedules of a fleet: `node --import ./scripts/typescript.js test/fleet/schedules/main.ts --seed N --runs M`.
 */
import { parseArgs } from 'node:util'
import { freshSeed } from '../../simulation/report.ts'
import { describe } from './report.ts'
import { run } from './run.ts'

const { values } = parseArgs({ options: { seed: { type: 'string' }, runs: { type: 'string', default: '1000' } } })
const seed = values.seed === undefined ? freshSeed() : Number(values.seed)
const runs = Number(values.runs)
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(runs) || runs < 1) {
  console.error('usage: main.ts [--seed <integer>] [--runs <positive integer>]')
  process.exit(2)
}

console.log(`schedules of a fleet: seed ${seed}, ${runs} runs`)
const sum = { time: 0, connections: 0 }
for (let current = seed; current < seed + runs; current++) {
  const result = await run(current)
  if (result.breach !== null) {
    console.error(describe(result))
    process.exit(1)
  }
  sum.time += result.time
  sum.connections += result.connections
}
console.log(`schedules of a fleet: ${runs} runs passed: ${sum.connections} clients, ${Math.round(sum.time / 60_000)} simulated minutes`)
