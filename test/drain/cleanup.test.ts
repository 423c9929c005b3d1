/**
 * Cleanups in a drain: it waits for them, gives up what hangs, and counts both.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createRig, work } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'

test('the drain waits for the last cleanup', async () => {
  const rig = createRig()
  const { connection } = rig.connect()
  const job = createJob()
  connection.defer(() => job.promise)
  void rig.start()
  await rig.clock.run(800)
  assert.equal(rig.drain.phase, 'cleanup')
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 800)
  assert.deepEqual(report.cleanups, { finished: 1, failed: 0, abandoned: [] })
})

test('cleanups are counted from the start of the drain', async () => {
  const rig = createRig()
  const early = rig.connect()
  early.connection.defer(() => {})
  early.connection.defer(() => { throw new Error('no') })
  await rig.host.leave(early)
  const { connection } = rig.connect()
  connection.defer(() => {})
  connection.defer(async () => { throw new Error('no') })
  connection.defer(() => { throw new Error('no') })
  const report = await rig.run()
  assert.deepEqual(report.cleanups, { finished: 1, failed: 2, abandoned: [] })
  assert.equal(report.connections.clean, 1)
})

test('a cleanup that hangs is given up after cleanupTimeout, named, and the drain is over', async () => {
  const rig = createRig({ cleanupTimeout: 1_000 })
  const { connection } = rig.connect({ route: '/jobs' })
  connection.defer(function closeSubscription () { return new Promise(() => {}) })
  const report = await rig.run()
  assert.deepEqual(report.cleanups, { finished: 0, failed: 0, abandoned: [{ connection: connection.id, route: '/jobs', cleanup: 'closeSubscription' }] })
  // The deadlines look every 50 ms, and never early.
  assert.ok(report.duration >= 1_000 && report.duration <= 1_100, `${report.duration}`)
  assert.equal(report.connections.clean, 1)
})

test('a cleanup that hangs longer than the drain has is given up at its end, named, and not later', async () => {
  const rig = createRig({ cleanupTimeout: 60_000 })
  const { connection } = rig.connect({ route: '/jobs' })
  connection.defer(function closeSubscription () { return new Promise(() => {}) })
  void rig.start()
  await rig.clock.run(rig.plan.timeout - 1)
  assert.equal(rig.drain.phase, 'cleanup')
  const report = await rig.finish()
  assert.equal(report.duration, rig.plan.timeout)
  assert.deepEqual(report.cleanups.abandoned, [{ connection: connection.id, route: '/jobs', cleanup: 'closeSubscription' }])
  assert.deepEqual([report.connections.clean, report.connections.unfinished], [1, 0])
  assert.equal(rig.host.leftovers, 0)
})

test('a cleanup without a name is anonymous', async () => {
  const rig = createRig()
  const { connection } = rig.connect()
  connection.defer(() => new Promise(() => {}))
  const report = await rig.run()
  assert.equal(report.cleanups.abandoned[0]!.cleanup, 'anonymous')
})

test('what waited behind a cleanup that hangs is started at the end of the budget', async () => {
  const rig = createRig({ cleanupTimeout: 60_000 })
  const { connection } = rig.connect()
  const ran: string[] = []
  connection.defer(() => { ran.push('sync') })
  connection.defer(async () => { ran.push('async') })
  connection.defer(function hangs () { ran.push('hangs'); return new Promise(() => {}) })
  const report = await rig.run()
  assert.deepEqual(ran, ['hangs', 'async', 'sync'])
  assert.deepEqual(report.cleanups.abandoned.map(({ cleanup }) => cleanup), ['hangs'])
  assert.equal(report.cleanups.finished, 2)
})

test('a cleanup that is deferred after the connection has closed is waited for', async () => {
  const rig = createRig({ cleanupTimeout: 60_000 })
  const pair = rig.connect()
  const job = createJob()
  work(rig.connect()).promise.catch(() => {})
  void rig.start()
  await rig.clock.run(100)
  assert.equal(pair.connection.state, 'closed')
  pair.connection.defer(() => job.promise)
  await rig.clock.run(rig.plan.grace)
  assert.equal(rig.host.registry.size, 0)
  assert.equal(rig.drain.phase, 'cleanup')
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, rig.plan.grace + 100)
  assert.equal(report.cleanups.finished, 1)
  assert.equal(report.connections.unfinished, 0)
})

test('a late cleanup of a connection that closed before the drain is waited for', async () => {
  const rig = createRig()
  const pair = rig.connect()
  await rig.host.leave(pair)
  const job = createJob()
  pair.connection.defer(() => job.promise)
  void rig.start()
  await rig.clock.run(200)
  assert.equal(rig.drain.phase, 'cleanup')
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 200)
  assert.equal(report.connections.total, 0)
})

test('a late cleanup that hangs is given up and named too', async () => {
  const rig = createRig({ cleanupTimeout: 60_000 })
  const pair = rig.connect()
  await rig.host.leave(pair)
  pair.connection.defer(function late () { return new Promise(() => {}) })
  const report = await rig.run()
  assert.equal(report.duration, rig.plan.timeout)
  assert.deepEqual(report.cleanups.abandoned.map(({ cleanup }) => cleanup), ['late'])
  assert.equal(rig.host.leftovers, 0)
})

test('a cleanup that closes its connection again changes nothing', async () => {
  const rig = createRig()
  const { connection, socket } = rig.connect()
  connection.defer(() => { void connection.close(4000).catch(() => {}) })
  const report = await rig.run()
  assert.equal(socket.frames.length, 1)
  assert.deepEqual(report.connections.causes, { drain: 1 })
})

test('a cleanup that blocks the event loop past the end is not started twice', async () => {
  const rig = createRig()
  const { connection } = rig.connect({ peer: 'silent' })
  let runs = 0
  connection.defer(() => { runs++; rig.clock.stall(20_000) })
  void rig.start()
  await rig.clock.run(100)
  assert.equal(runs, 1)
  assert.equal(rig.drain.phase, 'done')
})

test('a socket that has lost its raw socket and never tells is given up with the drain', async () => {
  const rig = createRig({ timeout: 1_000, closeTimeout: 500 })
  const { connection, socket } = rig.connect({ peer: 'silent' })
  socket.broken = true
  // Its close frame goes out when grace ends: the wait for 'close' is not over with the drain.
  const job = createJob()
  void connection.track(job.promise)
  void rig.start()
  const { connections } = await rig.finish()
  assert.deepEqual([connections.terminated, connections.unfinished, connection.state, rig.elapsed], [1, 0, 'closed', 1_000])
  job.done()
  await rig.clock.flush()
  assert.equal(rig.host.leftovers, 0)
})
