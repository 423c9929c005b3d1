import assert from 'node:assert/strict'
import test from 'node:test'
import { Buckets, LATENCY_BOUNDS, LIFE_BOUNDS } from '../../lib/track/histogram.ts'

test('a value belongs to the first bucket whose bound is not below it, else to the last', () => {
  const buckets = new Buckets([1, 10, 100])
  for (const value of [0, 1, 1.01, 10, 99.9, 100, 100.01, 1e9]) buckets.add(value)
  assert.deepEqual(buckets.toHistogram().counts, [2, 2, 2, 2])
})

test('sum and count are those of all values', () => {
  const buckets = new Buckets([1, 10])
  for (const value of [0.5, 5, 50]) buckets.add(value)
  assert.deepEqual(buckets.toHistogram(), { bounds: [1, 10], counts: [1, 1, 1], sum: 55.5, count: 3 })
})

test('a histogram is a copy', () => {
  const buckets = new Buckets([1])
  const { bounds, counts } = buckets.toHistogram() as unknown as { bounds: number[], counts: number[] }
  bounds[0] = counts[0] = 99
  buckets.add(1)
  assert.deepEqual(buckets.toHistogram(), { bounds: [1], counts: [1, 0], sum: 1, count: 1 })
})

test('the bounds in use ascend', () => {
  for (const bounds of [LATENCY_BOUNDS, LIFE_BOUNDS]) assert.deepEqual(bounds, bounds.toSorted((a, b) => a - b))
})
