/**
 * Values by key: one, several, none left; in the order in which they came.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MultiMap } from '../../lib/track/multi-map.ts'

test('one value, then several, then one again; the order is that of adding', () => {
  const map = new MultiMap<object>()
  const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
  assert.deepEqual([...map.get('x')], [])
  map.add('x', b!)
  assert.deepEqual([...map.get('x')], [b])
  map.add('x', a!)
  map.add('x', c!)
  assert.deepEqual([...map.get('x')], [b, a, c])
  map.delete('x', b!)
  map.delete('x', c!)
  assert.deepEqual([...map.get('x')], [a])
  map.add('x', b!)
  assert.deepEqual([[...map.get('x')], map.size], [[a, b], 1])
})

test('values may leave while one goes through them', () => {
  const map = new MultiMap<{ name: string }>()
  const all = ['a', 'b', 'c'].map((name) => ({ name }))
  for (const value of all) map.add('x', value)
  const seen: string[] = []
  for (const value of map.get('x')) {
    seen.push(value.name)
    map.delete('x', value)
  }
  assert.deepEqual([seen, map.size], [['a', 'b', 'c'], 0])
})

test('a value is there once, however often it was added', () => {
  const map = new MultiMap<object>()
  const [a, b] = [{}, {}]
  for (const value of [a, a, b, b, a]) map.add('x', value)
  assert.deepEqual([...map.get('x')], [a, b])
})

test('a key whose last value is gone is forgotten, and no other loses anything', () => {
  const map = new MultiMap<object>()
  const [a, b] = [{ name: 'a' }, { name: 'b' }]
  map.add('x', a)
  map.delete('x', b)
  map.delete('y', a)
  assert.deepEqual([[...map.get('x')], map.size], [[a], 1])
  map.add('x', b)
  map.add('y', b)
  for (const value of [a, b]) map.delete('x', value)
  assert.deepEqual([[...map.get('x')], [...map.get('y')], map.size], [[], [b], 1])
})
