import assert from 'node:assert/strict'
import test from 'node:test'
import type { Connection } from '../../lib/connection/connection.ts'
import { drainReason, reconnectDelay } from '../../lib/drain/reconnect.ts'
import { createRig } from '../helpers/drain-rig.ts'

const OPTIONS = { rate: 200, minDelay: 1_000, maxDelay: 60_000 }
const CONNECTION = { id: 7, route: '/echo' } as Connection

/** When each of `count` clients is back, from the first frame on; frame `i` leaves `every` × i milliseconds after it. */
function targets (count: number, every = 0, options = OPTIONS): number[] {
  return Array.from({ length: count }, (_, i) => i * every + reconnectDelay(options, i, count, i * every))
}

function gaps (sorted: number[]): number[] {
  return sorted.slice(1).map((target, i) => target - sorted[i]!)
}

test('one client alone gets minDelay', () => {
  assert.equal(reconnectDelay(OPTIONS, 0, 1, 0), 1_000)
  assert.equal(reconnectDelay({ ...OPTIONS, minDelay: 0 }, 0, 1, 0), 0)
})

test('clients come back evenly over the time the rest of the fleet needs', () => {
  const all = targets(1_000)
  assert.equal(all[0], 1_000)
  assert.equal(all.at(-1), 5_995)
  assert.deepEqual(new Set(gaps(all)), new Set([5]))
})

test('what is told late is asked back that much sooner', () => {
  // 500 frames over a second: each client is back when it would have been, had all been told at once.
  assert.deepEqual(targets(500, 2), targets(500))
})

test('no client is asked back sooner than minDelay after its own frame', () => {
  for (const elapsed of [0, 500, 2_000, 100_000]) {
    for (const index of [0, 10, 99]) assert.ok(reconnectDelay(OPTIONS, index, 100, elapsed) >= 1_000)
  }
  assert.equal(reconnectDelay(OPTIONS, 99, 100, 100_000), 1_000)
})

test('more clients than the fleet takes in maxDelay are spread evenly up to it', () => {
  const all = targets(20_000)
  assert.equal(all[0], 1_000)
  assert.ok(all.at(-1)! <= 60_000)
  assert.ok(all.at(-1)! > 59_990)
  // 59,000 ms over 20,000: 2.95 each, which rounding shows as 2, 3 or 4.
  assert.ok(gaps(all).every((gap) => gap >= 2 && gap <= 4))
})

test('the delay is never over maxDelay', () => {
  for (const count of [1, 2, 100, 12_000, 100_000]) {
    assert.ok(reconnectDelay(OPTIONS, count - 1, count, 0) <= 60_000)
  }
  assert.equal(reconnectDelay({ rate: 1, minDelay: 3_000, maxDelay: 3_000 }, 50, 100, 0), 3_000)
})

test('a delay is a whole number of milliseconds', () => {
  for (let index = 0; index < 7; index++) {
    assert.ok(Number.isInteger(reconnectDelay({ rate: 0.7, minDelay: 100, maxDelay: 60_000 }, index, 7, index * 0.3)))
  }
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
