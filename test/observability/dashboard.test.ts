/**
 * The dashboard and the alert rules: up to date, expressions that can be parsed, and metrics that exist.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { makeDashboard } from '../../observability/dashboard.ts'
import { DEFINITIONS, suffixesOf } from '../../lib/show/metrics/definitions.ts'
import { codeIn, readDocument, tables } from '../docs/markdown.ts'
import { alerts, FOLDER, metricsIn, queries } from './promql.ts'

const EXISTING = new Map(DEFINITIONS.flatMap((definition) => suffixesOf(definition).map((suffix) => [definition.name + suffix, definition.name])))

test('dashboard.json is what `npm run dashboard` writes', () => {
  assert.deepEqual(JSON.parse(readFileSync(join(FOLDER, 'dashboard.json'), 'utf8')), JSON.parse(JSON.stringify(makeDashboard())))
})

test('an expression that cannot be parsed is found, and metrics are told from labels', () => {
  assert.throws(() => metricsIn('sum(rate(ws_owners[1m])'), /at \d+: sum/)
  assert.deepEqual(metricsIn('sum by (job) (a{b="c"}) / on (d) e'), ['a', 'e'])
})

test('every expression of the dashboard can be parsed, its metrics exist, and every metric is shown', () => {
  const shown = queries.flatMap(({ expr }) => metricsIn(expr))
  assert.deepEqual(shown.filter((name) => !EXISTING.has(name)), [])
  assert.deepEqual(DEFINITIONS.map(({ name }) => name).filter((name) => !shown.some((metric) => EXISTING.get(metric) === name)), [])
  const variables = JSON.stringify(makeDashboard().templating)
  assert.deepEqual([...variables.matchAll(/label_values\((\w+)/g)].map(([, name]) => name).filter((name) => !EXISTING.has(name!)), [])
})

test('every expression of an alert can be parsed, and its metrics exist', () => {
  assert.ok(alerts.length >= 12)
  for (const { expr } of alerts) assert.deepEqual(metricsIn(expr).filter((name) => !EXISTING.has(name)), [])
})

test('panels do not overlap, and their titles are unique', () => {
  const panels = makeDashboard().panels as Array<{ title: string, gridPos: { x: number, y: number, w: number, h: number } }>
  assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, index) => `${x + index % w},${y + Math.floor(index / w)}`))
  assert.equal(new Set(cells).size, cells.length)
})

test('docs/guides/metrics.md says what to do about each alert, and about no others', () => {
  const documented = tables(readDocument('docs/guides/metrics.md'), 'alert', 'what to do').map((row) => codeIn(row.alert))
  assert.deepEqual(documented, alerts.map(({ alert }) => alert))
})
