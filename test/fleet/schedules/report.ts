/**
 * The report of a schedule that has failed.
 */
import type { RunResult } from './run.ts'

/** How to see a run again. */
export function command (seed: number, runs = 1): string {
  return `node --import ./scripts/typescript.js test/fleet/schedules/main.ts --seed ${seed} --runs ${runs}`
}

/** Everything that helps to find out why a run has failed. */
export function describe ({ seed, breach, trace }: RunResult): string {
  return [
    `Seed ${seed} broke "${breach!.invariant}": ${breach!.message}`,
    `  again: ${command(seed)}`,
    `  the last ${trace.length} things that happened (milliseconds of the clock):`,
    ...trace.map((line) => `  ${line}`)
  ].join('\n')
}
