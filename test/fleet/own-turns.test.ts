import assert from 'node:assert/strict'
import test from 'node:test'
import { OwnTurns } from '../../lib/fleet/own-turns.ts'

test('without a booking nothing is to come', () => {
  const turns = new OwnTurns()
  turns.replace(0, null)
  assert.equal(turns.at(0), null)
})

test('turns that are to come are counted from now on, at the rate of now', () => {
  const turns = new OwnTurns()
  turns.replace(10_300, { begins: 10_300, first: 700, length: 1_000, turns: [70, 0, 50] })
  assert.deepEqual(turns.at(10_000), { clients: 120, rate: 0, within: 3_000 })
  assert.deepEqual(turns.at(10_650), { clients: 85, rate: 100, within: 2_350 })
  assert.deepEqual(turns.at(11_500), { clients: 50, rate: 0, within: 1_500 })
  assert.deepEqual(turns.at(12_500), { clients: 25, rate: 50, within: 500 })
  assert.equal(turns.at(13_000), null)
})

test('a booking replaces the turns behind its beginning, and leaves those before it', () => {
  const turns = new OwnTurns()
  turns.replace(0, { begins: 0, first: 1_000, length: 1_000, turns: [100, 100, 100] })
  turns.replace(500, { begins: 500, first: 500, length: 1_000, turns: [10, 10] })
  assert.deepEqual(turns.at(0), { clients: 70, rate: 100, within: 2_000 })
  assert.deepEqual(turns.at(500), { clients: 20, rate: 20, within: 1_500 })
  turns.replace(1_000, null)
  assert.deepEqual(turns.at(500), { clients: 10, rate: 20, within: 500 })
})
