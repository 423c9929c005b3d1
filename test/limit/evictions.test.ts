/**
 * Whom an eviction hits, and how many there may be under one key.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { EvictionBudget, victimOf } from '../../lib/limit/evictions.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

const spendAll = (budget: EvictionBudget, key: string, max: number) => {
  let spent = 0
  for (; budget.has(key, max) && spent < 1_000; spent++) budget.spend(key)
  return spent
}

test('ten evictions a minute are always allowed, or as many as the limit', () => {
  const budget = new EvictionBudget(new FakeClock())
  assert.deepEqual([spendAll(budget, 'a', 1), spendAll(budget, 'b', 10), spendAll(budget, 'c', 25)], [10, 10, 25])
})

test('asking spends nothing', () => {
  const budget = new EvictionBudget(new FakeClock())
  for (let i = 0; i < 100; i++) assert.equal(budget.has('a', 1), true)
})

test('with a new minute there are new ones, not sooner', () => {
  const clock = new FakeClock()
  const budget = new EvictionBudget(clock)
  spendAll(budget, 'a', 1)
  clock.tick(59_999)
  assert.equal(budget.has('a', 1), false)
  clock.tick(1)
  assert.equal(spendAll(budget, 'a', 1), 10)
})

test('the oldest is the first of those who are open', () => {
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

test('the idlest is who has been silent longest; of equals the oldest', () => {
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
