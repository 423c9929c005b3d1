/**
 * docs/reference/metrics.md has the table of metrics.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { DEFINITIONS } from '../../lib/show/metrics/definitions.ts'
import { codeIn, readDocument, tables } from './markdown.ts'

const document = readDocument('docs/reference/metrics.md')
const rows = tables(document, 'metric', 'type', 'labels', 'series', 'what it is')

test('docs/reference/metrics.md has every metric with its type and labels, and no others', () => {
  const documented = rows.map(({ metric, type, labels }) => [codeIn(metric), type, [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label)])
  assert.deepEqual(documented, DEFINITIONS.map(({ name, type, labels }) => [name, type, labels]))
})

test('the bound of docs/reference/metrics.md is the sum of its column', () => {
  const alone = rows.filter(({ metric }) => !metric!.includes('ws_fleet_'))
  const [fixed, each] = [false, true].map((perRoute) => alone.filter(({ series }) => series!.includes('per route') === perRoute).reduce((sum, { series }) => sum + Number.parseInt(series!), 0))
  assert.ok(document.prose.join(' ').includes(`${fixed} + ${each} × *n*, ${fixed! + 5 * each!} for five routes`), `${fixed} + ${each} × n`)
})
