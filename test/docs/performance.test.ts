/**
 * docs/performance.md quotes what was measured: its figures are those of benchmarks/results/latest.json, as docs/benchmarks.md
 * shows them.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { figure } from '../../benchmarks/charts.ts'
import { findLargest } from '../../benchmarks/report-rows.ts'
import type { Results } from '../../benchmarks/results.ts'

const ROOT = join(import.meta.dirname, '../..')
const { scenarios } = JSON.parse(readFileSync(join(ROOT, 'benchmarks/results/latest.json'), 'utf8')) as Results
// Lines are broken anywhere.
const text = readFileSync(join(ROOT, 'docs/performance.md'), 'utf8').replaceAll(/\s+/g, ' ')

/** As the page shows it. */
function measured (scenario: string, candidate: string, metric: string): string {
  const row = findLargest(scenarios[scenario], candidate, metric)
  assert.ok(row, `${scenario}: ${metric} of ${candidate} was not measured`)
  return figure(row.median)
}

for (const [what, sentence] of [
  ['an idle connection', () => `| an idle connection | ${measured('memory', 'ours', 'heap')} B of heap`],
  ['a handshake', () => `| a handshake | ${measured('handshakes', 'ours', 'CPU')} µs; ${measured('handshakes', 'bare', 'CPU')} with`],
  ['what the plugin adds to a handshake', () => `the plugin adds ${measured('in-process', 'ours', 'added to handshake')} µs`],
  ['a message', () => `| a message | ${measured('in-process', 'ours', 'added to message, sync listener')} ns on top of what it costs anyway; ${measured('in-process', 'ours', 'added to message, async listener')} ns`],
  ['an echoed message', () => `An echoed message costs ${measured('echo', 'ours', 'CPU')} µs`],
  ['a beat of a silent client', () => `| a beat of a silent client | ${measured('heartbeat', 'ours', 'CPU, all idle')} µs`],
  ['a beat of one that talks', () => `| a beat of one that talks, in-process | ${measured('in-process', 'ours', 'beat, all active')} µs`],
  ['the stall of a beat', () => `silent connections made was ${measured('heartbeat', 'ours', 'stall, all idle')} ms`],
  ['a broadcast', () => `| a broadcast | ${measured('broadcast', 'ours', 'CPU, 64 B')} µs a client`],
  ['the loop, and raw writes', () => `takes ${measured('broadcast', 'ws', 'CPU, 64 B')}; a bare loop over the raw sockets, without a look at anything, ${measured('broadcast', 'raw writes', 'CPU, 64 B')}`],
  ['closing', () => `| closing | ${measured('close', 'ours', 'CPU, cooperative')} µs a client`],
  ['the stall of closing', () => `The longest stall was ${measured('close', 'ours', 'stall, cooperative')} ms`]
] as const) {
  test(`performance.md says of ${what} what was measured`, () => {
    const expected = sentence()
    assert.ok(text.includes(expected), `"${expected}" is not in it`)
  })
}
