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

/** Everything that helps to find out why a run failed. */
export function describe ({ seed, steps, breach, trace }: RunResult): string {
  return [
    `Seed ${seed} broke "${breach!.invariant}" after ${steps} steps: ${breach!.message}`,
    `  again: ${command(seed)}`,
    `  the last ${trace.length} things that happened (milliseconds of the clock):`,
    ...trace.map((line) => `  ${line}`)
  ].join('\n')
}
