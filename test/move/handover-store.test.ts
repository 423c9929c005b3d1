/**
 * The store of this process: one use, expiry, bounds.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { LocalHandoverStore, sharedStore } from '../../lib/move/handover-store.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

function createStore (maxBytes?: number) {
  const clock = new FakeClock()
  return { clock, store: new LocalHandoverStore(clock, maxBytes) }
}

test('a record is given once', () => {
  const { clock, store } = createStore()
  store.put('a', 'record', 1000)
  assert.equal(store.take('b'), undefined)
  assert.equal(store.take('a'), 'record')
  assert.equal(store.take('a'), undefined)
  assert.deepEqual([store.size, clock.pendingTimers], [0, 0])
})

test('a record is there until its time is over, and then nothing is left', () => {
  const { clock, store } = createStore()
  for (const [id, ttl] of [['a', 1000], ['b', 60_000], ['c', 1000]] as const) store.put(id, id, ttl)
  clock.tick(999)
  assert.equal(store.take('c'), 'c')
  clock.tick(100)
  assert.equal(store.take('a'), undefined)
  assert.equal(store.size, 1)
  clock.tick(60_000)
  assert.deepEqual([store.size, clock.pendingTimers], [0, 0])
})

test('the timer does not keep the process alive', () => {
  const { clock, store } = createStore()
  store.put('a', 'a', 1000)
  assert.equal(clock.refedTimers, 0)
})

test('a record is replaced, with a new time, as long as it was not taken', () => {
  const { clock, store } = createStore()
  store.put('a', 'old', 1000)
  clock.tick(900)
  store.replace('a', 'new', 1000)
  clock.tick(900)
  assert.equal(store.take('a'), 'new')
  store.replace('a', 'newer', 1000)
  store.replace('never put', 'x', 1000)
  assert.deepEqual([store.take('a'), store.take('never put'), store.size], [undefined, undefined, 0])
})

test('a full store drops its oldest records', () => {
  const { store } = createStore(10_000)
  for (let i = 0; i < 1000; i++) {
    store.put(`id-${i}`, 'x'.repeat(100), 1000)
    assert.ok(store.size * 456 <= 10_000)
  }
  assert.equal(store.size, 21)
  assert.deepEqual([store.take('id-978'), store.take('id-979')], [undefined, 'x'.repeat(100)])
})

test('a record that does not fit leaves the store empty and usable', () => {
  const { clock, store } = createStore(1000)
  store.put('a', 'x'.repeat(1000), 1000)
  assert.deepEqual([store.size, clock.pendingTimers], [0, 0])
  store.put('b', 'y', 1000)
  assert.equal(store.take('b'), 'y')
})

test('bytes are counted to zero, however records leave', () => {
  const { clock, store } = createStore(10_000)
  for (let round = 0; round < 100; round++) {
    store.put('taken', 'x'.repeat(1000), 1000)
    store.replace('taken', 'y'.repeat(3000), 1000)
    store.take('taken')
    store.put('expires', 'x'.repeat(4000), 100)
    clock.tick(200)
  }
  store.put('last', 'x'.repeat(4800), 1000)
  assert.equal(store.take('last')?.length, 4800)
})

test('the process has one store', () => {
  assert.equal(sharedStore(), sharedStore())
})
