/**
 * How many messages a client may send, on a fake clock.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { LifecycleOptions, MessageRateOptions } from '../../lib/options/options.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

function setup (messageRate: MessageRateOptions, options: LifecycleOptions = {}) {
  const rig = createTracker({ heartbeat: false, backpressure: false, messageRate, ...options }, 'fatal')
  const pair = rig.open()
  /** Sends messages that are read in a row; says how many were delivered. */
  const send = async (count: number) => {
    const before = pair.socket.delivered.length
    for (let i = 0; i < count; i++) pair.socket.peerSends('x')
    await rig.clock.flush()
    return pair.socket.delivered.length - before
  }
  return { ...rig, ...pair, send }
}

test('a client within its rate is never disturbed, however long', async () => {
  for (const policy of ['close', 'pause'] as const) {
    const { clock, send, connection, socket } = setup({ max: 3, timeWindow: 100, burst: 1, policy })
    for (let i = 0; i < 3_000; i++) {
      assert.equal(await send(1), 1)
      clock.tick(100 / 3 + 0.001)
    }
    assert.deepEqual([connection.state, socket.calls.filter((call) => call === 'pause')], ['open', []])
  }
})

test('a burst is free, the message after it is not: closed with 1008, and nothing more is delivered', async () => {
  const { clock, send, connection, socket, tracker } = setup({ max: 10, burst: 15 })
  assert.equal(await send(15), 15)
  assert.equal(connection.state, 'open')
  socket.peer = 'silent'
  assert.equal(await send(5), 0)
  assert.deepEqual(socket.closeFrame, { code: 1008, reason: 'too many messages' })
  socket.peerAnswers()
  await clock.run(100)
  const { cause, code, messages, dropped } = tracker.history[0]!
  assert.deepEqual([cause, code, messages, dropped], ['rate', 1008, 15, 5])
})

test('the burst comes back with time, a message each window / max', async () => {
  const { clock, send, connection } = setup({ max: 10, timeWindow: 1_000 })
  await send(10)
  clock.tick(300)
  assert.equal(await send(3), 3)
  clock.tick(99)
  assert.equal(await send(1), 0)
  assert.equal(connection.state !== 'open', true)
})

test('no more than the burst is saved up', async () => {
  const { clock, send } = setup({ max: 10, burst: 2 })
  clock.tick(60_000)
  assert.equal(await send(10), 2)
})

test('pause: the message is delivered, and nothing is read until it is paid for', async () => {
  const { clock, send, connection, socket } = setup({ max: 10, policy: 'pause' })
  assert.equal(await send(10), 10)
  assert.equal(socket.paused, false)
  assert.equal(await send(3), 1)
  assert.equal(socket.paused, true)
  clock.tick(90)
  assert.equal(socket.paused, true)
  await clock.run(60)
  assert.equal(socket.delivered.length, 12)
  await clock.run(1_000)
  assert.deepEqual([socket.delivered.length, socket.paused, connection.state, connection.incoming.dropped], [13, false, 'open', 0])
})

test('in the long run a flood that is paused is as fast as its rate', async () => {
  const { clock, socket } = setup({ max: 20, burst: 5, policy: 'pause' })
  for (let i = 0; i < 1_000; i++) socket.peerSends('x')
  await clock.run(10_000)
  const { length } = socket.delivered
  assert.ok(length <= 10 * 20 + 5 + 1 && length > 100, `${length} messages in 10 s`)
})

test('a pause of the rate does not end a pause for another reason', async () => {
  const { clock, send, connection, socket } = setup({ max: 1, policy: 'pause' })
  connection.incoming.pause('listener')
  connection.incoming.resume('listener')
  await send(2)
  connection.incoming.pause('listener')
  await clock.run(5_000)
  assert.equal(socket.paused, true)
  connection.incoming.resume('listener')
  assert.equal(socket.paused, false)
})

test('nothing remains of a connection that closes while it is paused', async () => {
  const { clock, send, connection, tracker } = setup({ max: 1, timeWindow: 60_000, policy: 'pause' })
  await send(2)
  assert.equal(tracker.leftovers > 0, true)
  void connection.close().catch(() => {})
  await clock.run(500)
  assert.deepEqual([tracker.leftovers, clock.pendingTimers], [0, 0])
})

test('nothing remains of a connection that its own pause has closed', async () => {
  const { send, connection, tracker, transport } = setup({ max: 1, timeWindow: 60_000, policy: 'pause' })
  transport.pause = () => { void connection.terminate() }
  await send(3)
  assert.deepEqual([connection.state, tracker.leftovers], ['closed', 0])
})

test('what still arrives while the application closes sets nothing', async () => {
  for (const policy of ['close', 'pause'] as const) {
    const { clock, socket, tracker } = setup({ max: 1, timeWindow: 3_600_000, policy })
    socket.peer = 'silent'
    socket.close(1000)
    for (let i = 0; i < 5; i++) socket.peerSends('x')
    await clock.flush()
    socket.peerAnswers()
    await clock.run(1_000)
    assert.deepEqual([tracker.history[0]!.cause, tracker.leftovers, clock.pendingTimers], ['application', 0, 0])
  }
})

for (const policy of ['close', 'pause'] as const) {
  test(`${policy}: messages that arrive when the connection is closed are not counted`, async () => {
    const { tracker, connection, clock } = setup({ max: 2, policy })
    void connection.terminate()
    await clock.run(1_000)
    // ws delivers what it has inflated late.
    for (let i = 0; i < 5; i++) connection.received(Buffer.from('late'), false)
    assert.deepEqual([connection.state, tracker.leftovers, clock.pendingTimers], ['closed', 0, 0])
  })
}

test('each connection has its own bucket', async () => {
  const { open, clock, send } = setup({ max: 2 })
  await send(2)
  const other = open()
  other.socket.peerSends('x')
  await clock.flush()
  assert.equal(other.connection.state, 'open')
})

test('observe: all is delivered, no connection is closed or paused, and what is over is counted', async () => {
  for (const policy of ['close', 'pause'] as const) {
    const rig = setup({ max: 2, policy }, { mode: { messageRate: 'observe' } })
    const observed: unknown[] = []
    rig.tracker.on('observed', ({ policy, action, connection }) => { observed.push([policy, action, connection?.id]) })
    assert.equal(await rig.send(5), 5)
    assert.deepEqual([rig.connection.state, rig.socket.paused], ['open', false])
    assert.deepEqual(observed, Array(3).fill(['messageRate', policy, rig.connection.id]))
    assert.deepEqual(rig.tracker.stats().observed, { messageRate: 3 })
    // What was over is not owed.
    rig.clock.tick(1_000)
    await rig.send(2)
    assert.equal(observed.length, 3)
  }
})

test('messages are heard of only where a connection has a rate, once', () => {
  const { connection } = createTracker({ heartbeat: false, backpressure: false }, 'fatal').open()
  assert.equal(connection.host.hooks.received.length, 0)
  const limited = setup({ max: 3 })
  limited.open()
  assert.equal(limited.connection.host.hooks.received.length, 1)
})
