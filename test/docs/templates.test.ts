/**
 * Pages made of templates, and the table of a deploy in the README, have the figures of benchmarks/results/latest.json; a figure that was not measured is an error.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { withDeploy } from '../../benchmarks/report-deploy.ts'
import { fillTemplate, PAGES } from '../../benchmarks/templates.ts'
import type { Results } from '../../benchmarks/results.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const results = JSON.parse(read('benchmarks/results/latest.json')) as Results

for (const [path, template] of Object.entries(PAGES)) {
  test(`docs/${path} says what was measured`, () => {
    assert.equal(read(`docs/${path}`), fillTemplate(read(`benchmarks/${template}`), results))
  })
}

test('the README says what was measured of a deploy', () => {
  assert.ok(results.scenarios.deploy)
  assert.equal(read('README.md'), withDeploy(read('README.md'), results))
})

test('what was measured is written with three digits, what follows from it with two, a ratio with two decimals', () => {
  const row = (candidate: string, value: number) => ({ candidate, metric: 'heap', unit: 'B', values: [value], median: value, min: value, max: value, ratios: [{ to: 'bare', median: 0.4567, min: 0.4, max: 0.5 }] })
  const size = { connections: 1_000, rounds: 1, rows: [row('ours', 2_345.67), row('ws', 0.123456)] }
  const made = { ...results, scenarios: { memory: { title: '', sizes: [size] }, heartbeat: { title: '', sizes: [size] } } }
  const text = "{{heap}} B; {{at('memory', 'ws', 'heap')}}; {{heap * 3}}; {{heap / 1e3}}; {{times('memory', 'heap', 'bare')}}"
  assert.equal(fillTemplate(text, made), '2,346 B; 0.123; 7,040; 2.3; 0.46')
})

test('a figure that was not measured is named', () => {
  assert.throws(() => fillTemplate("{{at('memory', 'unknown', 'heap')}}", results), /not measured: heap of unknown in memory/)
  assert.throws(() => fillTemplate("{{times('memory', 'heap', 'unknown')}}", results), /not compared: heap of ours with unknown/)
})
