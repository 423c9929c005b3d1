/**
 * What a node says about itself is read with care: another version, or another program, may have written it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { readNode } from '../../lib/fleet/remote-node.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

const read = (info: string, capacity = 0) => readNode({ id: 'a', info, capacity, silent: 0 }, new FakeClock(), false)

test('numbers of a node are counts that can be added up', () => {
  for (const [said, connections] of [[7, 7], [9e15, 100_000_000], [-1, 0], [0.5, 0], ['8', 0], [null, 0]]) {
    assert.equal(read(JSON.stringify({ connections: said })).connections, connections)
  }
  assert.deepEqual([read('{}', 1e12).capacity, read('{}', -1).capacity], [1_000_000, 0])
})

test('what is no object, or too long, says nothing', () => {
  for (const info of ['', 'null', '[', '7', JSON.stringify({ connections: 7, more: 'x'.repeat(20_000) })]) {
    const { state, connections, version, booked } = read(info)
    assert.deepEqual({ state, connections, version, booked }, { state: 'running', connections: 0, version: 'unknown', booked: null })
  }
})
