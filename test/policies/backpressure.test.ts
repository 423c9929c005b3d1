/**
 * What slow readers hold: time without progress, bytes that wait, and frames that are skipped (S38, S39).
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK } from '../../lib/core/deadlines.ts'
import type { BackpressureOptions, LifecycleOptions } from '../../lib/options.ts'
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

test('whoever takes a byte now and then keeps its place', async () => {
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

// ——— broadcasts

test('a broadcast goes to whoever matches and is open, text as text and bytes as bytes', () => {
  const { tracker, open } = setup(false)
  const [a, b, gone] = [open({ owner: 'ann' }), open({ owner: 'bob' }), open({ owner: 'ann' })]
  void gone.connection.close().catch(() => {})
  assert.deepEqual(tracker.broadcast('hello', { owner: 'ann' }), { sent: 1, dropped: 0 })
  assert.deepEqual(tracker.broadcast(new Uint8Array([1, 2]), { owner: 'ann' }), { sent: 1, dropped: 0 })
  assert.deepEqual(a.socket.frames, [{ type: 'message', data: 'hello' }, { type: 'message', data: Buffer.from([1, 2]) }])
  assert.deepEqual(b.socket.frames, [])
})

test('a connection that drains is still sent to', () => {
  const { tracker, connection, socket } = setup(false)
  connection.startDraining()
  assert.deepEqual(tracker.broadcast('bye', 'all'), { sent: 1, dropped: 0 })
  assert.equal(socket.frames.length, 1)
})

test('drop: frames that would be too much are skipped and counted, and nobody is closed', () => {
  const { tracker, open, socket, connection } = setup({ maxBufferedBytes: 1_000, policy: 'drop' })
  const prompt = open()
  socket.peer = 'stuck'
  let sum = { sent: 0, dropped: 0 }
  for (let i = 0; i < 20; i++) {
    const { sent, dropped } = tracker.broadcast('x'.repeat(100), 'all')
    sum = { sent: sum.sent + sent, dropped: sum.dropped + dropped }
  }
  assert.deepEqual([connection.state, prompt.connection.state, prompt.socket.frames.length], ['open', 'open', 20])
  assert.ok(socket.pending <= 1_000)
  assert.deepEqual(sum, { sent: 20 + socket.frames.length, dropped: 20 - socket.frames.length })
  assert.ok(socket.frames.length >= 8 && socket.frames.length <= 10)
  // It has caught up.
  socket.bytesPending(0)
  assert.deepEqual(tracker.broadcast('again', 'all'), { sent: 2, dropped: 0 })
})

test('drop: what is sent to one alone closes it all the same', () => {
  const { connection, socket } = setup({ maxBufferedBytes: 10, policy: 'drop' })
  socket.peer = 'stuck'
  socket.send('x'.repeat(11))
  assert.equal(connection.state, 'closing')
})

test('close: a broadcast that is too much closes whoever does not take it', () => {
  const { tracker, open, connection, socket } = setup({ maxBufferedBytes: 1_000 })
  const prompt = open()
  socket.peer = 'stuck'
  for (let i = 0; i < 20; i++) tracker.broadcast('x'.repeat(100), 'all')
  assert.deepEqual([connection.state, prompt.connection.state], ['closing', 'open'])
})

test('what is broadcast is a string or bytes', () => {
  const { tracker } = setup(false)
  for (const data of [undefined, null, 1, {}, ['a'], new ArrayBuffer(2)]) {
    assert.throws(() => tracker.broadcast(data as never, 'all'), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  }
})

// ——— observe

test('observe: nobody is closed and nothing is skipped, and what would have been is counted', async () => {
  const { clock, tracker, connection, socket } = setup({ maxStallTime: STALL, maxBufferedBytes: 100, policy: 'drop' }, { mode: { backpressure: 'observe' } })
  const actions: string[] = []
  tracker.on('observed', ({ policy, action }) => { actions.push(`${policy} ${action}`) })
  socket.peer = 'stuck'
  assert.deepEqual(tracker.broadcast('x'.repeat(50), 'all'), { sent: 1, dropped: 0 })
  assert.deepEqual(tracker.broadcast('x'.repeat(200), 'all'), { sent: 1, dropped: 0 })
  assert.deepEqual(actions, ['backpressure drop'])
  await clock.run(1.5 * STALL)
  assert.deepEqual(actions, ['backpressure drop', 'backpressure close'])
  socket.send('x'.repeat(200))
  assert.deepEqual([actions.length, connection.state, socket.frames.length], [3, 'open', 3])
})
