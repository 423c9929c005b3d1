/**
 * The benchmarks: `npm run bench` for all, `npm run bench -- NAME …` for some.
 *
 * `npm run bench -- capacity` compares what a node says that it can take with what it takes.
 *
 *   --sizes 1000,10000        numbers of connections
 *   --rounds 5                rounds of each scenario
 *   --candidates ours,bare    only these
 *   --before COMMIT           the library of that commit takes part as `before`
 *   --out FILE                where the results go: results/latest.json of all scenarios, results/NAME.json of some
 *   --into FILE               replaces these scenarios in FILE, which an earlier run has written, and notes the machine
 *
 * Progress and tables go to stderr. A run of all scenarios also writes the report.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Candidate } from './candidates.ts'
import { install } from './install.ts'
import { thisMachine } from './machine.ts'
import type { Results, ScenarioResult } from './results.ts'
import { printSize, printStep } from './terminal.ts'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sizes: { type: 'string' },
    rounds: { type: 'string' },
    candidates: { type: 'string' },
    before: { type: 'string' },
    out: { type: 'string' },
    into: { type: 'string' }
  }
})

// So that exit handlers run on a signal too; the children end with their parent.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(1) })

// Needs no packages of other servers.
if (positionals[0] === 'capacity') {
  await (await import('./capacity/main.ts')).main()
  process.exit()
}

install()
// Imported here, because they need the packages.
const { scenarios } = await import('./scenarios/index.ts')
const { runSize } = await import('./scenario.ts')

// No report for a selection of candidates, or for results in another file.
const complete = positionals.length === 0 && options.candidates === undefined && options.before === undefined && options.out === undefined && options.into === undefined
const names = positionals.length === 0 ? Object.keys(scenarios) : positionals
const unknown = names.filter((name) => !(name in scenarios))
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(', ')}; there are ${Object.keys(scenarios).join(', ')}`)
  process.exit(1)
}

// Results that replace complete ones must be complete.
if (options.into !== undefined && (positionals.length === 0 || [options.sizes, options.candidates, options.before, options.out].some((given) => given !== undefined))) {
  console.error('--into takes names of scenarios, and neither --sizes nor --candidates, --before or --out')
  process.exit(1)
}

const out = options.into ?? options.out ?? join(import.meta.dirname, 'results', `${complete ? 'latest' : positionals.join('-') || 'partial'}.json`)
const wanted = options.candidates?.split(',')
const before: Candidate | null = options.before === undefined ? null : { name: 'before', server: 'ours', revision: options.before }
const results: Results = options.into === undefined ? { machine: thisMachine(), scenarios: {} } : JSON.parse(readFileSync(options.into, 'utf8')) as Results
for (const name of names) {
  const scenario = scenarios[name]!
  if (before !== null) scenario.peers.push(before)
  const result: ScenarioResult = { title: scenario.title, sizes: [], ...options.into === undefined ? {} : { machine: thisMachine() } }
  if (options.into === undefined) results.scenarios[name] = result
  const sizes = scenario.sizes[0] === 0 ? [0] : options.sizes?.split(',').map(Number) ?? scenario.sizes
  for (const size of sizes) {
    const candidates = scenario.candidates(size).filter(({ name }) => wanted?.includes(name) ?? true)
    if (before !== null) candidates.push(before)
    const found = await runSize(scenario, size, Number(options.rounds ?? scenario.rounds), candidates, (round, candidate) => { printStep(name, size, round, candidate) })
    result.sizes.push(found)
    printSize(scenario.title, found)
    // After each scenario, so that a failure later loses nothing.
    write()
  }
  results.scenarios[name] = result
  write()
}
console.error(`Written: ${out}`)
if (complete) await report()

function write (): void {
  mkdirSync(dirname(out), { recursive: true })
  // A line for each row.
  writeFileSync(out, JSON.stringify(results, null, 1).replaceAll(/\n {7,}/g, ' ').replaceAll(/\n {6}\}/g, ' }') + '\n')
}

async function report (): Promise<void> {
  const { writeReport } = await import('./report.ts')
  for (const path of await writeReport(results)) console.error(`Written: ${path}`)
}
