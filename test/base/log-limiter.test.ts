import assert from 'node:assert/strict'
import test from 'node:test'
import { LogLimiter } from '../../lib/base/log-limiter.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { createLog } from '../helpers/tracker-rig.ts'

function createGate () {
  const clock = new FakeClock()
  const { log, lines, messages } = createLog()
  return { clock, lines, messages, gate: new LogLimiter(clock, log) }
}

test('the first five of a kind pass as warnings with their fields', () => {
  const { gate, lines } = createGate()
  for (let i = 0; i < 5; i++) gate.warn('a noisy peer', { connection: i })
  assert.deepEqual(lines, [0, 1, 2, 3, 4].map((connection) => ({ level: 'warn', bindings: {}, fields: { connection }, message: 'a noisy peer' })))
})

test('the others within 10 s are counted, and the count is told at the end', () => {
  const { gate, clock, lines } = createGate()
  for (let i = 0; i < 1_000; i++) {
    gate.warn('a noisy peer', { connection: i })
    clock.tick(5)
  }
  assert.equal(lines.length, 5)
  clock.tick(4_999)
  assert.equal(lines.length, 5)
  clock.tick(1)
  assert.deepEqual(lines.slice(5), [{ level: 'warn', bindings: {}, fields: { suppressed: 995 }, message: 'a noisy peer: more of the same were not logged' }])
})

test('five or fewer leave nothing to tell', () => {
  const { gate, clock, lines } = createGate()
  for (let i = 0; i < 5; i++) gate.warn('a noisy peer', {})
  clock.tick(10_000)
  assert.equal(lines.length, 5)
  assert.equal(clock.pendingTimers, 0)
})

test('after 10 s five pass again', () => {
  const { gate, clock, messages } = createGate()
  for (let i = 0; i < 7; i++) gate.warn('a noisy peer', {})
  clock.tick(10_000)
  for (let i = 0; i < 7; i++) gate.warn('a noisy peer', {})
  assert.equal(messages('warn').filter((message) => message === 'a noisy peer').length, 10)
})

test('kinds are counted apart', () => {
  const { gate, clock, messages } = createGate()
  for (let i = 0; i < 7; i++) gate.warn('one', {})
  for (let i = 0; i < 6; i++) gate.warn('other', {})
  clock.tick(10_000)
  assert.deepEqual(messages('warn').slice(10), ['one: more of the same were not logged', 'other: more of the same were not logged'])
})

test('the timer does not keep the process alive', () => {
  const { gate, clock } = createGate()
  gate.warn('a noisy peer', {})
  assert.equal(clock.pendingTimers, 1)
  assert.equal(clock.refedTimers, 0)
})

test('a gate that is closed tells what is left and leaves no timer', () => {
  const { gate, clock, messages } = createGate()
  for (let i = 0; i < 7; i++) gate.warn('one', {})
  for (let i = 0; i < 3; i++) gate.warn('other', {})
  gate.close()
  assert.equal(clock.pendingTimers, 0)
  assert.equal(messages('warn').at(-1), 'one: more of the same were not logged')
  assert.equal(messages('warn').length, 9)
  gate.close()
  assert.equal(messages('warn').length, 9)
})

test('after it is closed, the first five of a kind pass and no timer is set', () => {
  const { gate, clock, messages } = createGate()
  gate.close()
  for (let i = 0; i < 7; i++) gate.warn('a late one', {})
  assert.equal(clock.pendingTimers, 0)
  assert.deepEqual(messages('warn'), Array(5).fill('a late one'))
})

test('a warning of a kind is logged once for each route', () => {
  const { gate, messages, lines } = createGate()
  for (const route of ['/a', '/b', '/a', '/b']) for (const kind of ['one', 'other']) gate.warnOnce(kind, route)
  assert.deepEqual(messages('warn'), ['one', 'other', 'one', 'other'])
  assert.deepEqual(lines.map(({ fields }) => fields), ['/a', '/a', '/b', '/b'].map((route) => ({ route })))
})
