/**
 * The end of a session on a fake clock: when, what moves it, and what the wall clock does to it. lifetime.test.ts has the
 * longest life, and both together.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK } from '../../lib/base/deadlines.ts'
import { createEnds as setup } from '../helpers/expiry-rig.ts'

const MINUTE = 60_000
// ——— expiresAt

test('a session ends when its time has come: 3000, session expired, a clean close', async () => {
  const rig = setup()
  const pair = rig.open()
  const { closed } = pair.connection
  pair.connection.expiresAt = rig.clock.wallNow() + MINUTE
  rig.assertLives(pair, MINUTE)
  await rig.clock.flush()
  const { cause, code, reason, clean } = await closed
  assert.deepEqual([cause, code, reason, clean], ['expired', 3000, 'session expired', true])
  assert.deepEqual(pair.socket.closeFrame, { code: 3000, reason: 'session expired' })
  assert.deepEqual([rig.host.leftovers, rig.clock.idle], [0, true])
})

test('while the wall clock is not set no deadline is set anew', () => {
  const rig = setup()
  const { connection } = rig.open()
  connection.expiresAt = rig.clock.wallNow() + MINUTE
  const { deadlines } = rig.host
  const { set } = deadlines
  const anew: unknown[] = []
  deadlines.set = (entry, delay) => {
    // The tick itself is set anew.
    if (delay > TICK) anew.push(delay)
    set.call(deadlines, entry, delay)
  }
  rig.clock.tick(10_000)
  assert.deepEqual(anew, [])
})

test('a session that is over already ends with the next tick, not within the call', () => {
  for (const over of [0, 1, MINUTE, 1e10]) {
    const rig = setup()
    const pair = rig.open()
    pair.connection.expiresAt = rig.clock.wallNow() - over
    assert.equal(pair.connection.state, 'open')
    rig.assertLives(pair, 0)
  }
})

test('a Date is as good as a number', () => {
  const rig = setup()
  const pair = rig.open()
  pair.connection.expiresAt = new Date(rig.clock.wallNow() + MINUTE)
  rig.assertLives(pair, MINUTE)
})

test('a session that is refreshed in place goes on, as often as it is, without a new connection', () => {
  const rig = setup()
  const pair = rig.open()
  for (let i = 0; i < 20; i++) {
    pair.connection.expiresAt = rig.clock.wallNow() + MINUTE
    rig.clock.tick(MINUTE - 1)
    assert.equal(pair.connection.state, 'open')
  }
  rig.assertLives(pair, 1)
})

test('it may be moved to sooner, and taken back', () => {
  const rig = setup()
  const pair = rig.open()
  pair.connection.expiresAt = rig.clock.wallNow() + MINUTE
  pair.connection.expiresAt = rig.clock.wallNow() + 1_000
  rig.clock.tick(900)
  pair.connection.expiresAt = undefined
  assert.deepEqual([rig.host.deadlines.size, rig.clock.pendingTimers], [0, 0])
  rig.clock.tick(10 * MINUTE)
  assert.equal(pair.connection.state, 'open')
  pair.connection.expiresAt = rig.clock.wallNow() + 1_000
  rig.assertLives(pair, 1_000)
})

test('of many sessions each ends at its own time', () => {
  const rig = setup()
  const pairs = Array.from({ length: 50 }, () => rig.open())
  for (const [i, { connection }] of pairs.entries()) connection.expiresAt = rig.clock.wallNow() + (i * 37 % 50) * 1_000 + 500
  for (let second = 1; second <= 50; second++) {
    rig.clock.tick(1_000)
    assert.equal(pairs.filter(({ connection }) => connection.state === 'open').length, 50 - second)
  }
})

test('a session of many years ends no sooner', () => {
  const rig = setup()
  const pair = rig.open()
  pair.connection.expiresAt = 8.64e15
  rig.clock.tick(10 * MINUTE)
  assert.equal(pair.connection.state, 'open')
})

// ——— the wall clock is set

test('a wall clock that jumps ahead of the expiry ends the session with the next tick', () => {
  const rig = setup()
  const pair = rig.open()
  pair.connection.expiresAt = rig.clock.wallNow() + 10 * MINUTE
  rig.clock.tick(MINUTE)
  rig.clock.setWall(rig.clock.wallNow() + 9 * MINUTE)
  rig.assertLives(pair, 0)
})

test('a wall clock that jumps ahead, or is set back, moves the expiry by as much', () => {
  for (const jump of [TICK, 5_000, 4 * MINUTE, -TICK, -5_000, -30 * MINUTE]) {
    const rig = setup()
    const pair = rig.open()
    pair.connection.expiresAt = rig.clock.wallNow() + 10 * MINUTE
    rig.clock.tick(MINUTE)
    rig.clock.setWall(rig.clock.wallNow() + jump)
    rig.assertLives(pair, 9 * MINUTE - jump)
  }
})

test('many small steps of the wall clock add up', () => {
  for (const step of [20, 49, -20, -49]) {
    const rig = setup()
    const pair = rig.open()
    const expiresAt = pair.connection.expiresAt = rig.clock.wallNow() + MINUTE
    while (pair.connection.state === 'open') {
      rig.clock.tick(TICK)
      if (pair.connection.state === 'open') rig.clock.setWall(rig.clock.wallNow() + step)
    }
    const late = rig.clock.wallNow() - expiresAt
    assert.ok(late >= 0 && late <= 3 * TICK + 2 * Math.abs(step), `steps of ${step} ms: ${late} ms late`)
  }
})

test('a wall clock that is set moves no lifetime', () => {
  for (const jump of [20 * MINUTE, -20 * MINUTE]) {
    const rig = setup({ maxLifetime: 10 * MINUTE })
    const pair = rig.open()
    rig.clock.tick(MINUTE)
    rig.clock.setWall(rig.clock.wallNow() + jump)
    rig.assertLives(pair, 9 * MINUTE)
  }
})

test('the wall clock is looked at only while a connection has a session', () => {
  const rig = setup({ maxLifetime: 10 * MINUTE })
  const { connection } = rig.open()
  const deadlines = () => rig.host.deadlines.size
  assert.equal(deadlines(), 1)
  connection.expiresAt = rig.clock.wallNow() + MINUTE
  assert.equal(deadlines(), 2)
  connection.expiresAt = undefined
  assert.equal(deadlines(), 1)
  connection.expiresAt = rig.clock.wallNow() + 20 * MINUTE
  connection.maxLifetime = false
  assert.equal(deadlines(), 2)
  connection.expiresAt = undefined
  assert.equal(deadlines(), 0)
})

test('after a stall, as after a sleep, those who have expired end, and those who refresh in what has arrived do not', () => {
  const rig = setup()
  const pairs = [rig.open(), rig.open()]
  for (const { connection } of pairs) connection.expiresAt = rig.clock.wallNow() + MINUTE
  pairs[0]!.socket.onMessage = () => { pairs[0]!.connection.expiresAt = rig.clock.wallNow() + MINUTE }
  rig.clock.tick(1_000)
  rig.clock.stall(2 * MINUTE)
  pairs[0]!.socket.peerSends('a new token')
  rig.clock.tick(TICK)
  assert.deepEqual(pairs.map(({ connection }) => connection.state === 'open'), [true, false])
})

test('thousands that expire at once are ended in slices', () => {
  const rig = setup()
  const pairs = Array.from({ length: 2_000 }, () => rig.open({ peer: 'silent' }))
  const turns: number[] = []
  let ended = 0
  for (const { connection, socket } of pairs) {
    connection.expiresAt = rig.clock.wallNow() + 1_000
    const { close } = socket
    socket.close = function (...args) {
      ended++
      rig.clock.stall(0.1)
      if (ended % 10 === 0) rig.clock.input(() => { turns.push(ended) })
      close.apply(this, args)
    }
  }
  rig.clock.tick(2_000)
  assert.equal(ended, 2_000)
  const longest = Math.max(...turns.map((count, i) => count - (turns[i - 1] ?? 0)))
  assert.ok(longest <= 40, `${longest} of 0.1 ms without a look at the input`)
})
