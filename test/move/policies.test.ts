/**
 * Policies that ask clients to move before they close a connection: the lifetime, and pressure.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createJob } from '../helpers/job.ts'
import { asksOf, MOVED, rig } from '../helpers/mover.ts'
import type { MoveRig } from '../helpers/mover.ts'
import type { LifecycleOptions } from '../../lib/index.ts'

const MINUTE = 60_000
const MOVE_TIME = 5_000

const causes = ({ tracker }: MoveRig): unknown[] => tracker.history.map(({ cause, code }) => [cause, code])

// ——— the lifetime

/** At its end within a minute; asked at `at`. */
async function atItsEnd (options: LifecycleOptions = {}) {
  const all = rig({ maxLifetime: MINUTE, ...options })
  const pair = all.connect()
  return { all, ...all, ...pair, untilAsked: async () => { while (asksOf(pair.socket).length === 0) await all.clock.run(50) } }
}

test('at the end of its lifetime a client is asked to move, and the connection is closed with 1012 moved', async () => {
  const { all, clock, connection, socket, untilAsked } = await atItsEnd()
  await clock.run(MINUTE * 0.8 - 1_000)
  assert.equal(socket.frames.length, 0)
  await untilAsked()
  assert.equal(asksOf(socket)[0]?.in, 0)
  assert.equal(connection.state, 'open')
  socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(causes(all), [['moved', 1012]])
  assert.deepEqual([all.tracker.leftovers, clock.pendingTimers], [0, 0])
})

test('a client that does not move within 5 s is closed in the ordinary way, with a delay', async () => {
  const { all, clock, connection, socket, untilAsked } = await atItsEnd()
  await untilAsked()
  await clock.run(MOVE_TIME - 50)
  assert.equal(connection.state, 'open')
  await clock.run(200)
  assert.match(socket.closeFrame!.reason, /^maximum lifetime; retry=/)
  assert.deepEqual(causes(all), [['lifetime', 1012]])
  assert.equal(asksOf(socket).length, 1)
})

test('one that cannot move is closed at once', async () => {
  const all = rig({ maxLifetime: MINUTE, drain: { move: false } })
  const [plain, off] = [all.open(), all.connect()]
  await all.clock.run(MINUTE + 100)
  assert.deepEqual(causes(all), [['lifetime', 1012], ['lifetime', 1012]])
  assert.deepEqual([asksOf(plain.socket), asksOf(off.socket)], [[], []])
})

test('work in flight is waited for after the 5 s, as without a move', async () => {
  const { all, clock, connection, socket, untilAsked } = await atItsEnd()
  const job = createJob()
  void connection.track(job.promise)
  await untilAsked()
  await clock.run(MOVE_TIME + 1_000)
  assert.equal(connection.state, 'open')
  job.done()
  await clock.run(200)
  assert.match(socket.closeFrame!.reason, /^maximum lifetime/)
  assert.deepEqual(causes(all), [['lifetime', 1012]])
})

test('a lifetime that was made longer after the question ends later, and asks again', async () => {
  const { all, clock, connection, socket, untilAsked } = await atItsEnd()
  await untilAsked()
  connection.maxLifetime = 3 * MINUTE
  await clock.run(MINUTE)
  assert.equal(connection.state, 'open')
  while (asksOf(socket).length === 1) await clock.run(50)
  assert.ok(clock.now() > MINUTE * 3 * 0.8)
  await clock.run(MOVE_TIME + 200)
  assert.deepEqual(causes(all), [['lifetime', 1012]])
})

test('setting the expiry anew gives a client no more time to move', async () => {
  const { all, clock, connection, untilAsked } = await atItsEnd()
  await untilAsked()
  for (let i = 0; i < 20; i++) {
    connection.expiresAt = clock.wallNow() + MINUTE
    await clock.run(MOVE_TIME / 20)
  }
  await clock.run(200)
  assert.deepEqual(causes(all), [['lifetime', 1012]])
})

test('an expiry in the middle of a move ends the connection with 3000', async () => {
  const { all, clock, connection, untilAsked } = await atItsEnd()
  await untilAsked()
  connection.expiresAt = clock.wallNow() + 1_000
  await clock.run(1_200)
  assert.deepEqual(causes(all), [['expired', 3000]])
})

test('a lifetime that is only observed asks no client', async () => {
  const all = rig({ maxLifetime: MINUTE, mode: { lifetime: 'observe' } })
  const { connection, socket } = all.connect()
  await all.clock.run(2 * MINUTE)
  assert.equal(connection.state, 'open')
  assert.equal(asksOf(socket).length, 0)
  assert.deepEqual(all.tracker.stats().observed, { lifetime: 1 })
})

// ——— pressure

function pressed (options: LifecycleOptions = {}) {
  const state = { under: false }
  const all = rig({ limits: { pressure: true }, ...options }, { isUnderPressure: () => state.under })
  return { all, state, ...all }
}

test('under pressure the idlest client is asked to move', async () => {
  const { all, clock, connect, state, tracker } = pressed()
  const { socket } = connect()
  state.under = true
  await clock.run(1_100)
  assert.equal(asksOf(socket)[0]?.in, 0)
  socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(causes(all), [['moved', 1012]])
  tracker.close()
  assert.equal(tracker.leftovers, 0)
})

test('one that does not move within 5 s is closed, and no other is spared for it', async () => {
  const { all, clock, connect, open, state, tracker } = pressed()
  const asked = connect()
  const others = Array.from({ length: 10 }, () => open())
  state.under = true
  await clock.run(3_100)
  assert.equal(asksOf(asked.socket).length, 1, 'it is asked once')
  assert.equal(others.filter(({ connection }) => connection.state !== 'open').length, 2)
  await clock.run(2_000)
  assert.equal(asked.connection.state, 'open')
  await clock.run(1_500)
  assert.match(asked.socket.closeFrame!.reason, /^server under pressure; retry=/)
  assert.ok(causes(all).every((cause) => String(cause) === 'rebalance,1012'))
  tracker.close()
})

test('it is closed although the pressure is over, unless it works again', async () => {
  for (const works of [false, true]) {
    const { all, clock, connect, state, tracker } = pressed()
    const { connection } = connect()
    state.under = true
    await clock.run(1_100)
    state.under = false
    if (works) void connection.track(new Promise(() => {}))
    await clock.run(20_000)
    assert.deepEqual(causes(all), works ? [] : [['rebalance', 1012]])
    tracker.close()
  }
})

test('a client that closes by itself while it is asked is forgotten', async () => {
  const { all, clock, connect, state, tracker } = pressed()
  const { socket } = connect()
  state.under = true
  await clock.run(1_100)
  socket.peerCloses()
  await clock.run(10_000)
  assert.deepEqual(causes(all), [['client', 1000]])
  tracker.close()
  assert.equal(tracker.leftovers, 0)
})
