/**
 * How many evictions there may be under one key.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { EvictionBudget } from '../../lib/limit/eviction-budget.ts'
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
