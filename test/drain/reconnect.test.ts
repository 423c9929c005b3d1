import assert from 'node:assert/strict'
import test from 'node:test'
import type { Connection } from '../../lib/connection/connection.ts'
import { drainReason, reconnectDelay } from '../../lib/drain/reconnect.ts'
import { createRig } from '../helpers/drain-rig.ts'

const OPTIONS = { rate: 200, minDelay: 1_000, maxDelay: 60_000 }
const CONNECTION = { id: 7, route: '/echo' } as Connection

test('a delay is the shortest one and the time until the turn, in whole milliseconds, and never over the longest', () => {
  assert.equal(reconnectDelay(OPTIONS, 0), 1_000)
  assert.equal(reconnectDelay(OPTIONS, 12.3), 1_013)
  assert.equal(reconnectDelay(OPTIONS, 59_001), 60_000)
  assert.equal(reconnectDelay({ ...OPTIONS, minDelay: 0 }, 0), 0)
})

test('a text without a delay stays as it is', () => {
  assert.equal(drainReason('service restart', CONNECTION, 0), 'service restart')
})

test('a text gets the delay behind it', () => {
  assert.equal(drainReason('service restart', CONNECTION, 4_210), 'service restart; retry=4210')
  assert.equal(drainReason('', CONNECTION, 4_210), 'retry=4210')
})

test('a text that is too long is cut, the delay is not', () => {
  const reason = drainReason('ö'.repeat(100), CONNECTION, 4_210)
  assert.match(reason, /^ö+; retry=4210$/)
  assert.ok(Buffer.byteLength(reason) <= 123)
  assert.ok(Buffer.byteLength(reason) >= 122)
})

test('a function makes the whole reason, from the connection and the delay', () => {
  assert.equal(drainReason(({ id }, delay) => `${id} in ${delay}`, CONNECTION, 4_210), '7 in 4210')
})

test('a function that returns false sends no reason', () => {
  assert.equal(drainReason(() => false, CONNECTION, 4_210), '')
})

test('a function that returns nothing sends no reason', () => {
  assert.equal(drainReason((() => undefined) as never, CONNECTION, 4_210), '')
})

test('one client alone gets the shortest delay, also where time passes between two looks at the clock', async () => {
  const rig = createRig()
  const { clock } = rig
  const { now } = clock
  rig.connect({ peer: 'answers' })
  clock.now = function () { this.stall(16); return now.call(this) }
  void rig.start()
  await clock.flush()
  clock.now = now
  assert.deepEqual(rig.frames.map(({ retry }) => retry), [1_000])
})
