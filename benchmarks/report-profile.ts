/**
 * The table of the scenario profile: one row per activity and candidate, one column per part of the code.
 */
import { figure } from './charts.ts'
import { find, largest, unique } from './report-rows.ts'
import { CALLS, MOST, PROFILE_PARTS, TURNS, WHOLE } from './results.ts'
import type { ScenarioResult } from './results.ts'

const COLUMNS = [WHOLE, ...Object.values(PROFILE_PARTS), MOST, CALLS, TURNS]

/** The table, at the greatest size of each activity. Pure. */
export function profileTable (scenario: ScenarioResult): string[] {
  const rows = scenario.sizes.flatMap((size) => size.rows)
  const activities = unique(rows.map(({ metric }) => metric.split(': ')[0]!))
  return [
    `| what | | ${COLUMNS.join(' | ')} |`,
    `|---|---|${'---|'.repeat(COLUMNS.length)}`,
    ...activities.flatMap((activity) => {
      const whole = `${activity}: ${WHOLE}`
      const connections = largest(scenario, whole)!
      const candidates = unique(rows.filter(({ metric }) => metric === whole).map(({ candidate }) => candidate))
      return candidates.map((candidate, i) => {
        const cells = COLUMNS.map((column) => find(scenario, candidate, `${activity}: ${column}`, connections))
        return `| ${i === 0 ? `**${activity}**, ${cells[0]!.unit}` : ''} | ${candidate} | ${cells.map((cell) => cell === undefined ? '–' : figure(cell.median)).join(' | ')} |`
      })
    })
  ]
}
