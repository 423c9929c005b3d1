/**
 * What slow readers hold: time without progress, and bytes that wait (S39). What is skipped for them: broadcast.test.ts.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK } from '../../lib/base/deadlines.ts'
import type { BackpressureOptions, LifecycleOptions } from '../../lib/options/options.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

function setup (backpressure: BackpressureOptions | false, options: LifecycleOptions = {}) {
  const rig = createTracker({ heartbeat: false, backpressure, ...options }, 'fatal')
  const pair = rig.open({ peer: 'silent' })
  return { ...rig, ...pair }
}

const STALL = 1_000

for (const after of [0, 130, 249, 600]) {
  test(`a peer that takes nothing is closed within the stall time and a quarter, not before it: ${after} ms after its start`, async () => {
    const { clock, connection, socket } = setup({ maxStallTime: STALL })
    await clock.run(after)
    socket.peer = 'stuck'
    socket.send('x'.repeat(100))
    await clock.run(STALL - 2 * TICK)
    assert.equal(connection.state, 'open')
    await clock.run(STALL / 4 + 4 * TICK)
    assert.notEqual(connection.state, 'open')
    assert.deepEqual(socket.closeFrame, { code: 4008, reason: 'reads too slowly' })
  })
}

test('a connection that takes a byte now and then keeps its place', async () => {
  const { clock, connection, socket } = setup({ maxStallTime: STALL })
  socket.peer = 'stuck'
  socket.send('x'.repeat(1_000))
  for (let i = 0; i < 100; i++) {
    await clock.run(STALL - 3 * TICK)
    socket.bytesPending(socket.pending - 1)
  }
  assert.equal(connection.state, 'open')
})

test('new bytes of ours are no progress', async () => {
  const { clock, connection, socket } = setup({ maxStallTime: STALL })
  socket.peer = 'stuck'
  for (let i = 0; i < 15; i++) {
    if (connection.state === 'open') socket.send('more')
    await clock.run(100)
  }
  assert.notEqual(connection.state, 'open')
})

test('who has nothing to take may take nothing for ever', async () => {
  const { clock, connection } = setup({ maxStallTime: STALL })
  await clock.run(60 * STALL)
  assert.equal(connection.state, 'open')
})

test('who has caught up begins anew', async () => {
  const { clock, connection, socket } = setup({ maxStallTime: STALL })
  for (let i = 0; i < 10; i++) {
    socket.peer = 'stuck'
    socket.send('x')
    await clock.run(STALL - 3 * TICK)
    socket.peer = 'silent'
    socket.bytesPending(0)
    await clock.run(STALL)
  }
  assert.equal(connection.state, 'open')
})

test('a stall of the event loop is not the peer\'s', async () => {
  const { clock, connection, socket } = setup({ maxStallTime: STALL })
  socket.peer = 'stuck'
  socket.send('x')
  for (let i = 0; i < 3; i++) {
    clock.stall(60 * STALL)
    await clock.run(TICK)
  }
  assert.equal(connection.state, 'open')
})

test('a slow reader is not waited for: the raw socket is destroyed after closeTimeout, and the record says slow and not clean', async () => {
  const { clock, connection, socket, tracker } = setup({ maxBufferedBytes: 10 }, { closeTimeout: 500 })
  socket.peer = 'stuck'
  socket.send('x'.repeat(11))
  assert.equal(connection.state, 'closing')
  // A little progress buys no time.
  for (let i = 0; i < 9; i++) {
    await clock.run(50)
    socket.bytesPending(socket.pending - 1)
  }
  await clock.run(50 + 2 * TICK)
  assert.equal(socket.destroyed, true)
  const { cause, code, clean } = tracker.history[0]!
  assert.deepEqual([cause, code, clean], ['slow', 4008, false])
})

test('bytes over the cap close at once, those up to it do not', () => {
  const { connection, socket } = setup({ maxBufferedBytes: 10 })
  socket.peer = 'stuck'
  socket.send('x'.repeat(10))
  assert.equal(connection.state, 'open')
  socket.send('x')
  assert.equal(connection.state, 'closing')
})

test('false is no bound', async () => {
  const { clock, connection, socket } = setup(false)
  socket.peer = 'stuck'
  socket.send('x'.repeat(1e6))
  await clock.run(600_000)
  assert.equal(connection.state, 'open')
})

test('a stream without a kernel socket is not watched', async () => {
  const { clock, open } = setup({ maxStallTime: STALL })
  const { connection, socket } = open({ handle: false })
  socket.peer = 'stuck'
  socket.send('x')
  await clock.run(10 * STALL)
  assert.equal(connection.state, 'open')
})

test('nothing remains of those that were watched', async () => {
  const { clock, tracker, socket } = setup({ maxStallTime: STALL, maxBufferedBytes: 1_000 })
  socket.peerCloses()
  await clock.run(100)
  assert.deepEqual([tracker.leftovers, clock.pendingTimers], [0, 0])
})

// ——— observe

test('observe: no connection is closed and no frame skipped, and each case is counted', async () => {
  const { clock, tracker, connection, socket } = setup({ maxStallTime: STALL, maxBufferedBytes: 100, policy: 'drop' }, { mode: { backpressure: 'observe' } })
  const actions: string[] = []
  tracker.on('observed', ({ policy, action }) => { actions.push(`${policy} ${action}`) })
  socket.peer = 'stuck'
  assert.deepEqual(await tracker.broadcast('x'.repeat(50), 'all'), { sent: 0, queued: 1, dropped: 0 })
  assert.deepEqual(await tracker.broadcast('x'.repeat(200), 'all'), { sent: 0, queued: 1, dropped: 0 })
  assert.deepEqual(actions, ['backpressure drop'])
  await clock.run(1.5 * STALL)
  assert.deepEqual(actions, ['backpressure drop', 'backpressure close'])
  socket.send('x'.repeat(200))
  assert.deepEqual([actions.length, connection.state, socket.frames.length], [3, 'open', 3])
})
