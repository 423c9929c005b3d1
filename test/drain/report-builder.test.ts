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
  rig.host.registry.counters.refused = 5
  void rig.start()
  await rig.clock.run(100)
  rig.host.registry.counters.refused += 3
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

/** A connection that has closed before the drain, over work that goes on. */
async function leftover (rig: ReturnType<typeof createRig>) {
  const pair = rig.connect()
  const job = work(pair)
  await rig.host.leave(pair)
  return job
}

test('work left over by connections that were closed before the drain is counted by itself', async () => {
  const rig = createRig({ settleDelay: 1_000 })
  const [ends] = [await leftover(rig), await leftover(rig)]
  // It begins and ends while everything is still served.
  const passing = work(rig.connect())
  // Its client leaves over its work, which ends later.
  const left = rig.connect()
  const abandoned = work(left)
  void rig.start()
  await rig.clock.run(500)
  passing.done()
  await rig.clock.run(600)
  left.socket.peerCloses(1001)
  await rig.clock.run(100)
  abandoned.done()
  ends.done()
  const { work: counts } = await rig.finish()
  assert.deepEqual(counts, { inFlight: 3, finished: 1, abandoned: 2 })
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

test('work of a connection that is closing already is none of the drain', async () => {
  for (const stays of ['open', 'closed'] as const) {
    const rig = createRig({ timeout: 3_000 })
    const before = rig.connect()
    if (stays === 'closed') {
      // Its job goes on when it has closed, and to the end.
      work(before)
      void before.connection.close()
      await rig.clock.run(20)
    }
    const late = rig.connect({ peer: 'silent' })
    const idle = rig.connect()
    const held = work(rig.connect())
    void rig.start()
    await rig.clock.run(20)
    void late.connection.close()
    const job = work(late)
    job.done()
    await rig.clock.run(20)
    const last = work(late)
    late.socket.peerAnswers()
    await rig.clock.run(20)
    last.done()
    await rig.clock.run(20)
    // Closed, another one begins.
    if (stays === 'open') work(idle).done()
    await rig.clock.run(20)
    held.done()
    const { work: counts } = await rig.finish()
    assert.deepEqual(counts, stays === 'closed' ? { inFlight: 2, finished: 1, abandoned: 1 } : { inFlight: 1, finished: 1, abandoned: 0 }, stays)
  }
})

test('work that a client has left is abandoned, also when it ends in time, and not that of another', async () => {
  const rig = createRig({ timeout: 3_000 })
  const before = rig.connect()
  work(before)
  void before.connection.close()
  await rig.clock.run(20)
  const leaving = rig.connect()
  const job = work(leaving)
  const held = work(rig.connect())
  void rig.start()
  await rig.clock.run(20)
  leaving.socket.peerCloses(1001)
  await rig.clock.run(20)
  job.done()
  await rig.clock.run(20)
  held.done()
  assert.deepEqual((await rig.finish()).work, { inFlight: 3, finished: 1, abandoned: 2 })
})
