/**
 * The report of a run that failed, and a seed for a run that was given none.
 */
import { randomInt } from 'node:crypto'
import type { RunResult } from './run.ts'

/** A seed that was never used. */
export function freshSeed (): number {
  return randomInt(2 ** 31)
}

/** How to see a run again. */
export function command (seed: number, runs = 1): string {
  return `npm run simulate -- --seed ${seed} --runs ${runs}`
}

/** Everything that helps to find out why a run failed; what it is comes last, where one looks in a long log. */
export function describe ({ seed, steps, breach, trace }: RunResult): string {
  return [
    `The last ${trace.length} things that happened in the run of seed ${seed} (milliseconds of the clock):`,
    ...trace.map((line) => `  ${line}`),
    `Seed ${seed} broke "${breach!.invariant}" after ${steps} steps: ${breach!.message}`,
    `  again: ${command(seed)}`
  ].join('\n')
}
