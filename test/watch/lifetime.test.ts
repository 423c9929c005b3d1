/**
 * The longest life (lib/watch/expiry.ts): its jitter, its wait for work, and what takes precedence over it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK } from '../../lib/base/deadlines.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { createEnds } from '../helpers/expiry-rig.ts'

const MINUTE = 60_000
const GRACE = 3_000

test('at the end of its longest life a connection is closed: 1012, with a delay to come back after', async () => {
  for (const [chance, life, delay] of [[0, 1, 1_000], [0.5, 0.9, 1_500], [0.999, 0.8002, 1_999]] as const) {
    const rig = createEnds({ maxLifetime: MINUTE }, chance)
    const pair = rig.open()
    const { closed } = pair.connection
    rig.assertLives(pair, MINUTE * life)
    await rig.clock.flush()
    const { cause, code, reason, clean } = await closed
    assert.deepEqual([cause, code, reason, clean], ['lifetime', 1012, `maximum lifetime; retry=${delay}`, true])
    assert.deepEqual([rig.host.leftovers, rig.clock.idle], [0, true])
  }
})

test('a life may be longer than a timer can be', () => {
  const days = 86_400_000
  const rig = createEnds({ maxLifetime: 90 * days })
  const { connection } = rig.open()
  for (let day = 1; day < 90; day++) {
    rig.clock.stall(days)
    rig.clock.tick(TICK)
    assert.equal(connection.state, 'open', `on day ${day}`)
  }
  rig.clock.stall(days)
  rig.clock.tick(TICK)
  assert.notEqual(connection.state, 'open')
})

test('chance only shortens a life, by a fifth at most, and those who came together leave apart', () => {
  let seed = 0
  const rig = createEnds({ maxLifetime: MINUTE }, () => (seed = (seed + 0.618034) % 1))
  const pairs = Array.from({ length: 200 }, () => rig.open())
  const openAt = (ms: number) => {
    rig.clock.tick(ms)
    return pairs.filter(({ connection }) => connection.state === 'open').length
  }
  assert.equal(openAt(MINUTE * 0.8 - 1), 200)
  let before = 200
  for (let i = 0; i < 12; i++) {
    const left = openAt(1_000)
    assert.ok(before - left >= 5 && before - left <= 40, `${before - left} left within one second of twelve`)
    before = left
  }
  assert.equal(openAt(2 * TICK), 0)
})

test('chance is asked once a connection: setting the same life again, or moving the clock, does not end it sooner', () => {
  let asked = 0
  const rig = createEnds({ maxLifetime: MINUTE }, () => asked++ === 0 ? 0.5 : 1)
  const pair = rig.open()
  for (let i = 0; i < 10; i++) {
    rig.clock.tick(1_000)
    pair.connection.maxLifetime = MINUTE
    rig.clock.setWall(rig.clock.wallNow() + 12_345)
  }
  rig.assertLives(pair, 0.9 * MINUTE - 10_000)
})

test('a life that is set later counts from the opening; one that is over ends at once', () => {
  for (const [age, life, left] of [[10_000, MINUTE, 50_000], [MINUTE, MINUTE, 0], [10 * MINUTE, 1, 0]] as const) {
    const rig = createEnds()
    const pair = rig.open()
    rig.clock.tick(age)
    pair.connection.maxLifetime = life
    assert.equal(pair.connection.state, 'open')
    rig.assertLives(pair, left)
  }
})

test('a life may be made longer, shorter, or endless at any time', () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const [longer, shorter, endless] = [rig.open(), rig.open(), rig.open()]
  rig.clock.tick(30_000)
  longer.connection.maxLifetime = 2 * MINUTE
  shorter.connection.maxLifetime = 40_000
  endless.connection.maxLifetime = false
  rig.assertLives(shorter, 10_000)
  rig.assertLives(longer, 90_000 - 10_000)
  assert.deepEqual([rig.host.deadlines.size, rig.clock.pendingTimers], [0, 0])
  rig.clock.tick(100 * MINUTE)
  assert.equal(endless.connection.state, 'open')
})

// ——— work in flight

test('who works at the end of its life may finish, and is closed then', async () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const pair = rig.open()
  const { promise, resolve: finish } = deferred<void>()
  void pair.connection.track(promise)
  await rig.clock.run(MINUTE + GRACE / 2)
  assert.equal(pair.connection.state, 'open')
  finish()
  await rig.clock.flush()
  rig.assertLives(pair, 0)
})

test('work that does not finish is waited for as long as a drain would, no longer', () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const pair = rig.open()
  void pair.connection.track(deferred().promise)
  rig.assertLives(pair, MINUTE + GRACE)
  assert.equal(pair.socket.closeFrame?.code, 1012)
})

test('work does not put off the end of a session', () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const pair = rig.open()
  void pair.connection.track(deferred().promise)
  pair.connection.expiresAt = rig.clock.wallNow() + MINUTE
  rig.assertLives(pair, MINUTE)
  assert.equal(pair.socket.closeFrame?.code, 3000)
})

test('a session that ends while work is waited for ends at its own time', () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const pair = rig.open()
  void pair.connection.track(deferred().promise)
  pair.connection.expiresAt = rig.clock.wallNow() + MINUTE + 1_000
  rig.assertLives(pair, MINUTE + 1_000)
  assert.equal(pair.socket.closeFrame?.code, 3000)
})

test('a life made endless while work is waited for goes on', async () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const pair = rig.open()
  const { promise, resolve: finish } = deferred<void>()
  void pair.connection.track(promise)
  await rig.clock.run(MINUTE + 1_000)
  pair.connection.maxLifetime = false
  finish()
  await rig.clock.run(10 * MINUTE)
  assert.equal(pair.connection.state, 'open')
})

// ——— both

for (const [what, expiry, code] of [['sooner', -1_000, 3000], ['at the same moment', 0, 3000], ['later', 1_000, 1012]] as const) {
  test(`where the session ends ${what}, the close is ${code}`, () => {
    const rig = createEnds({ maxLifetime: MINUTE })
    const pair = rig.open()
    pair.connection.expiresAt = rig.clock.wallNow() + MINUTE + expiry
    rig.assertLives(pair, MINUTE + Math.min(expiry, 0))
    assert.equal(pair.socket.closeFrame?.code, code)
  })
}

test('after a stall over both ends the session is what has ended', () => {
  for (const [expiry, life] of [[10_000, 20_000], [20_000, 10_000]] as const) {
    const rig = createEnds({ maxLifetime: life })
    const pair = rig.open()
    pair.connection.expiresAt = rig.clock.wallNow() + expiry
    rig.clock.stall(MINUTE)
    rig.assertLives(pair, 0)
    assert.equal(pair.socket.closeFrame?.code, 3000)
  }
})

test('an expiry taken back leaves the lifetime, and the other way round', () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const [a, b] = [rig.open(), rig.open()]
  a.connection.expiresAt = rig.clock.wallNow() + 1_000
  a.connection.expiresAt = undefined
  b.connection.expiresAt = rig.clock.wallNow() + 2 * MINUTE
  b.connection.maxLifetime = false
  rig.assertLives(a, MINUTE)
  rig.assertLives(b, MINUTE)
  assert.deepEqual([a.socket.closeFrame?.code, b.socket.closeFrame?.code], [1012, 3000])
})

// ——— states

test('once the connection is draining both are ignored, also when they are set then', () => {
  const rig = createEnds({ maxLifetime: MINUTE })
  const pairs = [rig.open(), rig.open()]
  pairs[0]!.connection.expiresAt = rig.clock.wallNow() + MINUTE
  for (const { connection } of pairs) connection.startDraining()
  pairs[1]!.connection.expiresAt = rig.clock.wallNow() - 1
  pairs[1]!.connection.maxLifetime = 1
  rig.clock.tick(10 * MINUTE)
  assert.deepEqual(pairs.map(({ connection }) => connection.state), ['draining', 'draining'])
})

for (const state of ['closing', 'closed'] as const) {
  test(`on a ${state} connection an expiry or a life changes nothing, and leaves no deadline`, async () => {
    const rig = createEnds()
    const pair = rig.open({ peer: state === 'closed' ? 'answers' : 'silent' })
    pair.connection.expiresAt = rig.clock.wallNow() + MINUTE
    pair.connection.end('application', 4000, '')
    await rig.clock.flush()
    assert.equal(pair.connection.state, state)
    const before = rig.host.deadlines.size
    pair.connection.expiresAt = rig.clock.wallNow() - 1
    pair.connection.maxLifetime = 1
    assert.equal(rig.host.deadlines.size, before)
    await rig.clock.run(MINUTE)
    assert.equal((await pair.connection.closed).code, 4000)
    assert.equal(rig.host.leftovers, 0)
  })
}

test('an expiry that is moved while its own close is under way does not take the close back', async () => {
  const rig = createEnds()
  const pair = rig.open({ peer: 'silent' })
  pair.connection.expiresAt = rig.clock.wallNow() + 1_000
  rig.assertLives(pair, 1_000)
  pair.connection.expiresAt = rig.clock.wallNow() + MINUTE
  pair.socket.peerAnswers()
  await rig.clock.flush()
  const { cause, code } = await pair.connection.closed
  assert.deepEqual([cause, code, rig.host.leftovers], ['expired', 3000, 0])
})

test('nothing ticks while no connection has a deadline', () => {
  const rig = createEnds()
  rig.open()
  assert.deepEqual([rig.clock.timersMade, rig.host.deadlines.size], [0, 0])
})
