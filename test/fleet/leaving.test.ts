import assert from 'node:assert/strict'
import test from 'node:test'
import { toBooked } from '../../lib/fleet/leaving.ts'

test('turns begin between the question and its answer', () => {
  assert.deepEqual(toBooked({ first: 250, seconds: [20, 80], rate: 80 }, 300, 1_000, 1_010), { begins: 1_305, first: 250, length: 1_000, turns: [20, 80] })
})

test('where no node stays, or has room, there are no turns', () => {
  assert.equal(toBooked({ first: 250, seconds: [], rate: 0 }, 0, 1_000, 1_010), null)
  assert.equal(toBooked({ first: 250, seconds: [0, 0], rate: 80 }, 0, 1_000, 1_010), null)
})
