/**
 * Work in flight in a drain: what is waited for in grace, and what is abandoned.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { fault } from '../../lib/connection/faults.ts'
import { createRig, work } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'
import type { FakeSocket } from '../helpers/fake-socket.ts'

// ——— grace

test('an idle connection is closed at once, one that works when its work is done', async () => {
  const rig = createRig()
  const idle = rig.connect()
  const busy = rig.connect()
  const job = work(busy)
  void rig.start()
  await rig.clock.run(700)
  assert.equal(idle.connection.state, 'closed')
  assert.equal(busy.connection.state, 'draining')
  job.done()
  const report = await rig.finish()
  assert.deepEqual(rig.frames.map(({ at, connection }) => [at, connection]), [[0, idle.connection.id], [700, busy.connection.id]])
  assert.equal(report.duration, 700)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('work that fails is over as well', async () => {
  const rig = createRig()
  const job = work(rig.connect())
  void rig.start()
  await rig.clock.run(300)
  job.fail(new Error('no'))
  const report = await rig.finish()
  assert.equal(report.duration, 300)
  assert.equal(report.work.finished, 1)
  assert.equal(report.connections.clean, 1)
})

test('a connection is idle when the last of its work is done', async () => {
  const rig = createRig()
  const pair = rig.connect()
  const jobs = [work(pair), work(pair), work(pair)]
  void rig.start()
  for (const job of jobs) {
    await rig.clock.run(200)
    assert.equal(rig.frames.length, 0)
    job.done()
  }
  const report = await rig.finish()
  assert.equal(rig.frames[0]!.at, 600)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('work that never ends is closed when grace ends, and counted as abandoned', async () => {
  const rig = createRig()
  work(rig.connect())
  void rig.start()
  await rig.clock.run(rig.plan.grace - 1)
  assert.equal(rig.frames.length, 0)
  await rig.clock.run(1)
  assert.equal(rig.frames.length, 1)
  const report = await rig.finish()
  assert.equal(report.duration, rig.plan.grace)
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.equal(report.connections.clean, 1)
})

test('work that is done after grace has ended stays abandoned', async () => {
  const rig = createRig()
  const pair = rig.connect({ peer: 'silent' })
  const job = work(pair)
  void rig.start()
  await rig.clock.run(rig.plan.grace + 100)
  job.done()
  await rig.clock.run(100)
  pair.socket.peerAnswers()
  const report = await rig.finish()
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
})

test('work that was done when the drain started is none', async () => {
  const rig = createRig()
  work(rig.connect()).done()
  await rig.clock.flush()
  const report = await rig.run()
  assert.equal(report.work.inFlight, 0)
  assert.equal(report.duration, 0)
})

test('settling that is skipped is time for work', async () => {
  const rig = createRig({ settleDelay: 2_000 })
  work(rig.connect())
  void rig.start('close')
  const { grace } = rig.plan
  await rig.clock.run(grace + 1_999)
  assert.equal(rig.frames.length, 0)
  await rig.clock.run(1)
  assert.equal(rig.frames.length, 1)
})

test('work that goes from one piece to the next is waited for', async () => {
  const rig = createRig()
  const pair = rig.connect()
  let job = work(pair)
  void rig.start()
  for (let i = 0; i < 5; i++) {
    await rig.clock.run(100)
    // The next begins before the drain has noticed that there was none.
    job.done()
    await job.promise
    job = work(pair)
  }
  await rig.clock.run(100)
  job.done()
  const report = await rig.finish()
  assert.equal(rig.frames[0]!.at, 600)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
})

// ——— work of those who have left

test('work of a connection that left is still waited for', async () => {
  const rig = createRig()
  const pair = rig.connect()
  const job = work(pair)
  void rig.start()
  await rig.clock.run(100)
  pair.socket.peerCloses(1001)
  await rig.clock.run(400)
  assert.equal(pair.connection.state, 'closed')
  assert.equal(rig.drain.phase, 'grace')
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 500)
})

test('work of a connection that left before the drain is still waited for', async () => {
  const rig = createRig()
  const pair = rig.connect()
  const job = work(pair)
  await rig.host.leave(pair)
  void rig.start()
  await rig.clock.run(500)
  assert.equal(rig.drain.phase, 'grace')
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 500)
  assert.equal(report.connections.total, 0)
})

test('work of a connection that left is waited for until grace ends, not longer', async () => {
  const rig = createRig()
  const pair = rig.connect()
  work(pair)
  void rig.start()
  await rig.clock.run(100)
  pair.socket.peerCloses(1001)
  const report = await rig.finish()
  assert.equal(report.duration, rig.plan.grace)
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.deepEqual(report.connections.causes, { client: 1 })
})

for (const [what, leave] of [
  ['leaves', (socket: FakeSocket) => socket.peerCloses(1001)],
  ['vanishes', (socket: FakeSocket) => socket.rawGone()]
] as const) {
  test(`work of a client that ${what} over it is abandoned, though it may still end`, async () => {
    const rig = createRig()
    const pair = rig.connect()
    const job = work(pair)
    const cleanup = createJob()
    pair.connection.defer(() => cleanup.promise)
    void rig.start()
    await rig.clock.run(100)
    leave(pair.socket)
    await rig.clock.run(100)
    job.done()
    await rig.clock.run(100)
    assert.equal(pair.connection.state, 'closing')
    cleanup.done()
    const report = await rig.finish()
    assert.equal(report.duration, 300)
    assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  })
}

test('work over which the application closes is abandoned, and waited for all the same', async () => {
  const rig = createRig()
  const pair = rig.connect()
  const job = work(pair)
  void rig.start()
  await rig.clock.run(100)
  void pair.connection.close(4000)
  await rig.clock.run(100)
  assert.equal(pair.connection.state, 'closed')
  assert.equal(rig.drain.phase, 'grace')
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 200)
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
})

// ——— messages

test('messages that are queued when the drain starts are delivered before the frame', async () => {
  const rig = createRig()
  const { connection, socket } = rig.connect()
  const seen: unknown[] = []
  const consumed = (async () => {
    for await (const message of connection.messages()) {
      seen.push(message)
      await new Promise<void>((resolve) => { rig.clock.setTimeout(resolve, 100) })
    }
    seen.push('end')
  })()
  for (const message of ['a', 'b', 'c']) socket.peerSends(message)
  await rig.clock.run(50)
  const report = await rig.run()
  await consumed
  assert.deepEqual(seen, ['a', 'b', 'c', 'end'])
  assert.equal(rig.records[0]!.dropped, 0)
  assert.equal(rig.frames[0]!.at, 250)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('a handler that waits for the next message is not work', async () => {
  const rig = createRig()
  const { connection } = rig.connect()
  const consumed = (async () => { for await (const message of connection.messages()) assert.fail(String(message)) })()
  const report = await rig.run()
  await consumed
  assert.equal(report.duration, 0)
  assert.equal(report.work.inFlight, 0)
})

test('a message that arrived before the drain was announced is work', async () => {
  const rig = createRig()
  const { connection, socket } = rig.connect()
  socket.onMessage = () => { work({ connection, socket }).promise.catch(() => {}) }
  socket.peerSends('job')
  void rig.start()
  await rig.clock.run(100)
  assert.equal(rig.drain.phase, 'grace')
  assert.equal(rig.frames.length, 0)
})

test('what queued messages a slow consumer has left when grace ends is dropped and counted', async () => {
  const rig = createRig()
  const { connection, socket } = rig.connect()
  void (async () => {
    for await (const message of connection.messages()) {
      assert.equal(message, 'a')
      await createJob().promise
    }
  })()
  for (const message of ['a', 'b', 'c']) socket.peerSends(message)
  await rig.clock.flush()
  const report = await rig.run()
  assert.equal(report.duration, rig.plan.grace)
  assert.equal(rig.records[0]!.dropped, 2)
  assert.equal(report.work.abandoned, 1)
})

// ——— faults

test('a connection whose work ends it with a fault is closed by the fault', async () => {
  const rig = createRig()
  const { connection } = rig.connect()
  const job = createJob()
  connection.work.hold(job.promise, (error) => fault(connection, error))
  void rig.start()
  await rig.clock.run(100)
  job.fail(new Error('no'))
  const report = await rig.finish()
  assert.equal(report.duration, 100)
  assert.deepEqual(report.connections.causes, { error: 1 })
  assert.equal(report.connections.clean, 1)
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
