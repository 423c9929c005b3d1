/**
 * Nodes that leave a fleet together, simulated.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { freshSeed } from '../report.ts'
import { allAtOnce, ours } from './leaver.ts'
import { randomRun } from './random-run.ts'
import { run } from './run.ts'

const RUNS = 2_000
const PART = 200

test('however nodes leave, never more clients come back than the nodes that stay can take', async (t) => {
  const seed = freshSeed()
  t.diagnostic(`${RUNS} runs from seed ${seed}; again: npm run simulate -- fleet --seed ${seed} --runs ${RUNS}`)
  for (let from = seed; from < seed + RUNS; from += PART) {
    await t.test(`in ${PART} runs from seed ${from}`, () => {
      for (let i = from; i < from + PART; i++) {
        const { busiest, what } = randomRun(i)
        assert.ok(busiest <= 1, `seed ${i}: ${busiest.toFixed(3)}; ${what}`)
      }
    })
  }
})

test('one node of 50 leaves: its clients are offline for the time to connect', () => {
  const { busiest, offline } = run({ seed: 1, way: ours(), leaving: 1, gap: 0 })
  assert.ok(busiest <= 0.85, `${busiest}`)
  assert.ok(offline <= 0.1, `${offline}`)
})

test('25 nodes of 50 leave at once, or one by one: the busiest second has 0.85 of what the others can take at most', () => {
  for (const gap of [0, 2_000]) {
    const { busiest, refused } = run({ seed: 1, way: ours(), leaving: 25, gap })
    assert.ok(busiest <= 0.85, `${gap}: ${busiest}`)
    assert.equal(refused, 0)
  }
})

test('the simulation finds what is too much', () => {
  const { busiest } = run({ seed: 1, way: allAtOnce, leaving: 5, gap: 0 })
  assert.ok(busiest > 2, `${busiest}`)
})
