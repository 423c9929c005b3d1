/**
 * Measures two candidates in turns, so that every disturbance affects both.
 */
import { median } from '../statistics.ts'

/** Medians of all turns. */
export interface Pair {
  first: number
  second: number
  /** Median of the differences. */
  added: number
}

/** Turns of each candidate, after those that are discarded. */
export async function compare (turns: number, warmUp: number, first: () => Promise<number>, second: () => Promise<number>): Promise<Pair> {
  const pairs: Array<[number, number]> = []
  for (let i = -warmUp; i < turns; i++) {
    // The order alternates, because the second candidate finds the caches as the first one left them.
    const pair: [number, number] = [0, 0]
    for (const which of i % 2 === 0 ? [0, 1] as const : [1, 0] as const) pair[which] = await (which === 0 ? first : second)()
    if (i >= 0) pairs.push(pair)
  }
  return {
    first: median(pairs.map(([a]) => a)),
    second: median(pairs.map(([, b]) => b)),
    added: median(pairs.map(([a, b]) => b - a))
  }
}
