import assert from 'node:assert/strict'
import test from 'node:test'
import type { DrainTrigger } from '../../lib/track/drain-report.ts'
import { createRig, work } from '../helpers/drain-rig.ts'

// ——— one drain for all callers

test('all callers that start the drain get the same promise', async () => {
  const rig = createRig()
  rig.connect()
  const first = rig.start('SIGTERM')
  assert.equal(rig.drain.start('close'), first)
  assert.equal(rig.drain.start('drain'), first)
  assert.equal(rig.drain.finished, first)
  await rig.finish()
  assert.equal(rig.drain.start('close'), first)
  assert.equal((await first).trigger, 'SIGTERM')
  assert.equal(rig.reports.length, 1)
})

test('the start of the drain is told, with its trigger, its connections and its budget', () => {
  const rig = createRig({ timeout: 3_000 })
  const starts: unknown[] = []
  rig.host.events.on('drain', (start) => { starts.push(start) })
  rig.crowd(3)
  void rig.start('SIGINT')
  void rig.drain.start('close')
  assert.deepEqual(starts, [{ trigger: 'SIGINT', connections: 3, timeout: 3_000 }])
})

test('the report that is published is the one that is returned', async () => {
  const rig = createRig()
  rig.connect()
  const report = await rig.run()
  assert.equal(rig.reports[0], report)
})

for (const trigger of ['close', 'drain', 'SIGTERM'] as DrainTrigger[]) {
  test(`a drain without connections is over before start("${trigger}") returns, without a timer`, async () => {
    const rig = createRig()
    const promise = rig.start(trigger)
    assert.equal(rig.drain.phase, 'done')
    assert.equal(rig.clock.timersMade, 0)
    assert.deepEqual(rig.doors, [['stop', 0], ['refuse', 0]])
    const report = await promise
    assert.equal(report.duration, 0)
    assert.equal(report.connections.total, 0)
    assert.equal(report.reconnect, null)
    await rig.clock.flush()
    assert.equal(rig.clock.timersMade, 0)
    assert.equal(rig.host.leftovers, 0)
  })
}

test('a connection that has just closed is not drained', async () => {
  const rig = createRig()
  await rig.host.leave(rig.connect())
  const { timersMade } = rig.clock
  void rig.start()
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.clock.timersMade, timersMade)
})

test('cooperative clients leave without a timer having fired', async () => {
  const rig = createRig()
  rig.crowd(1_000)
  void rig.start('close')
  // No time passes: no timer can fire.
  await rig.clock.flush()
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.elapsed, 0)
  assert.equal(rig.host.leftovers, 0)
  assert.equal(rig.reports[0]!.connections.clean, 1_000)
})

test('once a drain is over it hears nothing more', async () => {
  const rig = createRig()
  rig.connect()
  void rig.start()
  assert.ok(rig.host.hooks.closed.includes(rig.drain))
  await rig.finish()
  assert.ok(!rig.host.hooks.closed.includes(rig.drain))
})

// ——— settle

for (const trigger of ['drain', 'SIGTERM'] as DrainTrigger[]) {
  test(`"${trigger}" lets the load balancers settle first, while everything is served`, async () => {
    const rig = createRig({ settleDelay: 1_500 })
    const { connection } = rig.connect()
    void rig.start(trigger)
    await rig.clock.run(1_499)
    assert.equal(rig.drain.phase, 'settle')
    assert.equal(connection.state, 'open')
    assert.deepEqual(rig.doors, [])
    await rig.clock.run(1)
    assert.deepEqual(rig.doors[0], ['stop', 1_500])
    assert.equal(rig.frames[0]!.at, 1_500)
    const report = await rig.finish()
    assert.equal(report.phases.settle, 1_500)
  })
}

test('a plain close does not settle', async () => {
  const rig = createRig({ settleDelay: 1_500 })
  rig.connect()
  void rig.start('close')
  await rig.clock.flush()
  assert.equal(rig.frames[0]!.at, 0)
  assert.equal(rig.drain.phase, 'done')
})

test('a close cuts the settling of a signal short', async () => {
  const rig = createRig({ settleDelay: 1_500 })
  rig.connect()
  void rig.start('SIGTERM')
  await rig.clock.run(400)
  void rig.drain.start('close')
  await rig.clock.flush()
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.frames[0]!.at, 400)
  assert.equal(rig.reports[0]!.trigger, 'SIGTERM')
  assert.equal(rig.reports[0]!.phases.settle, 400)
  assert.equal(rig.clock.pendingTimers, 0)
})

test('a second drain() does not cut the settling short', async () => {
  const rig = createRig({ settleDelay: 1_500 })
  rig.connect()
  void rig.start('SIGTERM')
  await rig.clock.run(400)
  void rig.drain.start('drain')
  await rig.clock.run(1_000)
  assert.equal(rig.drain.phase, 'settle')
})

test('a listener of the start that closes the app leaves no timer behind', async () => {
  const rig = createRig({ settleDelay: 1_500 })
  rig.host.events.on('drain', () => { void rig.drain.start('close') })
  rig.connect()
  void rig.start('SIGTERM')
  await rig.clock.flush()
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.clock.pendingTimers, 0)
  assert.ok(rig.progress.every(({ phase }) => phase !== 'settle'))
})

for (const nth of [1, 2]) {
  test(`a listener that closes the app at progress ${nth} of settling leaves no timer behind`, async () => {
    const rig = createRig({ settleDelay: 1_500 })
    rig.host.events.on('progress', () => { if (rig.progress.length === nth) void rig.drain.start('close') })
    rig.connect()
    void rig.start('SIGTERM')
    await rig.clock.run((nth - 1) * 250)
    assert.equal(rig.drain.phase, 'done')
    assert.equal(rig.clock.pendingTimers, 0)
    const told = rig.progress.length
    await rig.clock.run(2_000)
    assert.equal(rig.progress.length, told)
  })
}

test('settling without connections still waits: a client may connect', async () => {
  const rig = createRig({ settleDelay: 1_500 })
  void rig.start('SIGTERM')
  await rig.clock.run(1_000)
  const { connection } = rig.admit()
  assert.equal(connection.state, 'open')
  const report = await rig.finish()
  assert.equal(report.connections.total, 1)
  assert.equal(report.connections.clean, 1)
  assert.equal(report.duration, 1_500)
})

// ——— phases

test('admission ends before the first connection is notified', () => {
  const rig = createRig()
  rig.connect()
  rig.host.events.on('draining', () => { assert.deepEqual(rig.doors, [['stop', 0]]) })
  void rig.start()
  assert.equal(rig.host.hookFailures.length, 0)
})

test('all connections are notified before the first is closed', async () => {
  const rig = createRig()
  const pairs = rig.crowd(500)
  const signals = pairs.map(({ connection }) => connection.drainSignal)
  const heard = rig.host.listen('draining', 'closing')
  await rig.run()
  assert.equal(heard.findIndex((event) => event.startsWith('closing')), 500)
  assert.ok(signals.every(({ aborted }) => aborted))
})

test('the phases come in order, and each ends as soon as nothing is left to wait for', async () => {
  const rig = createRig({ settleDelay: 1_000 })
  const worker = rig.connect()
  const job = work(worker)
  const slow = rig.connect({ peer: 'silent' })
  let cleaned!: () => void
  slow.connection.defer(() => new Promise<void>((resolve) => { cleaned = resolve }))
  void rig.start()
  await rig.clock.run(1_000 + 500)
  assert.equal(rig.drain.phase, 'grace')
  job.done()
  await rig.clock.run(100)
  assert.equal(rig.drain.phase, 'close')
  slow.socket.peerAnswers()
  await rig.clock.run(100)
  assert.equal(rig.drain.phase, 'cleanup')
  cleaned()
  await rig.clock.flush()
  assert.equal(rig.drain.phase, 'done')
  assert.deepEqual(rig.phases, ['settle', 'notify', 'grace', 'close', 'cleanup', 'done'])
  const { phases, duration } = await rig.finish()
  assert.deepEqual(phases, { settle: 1_000, notify: 0, grace: 500, close: 100, cleanup: 100 })
  assert.equal(duration, 1_700)
})

test('no phase comes back once it is over', async () => {
  const rig = createRig({ spread: 2_000 })
  const pairs = rig.crowd(20)
  void rig.start()
  await rig.clock.run(500)
  assert.equal(rig.drain.phase, 'close')
  // One that has not got its frame yet begins to work.
  const late = pairs.find(({ connection }) => connection.state === 'draining')!
  const job = work(late)
  await rig.clock.run(300)
  job.done()
  await rig.finish()
  const { phases } = rig
  assert.deepEqual(phases, ['notify', 'grace', 'close', 'done'])
})

test('the time spent in the phases adds up to the duration', async () => {
  const rig = createRig({ settleDelay: 700 })
  work(rig.connect())
  rig.connect({ peer: 'silent' }).connection.defer(() => new Promise(() => {}))
  const { phases, duration } = await rig.run('SIGTERM')
  assert.equal(Object.values(phases).reduce((sum, time) => sum + time), duration)
})

test('handshakes that still wait in a hook are refused when the drain is over', async () => {
  const rig = createRig()
  const job = work(rig.connect())
  void rig.start()
  await rig.clock.run(300)
  assert.deepEqual(rig.doors, [['stop', 0]])
  job.done()
  await rig.finish()
  assert.deepEqual(rig.doors, [['stop', 0], ['refuse', 300]])
})

// ——— who is closed how

test('a close frame has the code of the drain and the reason with the delay', async () => {
  const rig = createRig()
  rig.connect()
  await rig.run()
  assert.deepEqual(rig.frames.map(({ code, reason }) => [code, reason]), [[1012, 'service restart; retry=1000']])
  assert.equal(rig.records[0]!.cause, 'drain')
})

test('code 1001 is a leave', async () => {
  const rig = createRig({ code: 1001 })
  rig.connect()
  const report = await rig.run()
  assert.equal(rig.frames[0]!.code, 1001)
  assert.deepEqual(report.connections.causes, { leave: 1 })
})

test('what the application sends when told leaves before the close frame', async () => {
  const rig = createRig({ onDrain: ({ socket }) => { socket.send('bye') } })
  const { socket } = rig.connect()
  await rig.run()
  assert.deepEqual(socket.frames.map(({ type }) => type), ['message', 'close'])
})

test('a stream without a kernel socket gets its frame and is destroyed at once', async () => {
  const rig = createRig()
  const { socket } = rig.connect({ handle: false, peer: 'silent' })
  void rig.start()
  await rig.clock.flush()
  assert.equal(socket.closeFrame!.code, 1012)
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.elapsed, 0)
})

test('a connection that was closing already is waited for and gets no second frame', async () => {
  const rig = createRig()
  const { connection, socket } = rig.connect({ peer: 'silent' })
  void connection.close(4000, 'mine')
  void rig.start()
  await rig.clock.run(200)
  socket.peerAnswers()
  const report = await rig.finish()
  assert.equal(report.duration, 200)
  assert.equal(rig.frames.length, 1)
  assert.deepEqual(report.connections.causes, { application: 1 })
  assert.equal(report.connections.clean, 1)
})

test('a peer that does not answer is cut off after closeTimeout', async () => {
  const rig = createRig()
  rig.connect({ peer: 'silent' })
  rig.crowd(50)
  const report = await rig.run()
  const { closeTimeout } = rig.plan
  // The deadlines look every 50 ms, and never early.
  assert.ok(report.duration >= closeTimeout && report.duration <= closeTimeout + 100, `${report.duration}`)
  assert.deepEqual([report.connections.clean, report.connections.terminated], [50, 1])
})

test('a peer that answers late, but in time, is clean', async () => {
  const rig = createRig()
  const { socket } = rig.connect({ peer: 'silent' })
  void rig.start()
  await rig.clock.run(1_500)
  socket.peerAnswers()
  const report = await rig.finish()
  assert.equal(report.connections.clean, 1)
  assert.equal(report.duration, 1_500)
})

test('a peer that reads nothing is cut off without delay for the others', async () => {
  const rig = createRig()
  const { socket } = rig.connect({ peer: 'stuck' })
  socket.send('x'.repeat(1_000_000))
  const report = await rig.run()
  assert.ok(report.duration <= rig.plan.closeTimeout + 400, `${report.duration}`)
  assert.equal(report.connections.terminated, 1)
})

test('connections left at the end of the answers are cut off, in slices', async () => {
  // Peers that go on reading a little are waited for by their own deadline, but not longer than the drain has.
  const rig = createRig({ timeout: 1_000 })
  const pairs = rig.crowd(30, { peer: 'stuck' })
  for (const { socket } of pairs) socket.bytesPending(1e9)
  const { clock, host } = rig
  const terminate = host.transport.terminate.bind(host.transport)
  const perTurn: number[] = []
  let turn = -1
  host.transport.terminate = (socket) => {
    if (turn !== clock.immediatesMade) perTurn.push(0)
    turn = clock.immediatesMade
    perTurn[perTurn.length - 1]!++
    terminate(socket)
    clock.stall(0.5)
  }
  void rig.start()
  for (let at = 0; at < 1_000 && rig.drain.phase !== 'done'; at += 10) {
    for (const { socket } of pairs) socket.pending -= 1_000
    await clock.run(10)
  }
  assert.equal(rig.reports[0]!.connections.terminated, 30)
  assert.ok(rig.reports[0]!.duration >= 900 && rig.reports[0]!.duration < 1_000)
  // 2 ms of 0.5 ms each.
  assert.ok(Math.max(...perTurn) <= 4, `${perTurn}`)
})

// ——— a client that closes by itself

const MOMENTS = ['settle', 'notify', 'grace', 'close'] as const

for (const moment of MOMENTS) {
  test(`a client that closes by itself in ${moment} has left by itself, cleanly`, async () => {
    const rig = createRig({ settleDelay: 500, spread: 1_000, onDrain: () => { if (moment === 'notify') leave() } })
    const pairs = rig.crowd(4)
    let subject = pairs[0]!
    const job = moment === 'grace' ? work(subject) : null
    const leave = () => { subject.socket.peerCloses(1001, 'going') }
    void rig.start()
    await rig.clock.run(100)
    if (moment === 'settle') leave()
    await rig.clock.run(410)
    if (moment === 'grace') leave()
    if (moment === 'close') {
      // Its turn has not come yet.
      subject = pairs.find(({ connection }) => connection.state === 'draining')!
      leave()
    }
    await rig.clock.run(10)
    job?.done()
    const report = await rig.finish()
    assert.deepEqual(
      [report.connections.total, report.connections.clean, report.connections.leftByThemselves, report.connections.terminated],
      [4, 4, 1, 0])
    assert.deepEqual(report.connections.causes, { client: 1, drain: 3 })
    const record = rig.records.find(({ id }) => id === subject.connection.id)!
    assert.deepEqual([record.cause, record.code, record.reason, record.clean], ['client', 1001, 'going', true])
    assert.ok(pairs.every(({ connection }) => connection.state === 'closed'))
    assert.equal(rig.frames.filter(({ connection }) => connection === subject.connection.id).length, 0)
    assert.equal(rig.host.leftovers, 0)
  })

  test(`a client that vanishes in ${moment} is counted as terminated`, async () => {
    const rig = createRig({ settleDelay: 500, spread: 1_000, onDrain: () => { if (moment === 'notify') vanish() } })
    const subject = rig.connect()
    rig.crowd(3)
    const job = moment === 'grace' ? work(subject) : null
    const vanish = () => { subject.socket.rawGone() }
    void rig.start()
    await rig.clock.run(100)
    if (moment === 'settle') vanish()
    await rig.clock.run(410)
    if (moment === 'grace' || moment === 'close') vanish()
    await rig.clock.run(10)
    job?.done()
    const report = await rig.finish()
    assert.deepEqual([report.connections.clean, report.connections.leftByThemselves, report.connections.terminated], [3, 0, 1])
    assert.equal(report.connections.causes.network, 1)
    assert.equal(rig.host.leftovers, 0)
  })
}

test('a client that closes when our frame is out already was closed by the drain', async () => {
  const rig = createRig()
  const { socket } = rig.connect({ peer: 'silent' })
  void rig.start()
  await rig.clock.run(10)
  socket.peerCloses(1000)
  const report = await rig.finish()
  assert.deepEqual(report.connections.causes, { drain: 1 })
  assert.equal(report.connections.leftByThemselves, 0)
  assert.equal(report.connections.clean, 1)
})

test('a client that vanishes after our frame is counted as terminated', async () => {
  const rig = createRig()
  const { socket } = rig.connect({ peer: 'silent' })
  void rig.start()
  await rig.clock.run(10)
  socket.rawGone()
  const report = await rig.finish()
  assert.deepEqual(report.connections.causes, { drain: 1 })
  assert.deepEqual([report.connections.clean, report.connections.terminated], [0, 1])
  assert.equal(report.duration, 10)
})

// ——— who comes late

test('a handshake that opens while settling is served, then told and closed with the others', async () => {
  const rig = createRig({ settleDelay: 500 })
  rig.connect()
  void rig.start()
  await rig.clock.run(100)
  const late = rig.admit()
  assert.equal(late.connection.state, 'open')
  const report = await rig.finish()
  assert.equal(report.connections.total, 2)
  assert.equal(report.connections.clean, 2)
})

test('a handshake that opens after admission has stopped is told and closed at once', async () => {
  const rig = createRig()
  const job = work(rig.connect())
  void rig.start()
  await rig.clock.run(100)
  const late = rig.admit()
  assert.equal(late.connection.state, 'draining')
  await rig.clock.flush()
  assert.equal(late.connection.state, 'closed')
  job.done()
  const report = await rig.finish()
  assert.deepEqual([report.connections.total, report.connections.clean, report.connections.unfinished], [2, 2, 0])
})

test('a handshake that opens while the others are told gets one frame', async () => {
  let opened = false
  const rig = createRig({ onDrain: () => { if (!opened) { opened = true; rig.admit() } } })
  rig.crowd(3)
  const report = await rig.run()
  assert.equal(rig.frames.length, 4)
  assert.equal(report.connections.total, 4)
  assert.equal(report.connections.clean, 4)
})

test('a handshake that opens after the drain is closed at once, with code and delay', async () => {
  const rig = createRig()
  rig.crowd(2)
  await rig.run()
  const late = rig.admit()
  assert.equal(late.connection.state, 'closing')
  assert.equal(late.socket.closeFrame!.code, 1012)
  assert.match(late.socket.closeFrame!.reason, /^service restart; retry=\d+$/)
  await rig.clock.flush()
  assert.equal(late.connection.state, 'closed')
  assert.equal(rig.host.leftovers, 0)
})

test('a handshake that opens in the last moment of a drain that gives up does not stay open', async () => {
  const rig = createRig()
  rig.connect({ peer: 'silent' })
  void rig.start()
  await rig.clock.run(100)
  rig.drain.abort()
  const late = rig.admit()
  await rig.clock.run(rig.plan.timeout)
  assert.equal(late.connection.state, 'closed')
  assert.equal(rig.host.leftovers, 0)
})

// ——— the end of the budget

test('with everything hanging the drain ends at its timeout exactly', async () => {
  const never = new Promise(() => {})
  const rig = createRig({ cleanupTimeout: 600_000, onDrain: () => never })
  const pairs = [...rig.crowd(3), ...rig.crowd(3, { peer: 'silent' }), ...rig.crowd(3, { peer: 'stuck' })]
  for (const pair of pairs) {
    void pair.connection.track(never)
    pair.connection.defer(function first () { return never })
    pair.connection.defer(function last () { return never })
    pair.socket.bytesPending(1e6)
  }
  rig.drain.preClose(() => never)
  void rig.start()
  await rig.clock.run(rig.plan.timeout - 1)
  assert.notEqual(rig.drain.phase, 'done')
  const report = await rig.finish()
  assert.equal(report.duration, rig.plan.timeout)
  assert.equal(report.connections.total, 9)
  assert.equal(report.connections.unfinished, 0)
  assert.deepEqual(report.work, { inFlight: 9, finished: 0, abandoned: 9 })
  assert.equal(report.cleanups.abandoned.length, 18)
  assert.equal(rig.host.registry.size, 0)
  assert.equal(rig.host.deadlines.size, 0)
  assert.equal(rig.clock.pendingTimers, 0)
})

test('an event loop that stands still at the end makes the drain end as soon as it runs again', async () => {
  const rig = createRig()
  work(rig.connect())
  void rig.start()
  await rig.clock.run(2_000)
  rig.clock.stall(20_000)
  await rig.clock.run(1)
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.reports[0]!.connections.terminated, 1)
})

for (const [what, stall] of [['are cut off', 7_300], ['are given up', 9_000]] as const) {
  test(`those whose turn has not come when they ${what} get their frame first`, async () => {
    const rig = createRig()
    const pairs = rig.crowd(20)
    for (const pair of pairs) work(pair)
    void rig.start()
    await rig.clock.run(1_000)
    rig.clock.stall(stall - 1_000)
    await rig.clock.run(1)
    assert.equal(rig.drain.phase, 'done')
    for (const { socket } of pairs) {
      assert.equal(socket.closeFrame!.code, 1012)
      assert.match(socket.closeFrame!.reason, /^service restart; retry=\d+$/)
    }
    assert.equal(rig.reports[0]!.connections.causes.drain, 20)
  })
}

test('a raw socket that cannot be destroyed is reported as unfinished, and the drain ends in time', async () => {
  const rig = createRig()
  rig.host.transport.terminate = () => {}
  rig.connect({ peer: 'silent' })
  rig.connect()
  const report = await rig.run()
  assert.equal(report.duration, rig.plan.timeout)
  assert.deepEqual([report.connections.total, report.connections.clean, report.connections.terminated, report.connections.unfinished], [2, 1, 0, 1])
})
