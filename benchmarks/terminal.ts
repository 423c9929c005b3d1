/**
 * Progress and tables for the terminal, on stderr.
 */
import type { SizeResult } from './results.ts'

/** Shows that a run begins. */
export function printStep (scenario: string, connections: number, round: number, candidate: string): void {
  const size = connections === 0 ? '' : ` ${connections.toLocaleString('en')}`
  console.error(`${new Date().toTimeString().slice(0, 8)}  ${scenario}${size}, round ${round + 1}: ${candidate}`)
}

/** Prints a table per metric, with one line per candidate. */
export function printSize (title: string, { connections, rounds, rows, skipped = {} }: SizeResult): void {
  const lines = [`\n${title}${connections === 0 ? '' : `, ${connections.toLocaleString('en')} connections`}, ${rounds} rounds`]
  for (const metric of new Set(rows.map((row) => row.metric))) {
    const found = rows.filter((row) => row.metric === metric)
    lines.push(`  ${metric} (${found[0]!.unit})`)
    for (const { candidate, median, min, max, ratios = [] } of found) {
      const compared = ratios.map((ratio) => `${ratio.median.toFixed(3)} × ${ratio.to}`).join(', ')
      lines.push(`    ${candidate.padEnd(32)}${String(median).padStart(10)}  ${`${min} – ${max}`.padEnd(22)}${compared}`)
    }
  }
  for (const [candidate, why] of Object.entries(skipped)) lines.push(`  left out: ${candidate}: ${why}`)
  console.error(lines.join('\n') + '\n')
}
