/**
 * Median, spread and ratio. Pure.
 */
import type { Ratio } from './results.ts'

/** The median; NaN without values. */
export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Median, minimum and maximum, rounded. */
export function spread (values: readonly number[]): { median: number, min: number, max: number } {
  return { median: round(median(values)), min: round(Math.min(...values)), max: round(Math.max(...values)) }
}

/** The ratio of two series that were measured in the same rounds, without rounds in which the peer has no value. */
export function ratio (to: string, values: readonly number[], peer: readonly number[]): Ratio | null {
  const ratios = values.map((value, i) => value / peer[i]!).filter(Number.isFinite)
  return ratios.length === 0 ? null : { to, ...spread(ratios) }
}

/** Four significant digits; more are noise. */
export function round (value: number): number {
  return Number(value.toPrecision(4))
}
