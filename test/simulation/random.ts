/**
 * Chance from a seed, in the forms a simulation asks for.
 */
import { generator } from '../helpers/generator.ts'

export class Random {
  /** From 0 up to 1. */
  readonly next: () => number

  constructor (seed: number) {
    this.next = generator(seed)
    // Neighbouring seeds begin alike.
    for (let i = 0; i < 4; i++) this.next()
  }

  chance (probability: number): boolean { return this.next() < probability }

  /** A whole number, both ends included. */
  between (least: number, most: number): number { return least + Math.floor(this.next() * (most - least + 1)) }

  upTo (most: number): number { return this.between(0, most) }

  pick<T> (values: readonly T[]): T { return values[this.upTo(values.length - 1)]! }

  /** One of those with weights. */
  weighted<T extends { readonly weight: number }> (values: readonly T[]): T {
    let left = this.next() * values.reduce((sum, { weight }) => sum + weight, 0)
    return values.find(({ weight }) => (left -= weight) < 0) ?? values[values.length - 1]!
  }
}
