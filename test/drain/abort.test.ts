/**
 * A drain that is cut off, by a second signal or by its end: what is closed, given up and told in each phase (lib/drain/cut-off.ts).
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createRig, work } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'
import type { Rig } from '../helpers/drain-rig.ts'

/** Aborts, and gives the report; no time may pass. */
async function abort (rig: Rig): Promise<Rig['reports'][0]> {
  const { elapsed } = rig
  rig.drain.abort()
  await rig.clock.flush()
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.elapsed, elapsed)
  assert.equal(rig.reports.length, 1, 'one report')
  assert.equal(rig.phases.filter((phase) => phase === 'done').length, 1)
  assert.equal(rig.reports[0]!.aborted, true)
  assert.equal(await rig.drain.finished, rig.reports[0])
  return rig.reports[0]!
}

test('an abort before the start does nothing', async () => {
  const rig = createRig()
  rig.connect()
  rig.drain.abort()
  assert.equal(rig.drain.phase, null)
  const report = await rig.run()
  assert.equal(report.aborted, false)
})

test('an abort after the end does nothing', async () => {
  const rig = createRig()
  rig.connect()
  const report = await rig.run()
  rig.drain.abort()
  await rig.clock.flush()
  assert.equal(report.aborted, false)
  assert.equal(rig.reports.length, 1)
})

test('a drain that was not cut short says so', async () => {
  const rig = createRig()
  assert.equal((await rig.run()).aborted, false)
})

test('an abort while settling cuts every connection off', async () => {
  const rig = createRig({ settleDelay: 2_000 })
  const pairs = rig.crowd(3, { peer: 'silent' })
  void rig.start('SIGTERM')
  await rig.clock.run(500)
  const report = await abort(rig)
  assert.equal(report.duration, 500)
  assert.equal(report.connections.terminated, 3)
  assert.ok(pairs.every(({ socket }) => socket.destroyed))
  assert.deepEqual(rig.doors.map(([door]) => door), ['stop', 'refuse'])
  assert.equal(rig.host.leftovers, 0)
})

test('an abort while settling without connections reports once', async () => {
  const rig = createRig({ settleDelay: 2_000 })
  void rig.start('SIGTERM')
  await rig.clock.run(500)
  const report = await abort(rig)
  assert.equal(report.connections.total, 0)
  assert.equal(rig.host.leftovers, 0)
})

test('an abort in the middle of notify cuts every connection off', async () => {
  const rig = createRig({ onDrain: () => { rig.clock.stall(1) } })
  rig.crowd(500, { peer: 'silent' })
  void rig.start()
  assert.equal(rig.drain.phase, 'notify')
  const report = await abort(rig)
  assert.equal(report.connections.terminated, 500)
  assert.equal(rig.frames.length, 0)
  await rig.clock.run(10_000)
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.host.leftovers, 0)
})

test('an abort in grace cuts off those that work', async () => {
  const rig = createRig()
  const job = work(rig.connect())
  void rig.start()
  await rig.clock.run(300)
  const report = await abort(rig)
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.deepEqual(report.connections.causes, { drain: 1 })
  assert.equal(rig.records[0]!.code, 1006)
  assert.equal(rig.frames.length, 0)
  job.done()
  await rig.clock.flush()
  assert.equal(rig.host.leftovers, 0)
})

test('an abort while a preClose takes time does not wait for it', async () => {
  const rig = createRig()
  rig.connect()
  const job = createJob()
  rig.drain.preClose(() => job.promise)
  void rig.start('close')
  await rig.clock.run(300)
  const report = await abort(rig)
  assert.equal(report.connections.terminated, 1)
  job.done()
  await rig.clock.flush()
  assert.equal(rig.frames.length, 0)
})

test('an abort while frames leave cuts off those that have not answered', async () => {
  const rig = createRig({ spread: 2_000 })
  rig.crowd(10)
  void rig.start()
  await rig.clock.run(900)
  const before = rig.frames.length
  const report = await abort(rig)
  assert.equal(rig.frames.length, before)
  assert.deepEqual([report.connections.clean, report.connections.terminated], [before, 10 - before])
  assert.equal(rig.host.leftovers, 0)
})

test('an abort while answers are waited for ends the waiting', async () => {
  const rig = createRig()
  rig.crowd(5, { peer: 'silent' })
  void rig.start()
  await rig.clock.run(500)
  const report = await abort(rig)
  assert.equal(report.connections.terminated, 5)
})

test('cleanups get one turn of the event loop; what hangs is named', async () => {
  const rig = createRig({ cleanupTimeout: 60_000 })
  const { connection } = rig.connect({ peer: 'silent' })
  const ran: string[] = []
  connection.defer(function quick () { ran.push('quick') })
  connection.defer(async function oneTurn () {
    await new Promise<void>((resolve) => { rig.clock.setImmediate(resolve) })
    ran.push('oneTurn')
  })
  connection.defer(function hangs () { return new Promise(() => {}) })
  void rig.start()
  await rig.clock.run(100)
  const report = await abort(rig)
  assert.deepEqual(ran, ['quick', 'oneTurn'])
  assert.equal(report.cleanups.finished, 2)
  assert.deepEqual(report.cleanups.abandoned.map(({ cleanup }) => cleanup), ['hangs'])
  assert.equal(rig.host.leftovers, 0)
})

test('an abort while the last cleanups run gives them up', async () => {
  const rig = createRig()
  rig.connect().connection.defer(function hangs () { return new Promise(() => {}) })
  void rig.start()
  await rig.clock.run(200)
  assert.equal(rig.drain.phase, 'cleanup')
  const report = await abort(rig)
  assert.equal(report.cleanups.abandoned.length, 1)
  assert.equal(report.connections.clean, 1)
})

test('a second abort changes nothing', async () => {
  const rig = createRig()
  rig.connect({ peer: 'silent' })
  void rig.start()
  await rig.clock.run(100)
  rig.drain.abort()
  await abort(rig)
})

test('an abort from a listener of the start is one too', async () => {
  const rig = createRig({ settleDelay: 1_000 })
  rig.host.events.on('drain', () => { rig.drain.abort() })
  rig.connect({ peer: 'silent' })
  void rig.start('SIGTERM')
  await rig.clock.run(rig.plan.timeout)
  assert.equal(rig.reports.length, 1)
  assert.equal(rig.reports[0]!.aborted, true)
  assert.equal(rig.reports[0]!.duration, 0)
  assert.deepEqual(rig.doors.map(([door]) => door), ['stop', 'refuse'])
})

test('work whose raw socket cannot be destroyed is abandoned, not finished', async () => {
  const rig = createRig()
  rig.host.transport.terminate = () => {}
  work(rig.connect())
  void rig.start()
  await rig.clock.run(100)
  const report = await abort(rig)
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.equal(report.connections.unfinished, 1)
})

test('a time that is up cuts off in the same way, without being an abort', async () => {
  const rig = createRig()
  rig.host.transport.terminate = () => {}
  rig.connect({ peer: 'silent' })
  const report = await rig.run()
  assert.equal(report.aborted, false)
  assert.equal(report.connections.unfinished, 1)
})

test('an abort of a crowd is over in four turns: the process ends after them', async () => {
  const rig = createRig({ cutCost: 1 })
  rig.host.events.on('closed', () => { rig.clock.stall(1) })
  rig.crowd(100, { peer: 'silent' })
  for (const { connection } of rig.crowd(100)) connection.defer(() => new Promise(() => {}))
  void rig.start()
  rig.drain.abort()
  for (let turn = 0; turn < 4; turn++) rig.clock.turn()
  assert.equal(rig.drain.phase, 'done')
})

test('an abort while connections are given up in slices gives up all at once', async () => {
  const rig = createRig({ timeout: 1_000, cutCost: 1 })
  const pairs = rig.crowd(500, { peer: 'silent' })
  for (const { connection } of pairs) connection.defer(() => new Promise(() => {}))
  void rig.start()
  rig.clock.stall(1_000)
  while (!pairs[0]!.socket.destroyed) rig.clock.turn()
  assert.equal(pairs[499]!.socket.destroyed, false)
  rig.drain.abort()
  assert.ok(pairs.every(({ socket }) => socket.destroyed))
  // After a second signal the process waits for the report for this long.
  rig.clock.turn()
  rig.clock.turn()
  assert.equal(rig.drain.phase, 'done')
  await rig.clock.run(10_000)
  const [report, ...others] = rig.reports
  assert.deepEqual([report!.aborted, report!.connections.unfinished, report!.cleanups.abandoned.length], [true, 0, 500])
  assert.equal(others.length, 0)
  assert.equal(rig.host.leftovers, 0)
})

test('a handshake that opens while connections are given up is told, cut off and cleaned up with them', async () => {
  const rig = createRig({ timeout: 1_000 })
  const { socket } = rig.connect({ peer: 'silent' })
  void rig.start()
  rig.clock.stall(1_000)
  while (!socket.destroyed) rig.clock.turn()
  const late = rig.admit({ peer: 'silent' })
  late.connection.defer(() => new Promise(() => {}))
  await rig.clock.flush()
  assert.equal(rig.frames.at(-1)!.connection, late.connection.id)
  const { connections, cleanups } = rig.reports[0]!
  assert.deepEqual([connections.total, connections.unfinished, cleanups.abandoned.length], [2, 0, 1])
  assert.equal(rig.host.leftovers, 0)
})
