/**
 * Histograms with fixed buckets: constant memory, however many values.
 */

/** Durations sorted into buckets. */
export interface Histogram {
  /** Upper bounds of the buckets, inclusive, milliseconds, ascending. */
  bounds: readonly number[]
  /** Number of values in each bucket, not cumulative; one more than bounds, for the values above the last bound. */
  counts: readonly number[]
  /** Sum of all values, milliseconds. */
  sum: number
  /** Number of all values. */
  count: number
}

/** Bounds for a handshake or a round trip: 1 ms to 10 s. */
export const LATENCY_BOUNDS: readonly number[] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]

/** Bounds for the life of a connection: 1 s to 24 h. */
export const LIFE_BOUNDS: readonly number[] = [1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 43_200_000, 86_400_000]

export class Buckets {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  /** `bounds` are ascending. */
  constructor (bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  add (value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++
    this.#counts[bucket]!++
    this.#sum += value
    this.#count++
  }

  /** Returns a copy. */
  toHistogram (): Histogram {
    return { bounds: [...this.#bounds], counts: [...this.#counts], sum: this.#sum, count: this.#count }
  }
}
