/**
 * Slots by key: who counts, who only has a raw socket left, and what remains when all have gone.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Slots } from '../../lib/limit/slots.ts'
import { createFakeHost } from '../helpers/fake-host.ts'

const setup = (count = 2) => ({ places: new Slots(true), members: createFakeHost().crowd(count).map(({ connection }) => connection) })

test('one more is counted with those that are there', () => {
  const { places, members: [a, b] } = setup()
  assert.deepEqual(places.withOneMore('ann'), { counted: 1, physical: 1 })
  places.add('ann', a!)
  places.add('ann', b!)
  assert.deepEqual(places.withOneMore('ann'), { counted: 3, physical: 3 })
  assert.deepEqual(places.withOneMore('bob'), { counted: 1, physical: 1 })
  assert.deepEqual([[...places.members('ann')], [...places.members('bob')]], [[a, b], []])
})

test('an evicted one gives its place up at once, and its socket when that is gone', () => {
  const { places, members: [a] } = setup()
  places.add('ann', a!)
  places.evict('ann', a!)
  assert.deepEqual(places.withOneMore('ann'), { counted: 1, physical: 2 })
  assert.deepEqual([[...places.members('ann')], places.size], [[], 1])
  places.remove('ann', a!, true)
  assert.deepEqual([places.withOneMore('ann'), places.size], [{ counted: 1, physical: 1 }, 0])
})

test('a key whose last one is gone is forgotten', () => {
  const { places, members: [a, b] } = setup()
  places.add('ann', a!)
  places.add('bob', b!)
  assert.equal(places.size, 2)
  places.remove('ann', a!, false)
  assert.equal(places.size, 1)
  places.remove('bob', b!, false)
  assert.equal(places.size, 0)
})

test('without evictions members are not kept, but counted all the same', () => {
  const places = new Slots(false)
  const { members: [a, b] } = setup()
  places.add('ann', a!)
  places.add('ann', b!)
  places.evict('ann', a!)
  assert.deepEqual([places.withOneMore('ann'), [...places.members('ann')]], [{ counted: 2, physical: 3 }, []])
  places.remove('ann', a!, true)
  places.remove('ann', b!, false)
  assert.deepEqual([places.withOneMore('ann'), places.size], [{ counted: 1, physical: 1 }, 0])
})

test('asking about a key holds nothing', () => {
  const { places } = setup()
  for (let i = 0; i < 1_000; i++) places.withOneMore(`user ${i}`)
  assert.equal(places.size, 0)
})
