/**
 * A scenario and its run: candidates in turn within a round, in an order that rotates from round to round.
 */
import type { Candidate } from './candidates.ts'
import type { Measurement, Row, SizeResult } from './results.ts'
import { ratio, spread } from './statistics.ts'

interface ScenarioBase {
  title: string
  /** Numbers of connections; [0] if the scenario has no sizes. */
  sizes: number[]
  rounds: number
  /** The candidates at a size, in the order of the rows. */
  candidates (connections: number): Candidate[]
  /** Candidates that the others are compared with. */
  peers: Candidate[]
}

/** Runs one candidate once; or all of them, by name, if they must share a process. */
export type Scenario = ScenarioBase & (
  { measure (candidate: Candidate, connections: number): Promise<Measurement[]> } |
  { together (candidates: Candidate[]): Promise<Record<string, Measurement[]>> }
)

/** Called before every run. */
export type Progress = (round: number, candidate: string) => void

/** Runs all rounds of a scenario at one size. A candidate that fails is skipped from then on, and named. */
export async function runSize (scenario: Scenario, connections: number, rounds: number, candidates: Candidate[], progress: Progress): Promise<SizeResult> {
  const names = candidates.map(({ name }) => name)
  const table = new Table(names)
  for (let round = 0; round < rounds; round++) {
    if ('together' in scenario) {
      progress(round, names.join(', '))
      for (const [name, found] of Object.entries(await scenario.together(candidates))) table.add(name, round, found)
      continue
    }
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[(i + round) % candidates.length]!
      if (candidate.name in table.skipped) continue
      progress(round, candidate.name)
      try {
        table.add(candidate.name, round, await scenario.measure(candidate, connections))
      } catch (error) {
        table.skip(candidate.name, error)
      }
    }
  }
  return { connections, rounds, rows: table.rows(scenario.peers), ...(Object.keys(table.skipped).length === 0 ? {} : { skipped: table.skipped }) }
}

/** Values by candidate and metric. */
class Table {
  readonly #series: Map<string, Map<string, { unit: string, values: number[] }>>
  readonly skipped: Record<string, string> = {}

  constructor (candidates: string[]) {
    this.#series = new Map(candidates.map((name) => [name, new Map()]))
  }

  add (candidate: string, round: number, found: Measurement[]): void {
    for (const { metric, unit, value, row } of found) {
      if (row !== undefined && !this.#series.has(row)) this.#series.set(row, new Map())
      const metrics = this.#series.get(row ?? candidate)
      if (metrics?.has(metric) === false) metrics.set(metric, { unit, values: [] })
      const values = metrics?.get(metric)?.values
      if (values !== undefined) values[round] = value
    }
  }

  /** Skips a candidate and drops its values so far. */
  skip (candidate: string, reason: unknown): void {
    this.skipped[candidate] = String(reason)
    this.#series.delete(candidate)
  }

  rows (peers: Candidate[]): Row[] {
    return [...this.#series].flatMap(([candidate, metrics]) => [...metrics].map(([metric, { unit, values }]): Row => {
      const ratios = peers.filter(({ name }) => name !== candidate)
        .map(({ name }) => ratio(name, values, this.#series.get(name)?.get(metric)?.values ?? []))
        .filter((found) => found !== null)
      return { candidate, metric, unit, values, ...spread(values), ...(ratios.length === 0 ? {} : { ratios }) }
    }))
  }
}
