/**
 * Expressions of Prometheus: whether they can be parsed, and what they name.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'
import { makeDashboard } from '../../observability/dashboard.ts'

export const FOLDER = join(import.meta.dirname, '../../observability')

export interface AlertRule {
  alert: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

export const alerts = (parse(readFileSync(join(FOLDER, 'alerts.yml'), 'utf8')) as { groups: Array<{ rules: AlertRule[] }> }).groups.flatMap(({ rules }) => rules)

/** Expressions of the dashboard as Grafana sends them, with the title of their panel. */
export const queries = (makeDashboard().panels ?? [])
  .flatMap((panel) => ('panels' in panel ? panel.panels : [panel]) as Array<{ title?: string, targets?: Array<{ expr?: string }> }>)
  .flatMap(({ title, targets }) => (targets ?? []).map(({ expr }) => ({ title: title!, expr: withValues(expr!) })))

function withValues (expression: string): string {
  const filled = expression.replaceAll('$job', '.*').replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m')
  assert.ok(!filled.includes('$'), filled)
  return filled
}

/** Returns the metrics that an expression names; fails where it cannot be parsed. */
export function metricsIn (expression: string): string[] {
  const names = new Set<string>()
  parser.parse(expression).iterate({
    enter (node) {
      assert.ok(!node.type.isError, `at ${node.from}: ${expression}`)
      if (node.name === 'Identifier' && node.node.parent?.name === 'VectorSelector') names.add(expression.slice(node.from, node.to))
    }
  })
  assert.ok(names.size > 0, expression)
  return [...names]
}
