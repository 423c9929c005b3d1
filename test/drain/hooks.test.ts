/**
 * Code of the application in a drain: onDrain, preClose, the function `reason`, and reconnect delays.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createRig, work } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'

// ——— onDrain

test('onDrain is called once for each connection, when it is draining and can still send', async () => {
  const seen: Array<[id: number, state: string, readyState: number]> = []
  const rig = createRig({ onDrain: ({ id, state, socket }) => { seen.push([id, state, socket.readyState]) } })
  const pairs = rig.crowd(3)
  await rig.run()
  assert.deepEqual(seen, pairs.map(({ connection }) => [connection.id, 'draining', 1]))
})

test('onDrain is not called for a connection that is closing already', async () => {
  let calls = 0
  const rig = createRig({ onDrain: () => { calls++ } })
  const { connection } = rig.connect()
  void connection.close()
  await rig.run()
  assert.equal(calls, 0)
})

test('an onDrain that takes time is waited for as work is', async () => {
  const job = createJob()
  const rig = createRig({ onDrain: () => job.promise })
  rig.crowd(2)
  void rig.start()
  await rig.clock.run(400)
  assert.equal(rig.frames.length, 0)
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 400)
  assert.equal(report.work.finished, 2)
})

test('an onDrain that hangs holds its own connection until grace ends, and no other', async () => {
  let first = true
  const rig = createRig({ onDrain: () => first && ((first = false), new Promise(() => {})) })
  const [hanging] = rig.crowd(3)
  const report = await rig.run()
  assert.deepEqual(rig.frames.map(({ at }) => at), [0, 0, rig.plan.grace])
  assert.equal(rig.frames.at(-1)!.connection, hanging!.connection.id)
  assert.equal(report.duration, rig.plan.grace)
})

test('an onDrain that throws is reported and changes nothing', async () => {
  const failure = new Error('no')
  const rig = createRig({ onDrain: () => { throw failure } })
  const { connection } = rig.connect()
  const errors: unknown[][] = []
  rig.host.events.on('error', (...args) => { errors.push(args) })
  const report = await rig.run()
  assert.deepEqual(rig.host.hookFailures, [[failure, 'onDrain']])
  assert.deepEqual(errors, [[failure, connection]])
  assert.equal(report.duration, 0)
  assert.deepEqual(report.connections.causes, { drain: 1 })
})

test('an onDrain that rejects is reported once and changes nothing', async () => {
  const failure = new Error('no')
  const rig = createRig({ onDrain: async () => { throw failure } })
  rig.connect()
  const report = await rig.run()
  assert.deepEqual(rig.host.hookFailures, [[failure, 'onDrain']])
  assert.equal(report.duration, 0)
  assert.equal(report.connections.clean, 1)
})

test('what onDrain sends leaves before the close frame, however much it is', async () => {
  const rig = createRig({ onDrain: ({ socket }) => { socket.send('x'.repeat(100_000)) } })
  const { socket } = rig.connect({ peer: 'silent' })
  socket.bytesPending(1)
  void rig.start()
  await rig.clock.run(1_000)
  assert.deepEqual(socket.frames.map(({ type }) => type), ['message', 'close'])
  assert.equal(socket.closeFrameSent, false)
  // It reads, and the time it has for an answer begins when the frame has left.
  socket.bytesPending(50_000)
  await rig.clock.run(500)
  socket.frameLeaves()
  await rig.clock.run(1_200)
  socket.peerAnswers()
  const report = await rig.finish()
  assert.equal(report.connections.clean, 1)
  assert.equal(report.duration, 2_700)
})

test('an onDrain that closes its connection has closed it', async () => {
  const rig = createRig({ onDrain: (connection) => { void connection.close(4000, 'bye') } })
  const { socket } = rig.connect()
  const report = await rig.run()
  assert.deepEqual(socket.closeFrame, { code: 4000, reason: 'bye' })
  assert.deepEqual(report.connections.causes, { application: 1 })
  assert.equal(report.reconnect, null)
})

test('an onDrain that starts the drain gets the one that is under way', async () => {
  let inner: unknown
  const rig = createRig({ onDrain: () => { inner = rig.drain.start('close') } })
  rig.connect()
  const outer = rig.start()
  await rig.finish()
  assert.equal(inner, outer)
})

test('onDrain is called in slices of 2 ms', () => {
  let calls = 0
  const rig = createRig({ onDrain: () => { calls++; rig.clock.stall(1) } })
  rig.crowd(10)
  void rig.start()
  assert.equal(calls, 2)
  rig.clock.turn()
  assert.equal(calls, 4)
})

test('an onDrain that blocks the event loop cannot make the drain longer than its timeout', async () => {
  const rig = createRig({ onDrain: () => { rig.clock.stall(10) } })
  const pairs = rig.crowd(1_000)
  void rig.start()
  await rig.clock.run(20_000)
  const report = await rig.drain.finished
  // One call may still be under way at the end.
  assert.ok(report.duration <= rig.plan.timeout + 10, `${report.duration}`)
  assert.ok(pairs.every(({ connection }) => connection.state === 'closed'))
  assert.ok(pairs.every(({ connection }) => connection.drainSignal.aborted), 'drainSignal tells every connection, if onDrain does not')
  assert.equal(rig.frames.length, 1_000)
})

// ——— preClose

test('a preClose is called in notify, after admission has stopped', () => {
  const rig = createRig()
  rig.connect()
  const seen: unknown[] = []
  rig.drain.preClose(() => { seen.push(rig.drain.phase, rig.doors.length) })
  void rig.start('close')
  assert.deepEqual(seen, ['notify', 1])
})

test('close frames wait for a preClose that takes time', async () => {
  const rig = createRig()
  rig.crowd(3)
  const job = createJob()
  rig.drain.preClose(() => job.promise)
  void rig.start('close')
  await rig.clock.run(600)
  assert.equal(rig.drain.phase, 'grace')
  assert.equal(rig.frames.length, 0)
  job.done()
  const report = await rig.finish()
  assert.deepEqual(rig.frames.map(({ at }) => at), [600, 600, 600])
  assert.equal(report.duration, 600)
})

test('work that is done while a preClose takes time waits for it too', async () => {
  const rig = createRig()
  const work1 = work(rig.connect())
  const job = createJob()
  rig.drain.preClose(() => job.promise)
  void rig.start('close')
  await rig.clock.run(200)
  work1.done()
  await rig.clock.run(200)
  assert.equal(rig.frames.length, 0)
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 400)
  assert.equal(report.work.finished, 1)
})

test('a handshake that opens while a preClose takes time waits for it too', async () => {
  const rig = createRig()
  rig.connect()
  const job = createJob()
  rig.drain.preClose(() => job.promise)
  void rig.start('close')
  await rig.clock.run(200)
  rig.admit()
  await rig.clock.run(200)
  assert.equal(rig.frames.length, 0)
  job.done()
  await rig.finish()
  assert.deepEqual(rig.frames.map(({ at }) => at), [400, 400])
})

test('a preClose that hangs holds the frames until grace ends', async () => {
  const rig = createRig()
  rig.crowd(3)
  rig.drain.preClose(() => new Promise(() => {}))
  const report = await rig.run('close')
  const { grace } = rig.plan
  assert.deepEqual(rig.frames.map(({ at }) => at), [grace, grace, grace])
  assert.equal(report.duration, grace)
})

test('with a spread, neither a preClose that ends late nor those that close already change the pace', async () => {
  const rig = createRig({ timeout: 20_000, spread: 4_000 })
  const leaving = rig.crowd(100, { peer: 'silent' })
  rig.crowd(99)
  const job = createJob()
  rig.drain.preClose(() => {
    for (const { connection } of leaving) void connection.close(4_000)
    // It opens while the connections are notified.
    rig.admit()
    return job.promise
  })
  void rig.start('close')
  await rig.clock.run(rig.plan.grace + 1_000)
  job.done()
  await rig.finish()
  const frames = rig.frames.filter(({ code }) => code === 1012)
  assert.equal(frames.length, 100)
  for (const [i, { at }] of frames.entries()) assert.ok(Math.abs(at - rig.plan.grace - 40 * i) <= 2, `frame ${i} at ${at}`)
  assert.ok(rig.progress.every(({ queued, connections }) => queued <= connections))
})

test('a preClose that ends after grace does nothing more', async () => {
  const rig = createRig()
  rig.crowd(3, { peer: 'silent' })
  const job = createJob()
  rig.drain.preClose(() => job.promise)
  void rig.start('close')
  await rig.clock.run(rig.plan.grace + 100)
  job.done()
  await rig.finish()
  assert.equal(rig.frames.length, 3)
  assert.equal(rig.host.leftovers, 0)
})

test('a preClose that takes time is waited for also without connections', async () => {
  const rig = createRig()
  const job = createJob()
  rig.drain.preClose(() => job.promise)
  void rig.start('close')
  await rig.clock.run(300)
  assert.equal(rig.drain.phase, 'grace')
  job.done()
  const report = await rig.finish()
  assert.equal(report.duration, 300)
  assert.equal(rig.clock.pendingTimers, 0)
})

for (const [what, hook] of [
  ['throws', () => { throw new Error('no') }],
  ['rejects', async () => { throw new Error('no') }]
] as const) {
  test(`a preClose that ${what} is reported, and the drain goes on`, async () => {
    const rig = createRig()
    rig.connect()
    rig.drain.preClose(hook)
    const report = await rig.run('close')
    assert.equal(rig.host.hookFailures.length, 1)
    assert.equal(rig.host.hookFailures[0]![1], 'preClose')
    assert.equal(report.duration, 0)
    assert.equal(report.connections.clean, 1)
  })
}

test('a preClose given while settling is called in notify', async () => {
  const rig = createRig({ settleDelay: 500 })
  rig.connect()
  let at = -1
  void rig.start('SIGTERM')
  await rig.clock.run(200)
  rig.drain.preClose(() => { at = rig.elapsed })
  await rig.finish()
  assert.equal(at, 500)
})

test('a preClose given after notify is called at once, and what it throws is reported', async () => {
  const rig = createRig()
  const job = work(rig.connect())
  void rig.start('SIGTERM')
  await rig.clock.run(100)
  let called = false
  rig.drain.preClose(() => { called = true; throw new Error('no') })
  assert.ok(called)
  assert.deepEqual(rig.host.hookFailures.map(([, hook]) => hook), ['preClose'])
  job.done()
  await rig.finish()
})

// ——— reason

test('a reason of a function is what the client is told', async () => {
  const rig = createRig({ reason: ({ route }, delay) => `${route} back in ${delay}` })
  rig.connect({ route: '/jobs' })
  await rig.run()
  assert.equal(rig.frames[0]!.reason, '/jobs back in 1000')
})

test('a reason that is false is none', async () => {
  const rig = createRig({ reason: () => false })
  const { socket } = rig.connect()
  const report = await rig.run()
  assert.deepEqual(socket.closeFrame, { code: 1012, reason: '' })
  assert.equal(report.reconnect, null, 'no delay was given')
})

test('a reason that throws is reported, and the frame leaves without one', async () => {
  const rig = createRig({ reason: () => { throw new Error('no') } })
  const { socket } = rig.connect()
  const report = await rig.run()
  assert.deepEqual(socket.closeFrame, { code: 1012, reason: '' })
  assert.deepEqual(rig.host.hookFailures.map(([, hook]) => hook), ['drain.reason'])
  assert.equal(report.connections.clean, 1)
})

test('a reason over 123 bytes is cut on a character boundary', async () => {
  const rig = createRig({ reason: () => 'é'.repeat(100) })
  rig.connect()
  await rig.run()
  assert.equal(rig.frames[0]!.reason, 'é'.repeat(61))
})

test('a text over 123 bytes is cut, the delay stays', async () => {
  const rig = createRig({ reason: 'x'.repeat(200) })
  rig.connect()
  await rig.run()
  assert.equal(rig.frames[0]!.reason, `${'x'.repeat(111)}; retry=1000`)
  assert.equal(Buffer.byteLength(rig.frames[0]!.reason), 123)
})

// ——— reconnect delays

test('one client alone is told minDelay', async () => {
  const rig = createRig({ reconnect: { minDelay: 250 } })
  rig.connect()
  const report = await rig.run()
  assert.deepEqual(rig.frames.map(({ retry }) => retry), [250])
  assert.deepEqual(report.reconnect, { min: 250, max: 250 })
})

test('clients are back evenly over n / rate', async () => {
  const rig = createRig({ reconnect: { rate: 100 } })
  rig.crowd(500)
  const report = await rig.run()
  const back = rig.frames.map(({ at, retry }) => at + retry).sort((a, b) => a - b)
  assert.equal(back[0], 1_000)
  assert.deepEqual(new Set(back.slice(1).map((at, i) => at - back[i]!)), new Set([10]))
  assert.deepEqual(report.reconnect, { min: 1_000, max: 5_990 })
})

test('clients that are told late do not come late', async () => {
  // Silent ones go out at 64 each 10 ms, over 150 ms; a spread of 1 s is even in itself.
  for (const options of [{}, { spread: 1_000 }]) {
    const rig = createRig({ ...options, reconnect: { rate: 200 } })
    rig.crowd(1_000, { peer: 'silent' })
    await rig.run()
    const back = rig.frames.map(({ at, retry }) => at + retry).sort((a, b) => a - b)
    assert.deepEqual(new Set(back.slice(1).map((at, i) => at - back[i]!)), new Set([5]))
  }
})

test('no client is told less than minDelay or more than maxDelay', async () => {
  const rig = createRig({ spread: 3_000, reconnect: { rate: 50, minDelay: 500, maxDelay: 2_000 } })
  rig.crowd(1_000)
  const report = await rig.run()
  assert.ok(rig.frames.every(({ retry }) => retry >= 500 && retry <= 2_000))
  assert.ok(report.reconnect!.min >= 500 && report.reconnect!.max <= 2_000)
})
