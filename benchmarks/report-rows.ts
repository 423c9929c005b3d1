/**
 * Rows of the results for tables and charts: by metric and candidate, over all sizes. Pure.
 */
import { figure } from './charts.ts'
import type { Bar, Line } from './charts.ts'
import type { Row, ScenarioResult } from './results.ts'

/** The greatest size at which any candidate has this metric, or all of `candidates` have it. */
export function largest (scenario: ScenarioResult, metric: string, candidates: string[] = []): number | undefined {
  const sizes = scenario.sizes.filter(({ rows }) => {
    const found = rows.filter((row) => row.metric === metric).map(({ candidate }) => candidate)
    return found.length > 0 && candidates.every((candidate) => found.includes(candidate))
  })
  return sizes.length === 0 ? undefined : Math.max(...sizes.map(({ connections }) => connections))
}

export function find (scenario: ScenarioResult, candidate: string, metric: string, connections: number): Row | undefined {
  return scenario.sizes.find((size) => size.connections === connections)?.rows.find((row) => row.candidate === candidate && row.metric === metric)
}

/** The row at the greatest size at which it was measured. */
export function findLargest (scenario: ScenarioResult | undefined, candidate: string, metric: string): Row | undefined {
  const size = scenario === undefined ? undefined : largest(scenario, metric, [candidate])
  return size === undefined ? undefined : find(scenario!, candidate, metric, size)
}

/** All candidates that have this metric at its greatest size. */
export function barsOf (scenario: ScenarioResult, metric: string): Bar[] {
  const connections = largest(scenario, metric)
  return (scenario.sizes.find((size) => size.connections === connections)?.rows ?? [])
    .filter((row) => row.metric === metric)
    .map(({ candidate, median, min, max }) => ({ name: candidate, median, min, max }))
}

/** Lines over the sizes, without candidates that were measured at one size only. */
export function linesOf (scenario: ScenarioResult, metric: string, candidates: string[]): Line[] {
  return candidates.map((candidate): Line => ({
    name: candidate,
    points: scenario.sizes.flatMap(({ connections, rows }) => rows.filter((row) => row.candidate === candidate && row.metric === metric)
      .map(({ median }): [number, number] => [connections, median]))
  })).filter(({ points }) => points.length > 1)
}

/** A table of a scenario: metrics and candidates down, sizes across, then ratios and growth. */
export function table (scenario: ScenarioResult): string[] {
  const sizes = scenario.sizes.map(({ connections }) => connections)
  const rows = scenario.sizes.flatMap((size) => size.rows)
  const peers = unique(rows.flatMap(({ ratios = [] }) => ratios.map(({ to }) => to)))
  const grows = sizes.length > 1
  const lines = [
    `| what | | ${sizes.map((size) => size === 0 ? 'median (spread)' : figure(size)).join(' | ')} |${peers.map((peer) => ` ÷ ${peer} |`).join('')}${grows ? ' growth |' : ''}`,
    `|---|---|${'---|'.repeat(sizes.length + peers.length)}${grows ? '---|' : ''}`
  ]
  for (const metric of unique(rows.map((row) => row.metric))) {
    const found = rows.filter((row) => row.metric === metric)
    for (const [i, candidate] of unique(found.map((row) => row.candidate)).entries()) {
      const across = sizes.map((size) => find(scenario, candidate, metric, size))
      const last = across.findLast((row) => row !== undefined)!
      const cells = [
        i === 0 ? `**${metric}**, ${found[0]!.unit}` : '',
        candidate,
        ...across.map((row) => row === undefined ? '–' : cell(row)),
        ...peers.map((peer) => factor(last.ratios?.find(({ to }) => to === peer)?.median)),
        ...grows ? [factor(growth(across, last.unit))] : []
      ]
      lines.push(`| ${cells.join(' | ')} |`)
    }
  }
  return lines
}

/** The cost per connection at the greatest size, divided by the cost at the smallest. */
function growth (across: Array<Row | undefined>, unit: string): number | undefined {
  const found = across.filter((row) => row !== undefined)
  return unit.includes('per ') && found.length > 1 ? found.at(-1)!.median / found[0]!.median : undefined
}

function cell ({ median, min, max, values }: Row): string {
  return values.length > 1 ? `${figure(median)} (${figure(min)} – ${figure(max)})` : figure(median)
}

/** Ratios have two decimals, small ones three. */
export function factor (value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–'
  return value === 0 ? '0' : value < 0.1 ? value.toFixed(3) : value >= 100 ? figure(value) : value.toFixed(2)
}

export function unique (names: string[]): string[] {
  return [...new Set(names)]
}
