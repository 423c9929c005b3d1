import assert from 'node:assert/strict'
import test from 'node:test'
import { createRig, work } from '../helpers/drain-rig.ts'

test('the report of a mixed drain adds up', async () => {
  const rig = createRig({ timeout: 3_000, reserve: 4_000 })
  rig.crowd(5)
  rig.crowd(2, { peer: 'silent' })
  const leaving = rig.connect()
  const vanishing = rig.connect()
  const busy = rig.connect()
  const hung = rig.connect({ route: '/hung' })
  const disconnected = rig.connect()
  const job = work(busy)
  work(leaving)
  work(vanishing)
  hung.connection.defer(function never () { return new Promise(() => {}) })
  void disconnected.connection.close(4000)
  const startedAt = rig.clock.wallNow()
  void rig.start('SIGTERM')
  await rig.clock.run(100)
  leaving.socket.peerCloses(1001)
  vanishing.socket.rawGone()
  job.done()
  const report = await rig.finish()
  const { phases, ...rest } = report
  assert.equal(Object.values(phases).reduce((sum, time) => sum + time), 3_000)
  assert.deepEqual(rest, {
    trigger: 'SIGTERM',
    startedAt,
    duration: 3_000,
    timeout: 3_000,
    reserve: 4_000,
    aborted: false,
    connections: {
      total: 12,
      clean: 9,
      leftByThemselves: 1,
      terminated: 3,
      unfinished: 0,
      causes: { application: 1, drain: 9, client: 1, network: 1 }
    },
    work: { inFlight: 3, finished: 1, abandoned: 2 },
    cleanups: { finished: 0, failed: 0, abandoned: [{ connection: hung.connection.id, route: '/hung', cleanup: 'never' }] },
    held: rest.held,
    refused: 0,
    suppressed: 0,
    reconnect: { min: 1_000, max: rest.reconnect!.max }
  })
  assert.ok(rest.reconnect!.max > 1_000)
})

test('handshakes that are refused during the drain are counted, earlier ones are not', async () => {
  const rig = createRig()
  const job = work(rig.connect())
  rig.host.registry.counters.refused.draining = 5
  void rig.start()
  await rig.clock.run(100)
  rig.host.registry.counters.refused = { draining: 6, 'handshake timeout': 2 }
  job.done()
  const report = await rig.finish()
  assert.equal(report.refused, 3)
})

test('connections that were closed before the drain are not in its report', async () => {
  const rig = createRig()
  await rig.host.leave(rig.connect())
  rig.connect()
  const report = await rig.run()
  assert.equal(report.connections.total, 1)
  assert.deepEqual(report.connections.causes, { drain: 1 })
})

test('one whose cleanups still run when the drain starts is in the report', async () => {
  const rig = createRig({ cleanupTimeout: 500 })
  const pair = rig.connect()
  pair.connection.defer(() => new Promise(() => {}))
  pair.socket.peerCloses(1000)
  await rig.clock.flush()
  assert.equal(pair.connection.state, 'closing')
  const report = await rig.run()
  assert.equal(report.connections.total, 1)
  assert.deepEqual(report.connections.causes, { client: 1 })
  assert.equal(report.cleanups.abandoned.length, 1)
  assert.equal(rig.phases.includes('cleanup'), true)
})

test('the report does not change after the drain', async () => {
  const rig = createRig()
  rig.connect()
  const report = await rig.run()
  const before = structuredClone(report)
  rig.admit()
  await rig.clock.run(5_000)
  assert.deepEqual(report, before)
})

test('the report is plain data', async () => {
  const rig = createRig()
  rig.connect().connection.defer(() => new Promise(() => {}))
  const report = await rig.run()
  assert.deepEqual(structuredClone(report), report)
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report)
})

test('the phases of a drain add up to its duration where time passes between any two steps', async () => {
  const rig = createRig({ timeout: 3_000 })
  rig.crowd(3)
  const { now } = rig.clock
  rig.clock.now = () => {
    rig.clock.stall(0.5)
    return now.call(rig.clock)
  }
  void rig.start('SIGTERM')
  const { phases, duration } = await rig.finish()
  assert.equal(Object.values(phases).reduce((sum, time) => sum + time), duration)
})

test('durations are whole milliseconds, and the phases add up to the whole', async () => {
  const rig = createRig({ timeout: 3_000, settleDelay: 100 })
  rig.clock.stall(0.4)
  const busy = rig.connect()
  const job = work(busy)
  busy.connection.defer(() => new Promise(() => {}))
  void rig.start()
  for (let i = 0; i < 8; i++) {
    rig.clock.stall(13.7)
    await rig.clock.run(100.3)
  }
  job.done()
  const { phases, duration, held } = await rig.finish()
  const durations = [...Object.values(phases), duration, ...held.map((each) => each.duration), ...rig.progress.map(({ elapsed }) => elapsed)]
  assert.ok(durations.length > 10)
  assert.deepEqual(durations.filter((each) => !Number.isInteger(each)), [])
  assert.equal(Object.values(phases).reduce((sum, each) => sum + each), duration)
})
