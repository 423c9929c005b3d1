/**
 * Mode 'observe' of the policies for open connections, through the tracker: no connection is ended, and each case is told.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { PolicyName } from '../../lib/track/observation.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

function setup (policy: PolicyName, options: LifecycleOptions) {
  const rig = createTracker({ heartbeat: false, backpressure: false, mode: { [policy]: 'observe' }, ...options })
  const told: string[] = []
  rig.tracker.on('observed', ({ policy, action, connection }) => { told.push(`${policy} ${action} ${connection?.state}`) })
  return { ...rig, told }
}

test('heartbeat: a dead peer lives on, and is told', async () => {
  const { clock, open, told } = setup('heartbeat', { heartbeat: { interval: 1_000, maxMissed: 1 } })
  const { connection, socket } = open({ peer: 'silent' })
  await clock.run(10_000)
  assert.deepEqual([connection.state, socket.destroyed], ['open', false])
  assert.ok(told.length >= 1 && told.length <= 10)
  assert.deepEqual(new Set(told), new Set(['heartbeat terminate open']))
})

test('heartbeat: a peer that answers is not reported', async () => {
  const { clock, open, told } = setup('heartbeat', { heartbeat: { interval: 1_000, maxMissed: 1 } })
  open({ peer: 'answers' })
  await clock.run(10_000)
  assert.deepEqual(told, [])
})

test('idle: the idle one lives on, and is told', async () => {
  const { clock, open, told } = setup('idle', { idleTimeout: 1_000 })
  const { connection } = open()
  await clock.run(1_200)
  assert.deepEqual([connection.state, told], ['open', ['idle close open']])
  await clock.run(60_000)
  assert.equal(connection.state, 'open')
  assert.ok(told.length <= 61)
})

test('lifetime: the old one lives on, and is told', async () => {
  const { clock, open, told } = setup('lifetime', { maxLifetime: 1_000 })
  const { connection } = open()
  await clock.run(1_200)
  assert.deepEqual([connection.state, told], ['open', ['lifetime close open']])
  await clock.run(60_000)
  assert.equal(connection.state, 'open')
})

test('expiry: whose session has expired lives on, and is told', async () => {
  const { clock, open, told } = setup('expiry', {})
  const { connection } = open()
  connection.expiresAt = clock.wallNow() + 1_000
  await clock.run(1_200)
  assert.deepEqual([connection.state, told], ['open', ['expiry close open']])
  await clock.run(60_000)
  assert.equal(connection.state, 'open')
})

test('where both ends are only observed each is told once, and again when it was moved and has come', async () => {
  const { clock, open, told } = setup('lifetime', { maxLifetime: 10_000, mode: 'observe' })
  const { connection } = open()
  connection.expiresAt = clock.wallNow() + 5_000
  await clock.run(20_000)
  assert.deepEqual(told, ['expiry close open', 'lifetime close open'])
  connection.expiresAt = clock.wallNow() + 5_000
  await clock.run(20_000)
  assert.deepEqual(told.slice(2), ['expiry close open'])
  connection.maxLifetime = 60_000
  await clock.run(40_000)
  assert.deepEqual([told.slice(3), connection.state], [['lifetime close open'], 'open'])
})

test('an end that is only observed does not hide the other, and is told once, whatever the wall clock does', async () => {
  const first = setup('expiry', { maxLifetime: 5_000 })
  const { connection } = first.open()
  connection.expiresAt = first.clock.wallNow() + 1_000
  for (let i = 0; i < 20; i++) {
    await first.clock.run(100)
    first.clock.setWall(first.clock.wallNow() + 200)
  }
  assert.deepEqual([connection.state, first.told], ['open', ['expiry close open']])
  await first.clock.run(3_200)
  assert.deepEqual(first.tracker.history.map(({ cause }) => cause), ['lifetime'])
  const second = setup('lifetime', { maxLifetime: 1_000 })
  second.open().connection.expiresAt = second.clock.wallNow() + 5_000
  await second.clock.run(5_200)
  assert.deepEqual([second.told, second.tracker.history.map(({ cause }) => cause)], [['lifetime close open'], ['expired']])
})

test('origin: the handshake may go on, and is told with its path', () => {
  const { tracker, enforcement } = setup('origin', {})
  const paths: unknown[] = []
  tracker.on('observed', ({ path, connection }) => { paths.push([path, connection]) })
  assert.equal(enforcement.allows('origin', 'refuse', undefined, '/chat'), false)
  assert.deepEqual([paths, tracker.stats().observed], [[['/chat', undefined]], { origin: 1 }])
})

test('one summary a minute goes to the log, at info, and the rest of it at the end', async () => {
  const { clock, tracker, enforcement, lines } = setup('origin', {})
  const summaries = () => lines.filter(({ message }) => message.includes('only observe')).map(({ level, fields }) => [level, fields])
  for (let i = 0; i < 100; i++) enforcement.allows('origin', 'refuse', undefined, '/')
  assert.deepEqual(summaries(), [])
  await clock.run(60_100)
  assert.deepEqual(summaries(), [['info', { observed: { origin: 100 } }]])
  enforcement.allows('origin', 'refuse', undefined, '/')
  tracker.close()
  assert.deepEqual(summaries().at(-1), ['info', { observed: { origin: 1 } }])
  assert.deepEqual([tracker.leftovers, clock.pendingTimers], [0, 0])
})

test('what stats() gives is a copy', () => {
  const { tracker, enforcement } = setup('origin', {})
  enforcement.allows('origin', 'refuse', undefined, '/')
  tracker.stats().observed.origin = 99
  assert.deepEqual(tracker.stats().observed, { origin: 1 })
})

test('mode observe of all ends no connection', async () => {
  const { clock, open, tracker } = setup('idle', {
    mode: 'observe',
    heartbeat: { interval: 200, maxMissed: 1 },
    idleTimeout: 500,
    maxLifetime: 1_000,
    messageRate: { max: 1 },
    backpressure: { maxStallTime: 300, maxBufferedBytes: 10 },
    limits: { total: { max: 1, policy: 'evict-oldest' }, perOwner: { max: 1 }, perAddress: { max: 1, policy: 'evict-idlest' } }
  })
  const pairs = Array.from({ length: 5 }, () => open({ peer: 'stuck', owner: 'ann' }))
  for (const { connection, socket } of pairs) {
    socket.send('x'.repeat(100))
    connection.expiresAt = clock.wallNow() + 100
    for (let i = 0; i < 5; i++) socket.peerSends('x')
  }
  await clock.run(5_000)
  assert.deepEqual(pairs.map(({ connection, socket }) => [connection.state, socket.destroyed, socket.paused]), Array(5).fill(['open', false, false]))
  const observed = Object.keys(tracker.stats().observed).sort()
  for (const policy of ['backpressure', 'expiry', 'heartbeat', 'messageRate']) assert.ok(observed.includes(policy), `${policy} is not in ${observed}`)
})

for (const [policy, options] of [['idle', { idleTimeout: 1_000 }], ['lifetime', { maxLifetime: 1_000 }], ['expiry', { maxLifetime: 60_000 }]] as const) {
  test(`${policy}: a connection that a listener of 'observed' closes is not watched any more`, async () => {
    const { clock, open, tracker } = setup(policy, options)
    tracker.on('observed', ({ connection }) => { void connection!.close() })
    const { connection } = open()
    connection.expiresAt = clock.wallNow() + (policy === 'expiry' ? 1_000 : 60_000)
    await clock.run(1_500)
    assert.deepEqual([connection.state, tracker.leftovers], ['closed', 0])
    // The summary of what was only observed is due.
    await clock.run(60_000)
    assert.equal(clock.pendingTimers, 0)
  })
}
