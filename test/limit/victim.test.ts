/**
 * Which connection an eviction closes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { victimOf } from '../../lib/limit/victim.ts'
import { createFakeHost } from '../helpers/fake-host.ts'

test('the oldest is the first of those that are open', () => {
  const host = createFakeHost()
  const [a, b, c] = host.crowd(3)
  const all = [c, a, b].map((pair) => pair!.connection)
  assert.equal(victimOf('evict-oldest', all), a!.connection)
  void a!.connection.close().catch(() => {})
  assert.equal(victimOf('evict-oldest', all), b!.connection)
  b!.connection.startDraining()
  assert.equal(victimOf('evict-oldest', all), c!.connection)
})

test('a new connection is never evicted for itself', () => {
  const [a, b] = createFakeHost().crowd(2).map(({ connection }) => connection)
  assert.equal(victimOf('evict-oldest', [a!, b!], a), b)
  assert.equal(victimOf('evict-oldest', [a!], a), undefined)
  assert.equal(victimOf('evict-idlest', [], a), undefined)
})

test('the idlest is the one that has been silent longest; of equals the oldest', () => {
  const host = createFakeHost()
  const [a, b, c] = host.crowd(3).map(({ connection }) => connection)
  a!.lastMessage = 30
  b!.lastMessage = 10
  c!.lastMessage = 20
  assert.equal(victimOf('evict-idlest', [a!, b!, c!]), b)
  c!.lastMessage = 10
  assert.equal(victimOf('evict-idlest', [c!, b!, a!]), b)
  assert.equal(victimOf('evict-oldest', [c!, b!, a!]), a)
})
