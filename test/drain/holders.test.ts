/**
 * The work and the cleanups that a drain has waited for longest, as its report names them.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { DrainReport } from '../../lib/track/drain-report.ts'
import { createRig } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'

const withoutIds = ({ held }: DrainReport) => held.map(({ route, what, name, duration }) => [route, what, name, duration])

test('the report names the work and the cleanups that took longest, the longest first', async () => {
  const rig = createRig()
  const listener = rig.connect({ route: '/chat' })
  listener.socket.onMessage = async function answer () {}
  const reply = createJob()
  listener.connection.work.hold(reply.promise)
  const tracked = rig.connect({ route: '/reports' })
  const report = createJob()
  void tracked.connection.track(report.promise, 'report')
  const cleanup = createJob()
  rig.connect({ route: '/db' }).connection.defer(function release () { return cleanup.promise })
  void rig.start()
  await rig.clock.run(300)
  reply.done()
  await rig.clock.run(200)
  cleanup.done()
  await rig.clock.run(100)
  report.done()
  assert.deepEqual(withoutIds(await rig.finish()), [['/reports', 'work', 'report', 600], ['/db', 'cleanup', 'release', 500], ['/chat', 'work', 'answer', 300]])
  assert.deepEqual(rig.reports[0]!.held[0]!.connection, tracked.connection.id)
})

test('what is given up is named, too', async () => {
  const rig = createRig({ timeout: 2_000 })
  void rig.connect().connection.track(new Promise(() => {}))
  rig.connect().connection.defer(() => new Promise(() => {}))
  const { held } = await rig.run()
  assert.deepEqual(held.map(({ what, name }) => [what, name]), [['cleanup', 'anonymous'], ['work', 'track()']])
  assert.ok(held[0]!.duration >= 1_900)
  assert.equal(held[1]!.duration, rig.plan.grace)
})

test('each kind of work has a name', async () => {
  const rig = createRig({ onDrain: ({ route }) => route === '/onDrain' ? new Promise(() => {}) : undefined })
  rig.connect({ route: '/onDrain' })
  const iterating = rig.connect({ route: '/messages' })
  const messages = iterating.connection.messages()
  void messages.next().then(() => {})
  iterating.socket.peerSends('job')
  await rig.clock.flush()
  const unread = rig.connect({ route: '/unread' })
  unread.connection.incoming.pause('listener')
  const { held } = await rig.run()
  assert.deepEqual(held.map(({ route, name }) => [route, name]).sort(), [['/messages', 'messages()'], ['/onDrain', 'onDrain'], ['/unread', 'unread input']])
})

test('ten are named at most, and nothing that took less than 100 ms', async () => {
  const rig = createRig()
  const jobs = Array.from({ length: 30 }, () => {
    const job = createJob()
    void rig.connect().connection.track(job.promise, 'job')
    return job
  })
  void rig.start()
  for (const job of jobs.toReversed()) {
    await rig.clock.run(20)
    job.done()
  }
  const { held } = await rig.finish()
  assert.deepEqual(held.map(({ duration }) => duration), [600, 580, 560, 540, 520, 500, 480, 460, 440, 420])
  const quick = createRig()
  const job = createJob()
  void quick.connect().connection.track(job.promise)
  void quick.start()
  await quick.clock.run(99)
  job.done()
  assert.deepEqual((await quick.finish()).held, [])
})

test('a name for tracked work is a string', () => {
  const { connection } = createRig().connect()
  assert.throws(() => connection.track(Promise.resolve(), 1 as never), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
})

test('outside of a drain nothing is waited for, and cleanups that began before it are named first', async () => {
  const rig = createRig()
  const [older, newer] = [rig.connect(), rig.connect()]
  const job = createJob()
  older.connection.defer(function second () { return job.promise })
  newer.connection.defer(function first () { return job.promise })
  void newer.connection.terminate()
  await rig.clock.run(10)
  assert.deepEqual(rig.drain.holding, [])
  void rig.start()
  await rig.clock.run(300)
  assert.deepEqual(rig.drain.holding.map(({ name }) => name), ['first', 'second'])
  job.done()
  await rig.finish()
  assert.deepEqual(rig.drain.holding, [])
})

test('what a drain waits for now is named while it waits: work, then cleanups, ten at most', async () => {
  const rig = createRig()
  const named = () => rig.drain.holding.map(({ what, name, duration }) => [what, name, duration])
  assert.deepEqual(named(), [])
  const jobs = ['first', 'second'].map((name) => {
    const job = createJob()
    void rig.connect().connection.track(job.promise, name)
    return job
  })
  const cleanup = createJob()
  rig.connect().connection.defer(function release () { return cleanup.promise })
  void rig.start()
  await rig.clock.run(300)
  assert.deepEqual(named(), [['work', 'first', 300], ['work', 'second', 300], ['cleanup', 'release', 300]])
  jobs[0]!.done()
  await rig.clock.run(100)
  assert.deepEqual(named(), [['work', 'second', 400], ['cleanup', 'release', 400]])
  jobs[1]!.done()
  cleanup.done()
  await rig.finish()
  assert.deepEqual(named(), [])

  const crowd = createRig()
  for (let i = 0; i < 12; i++) crowd.connect().connection.defer(() => new Promise(() => {}))
  for (let i = 0; i < 12; i++) void crowd.connect().connection.track(new Promise(() => {}))
  void crowd.start()
  await crowd.clock.run(200)
  assert.deepEqual(crowd.drain.holding.map(({ what }) => what), Array.from({ length: 10 }, () => 'work'))
  await crowd.run()
})
