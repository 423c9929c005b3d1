/**
 * Drains of processes that get little CPU, or whose application keeps the event loop to itself: `timeout` is a bound all the same.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { LONG_SLICE, SLICE } from '../../lib/base/clock.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import type { DrainReport } from '../../lib/track/drain-report.ts'
import { CutOff } from '../../lib/drain/cut-off.ts'
import type { DrainHost } from '../../lib/drain/host.ts'
import type { CloseFrames } from '../../lib/drain/close-frame.ts'
import type { Pace } from '../../lib/drain/pace.ts'
import { Throughput } from '../../lib/drain/throughput.ts'
import { FIRST_WINDOW, WINDOW, Window } from '../../lib/drain/window.ts'
import { createRig, pacer, seeded } from '../helpers/drain-rig.ts'
import type { Rig, RigOptions } from '../helpers/drain-rig.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

/** What a close frame and the end of a raw socket take, milliseconds of CPU. */
const COSTS = { frameCost: 0.03, cutCost: 0.03 }

interface Starved {
  report: DrainReport
  /** Most CPU time of one turn, milliseconds. */
  longest: number
}

/** Drains; `busy` is how long the application is at work in each turn. */
async function drain (rig: Rig, busy = 0): Promise<Starved> {
  const { clock } = rig
  const { turn } = clock
  let longest = 0
  let before = clock.cpu()
  clock.turn = () => {
    turn.call(clock)
    longest = Math.max(longest, clock.cpu() - before)
    if (rig.drain.phase !== 'done') clock.stall(busy)
    before = clock.cpu()
  }
  void rig.start()
  await clock.run(2 * rig.plan.timeout)
  return { report: rig.reports[0]!, longest }
}

function crowded (size: number, share: number, options: RigOptions = {}, peer: 'answers' | 'silent' | 'stuck' = 'answers'): Rig {
  const rig = createRig({ ...COSTS, ...options })
  rig.crowd(size, { peer })
  rig.clock.share = share
  return rig
}

for (const spread of [false, 'auto'] as const) {
  for (const [size, share] of [[5_000, 0.1], [2_000, 0.05], [20_000, 1]] as const) {
    for (const peer of ['answers', 'silent', 'stuck'] as const) {
      test(`${size} connections of which the peer ${peer}, with ${share * 100} % of the CPU and spread ${spread}, are drained in time, in turns of 50 ms at most`, async () => {
        const { report, longest } = await drain(crowded(size, share, { spread }, peer))
        assert.ok(report.duration <= report.timeout, `${report.duration} ms`)
        assert.equal(report.connections.unfinished, 0)
        assert.ok(longest <= 50, `${longest} ms of CPU in one turn`)
      })
    }
  }
}

test('where turns of the event loop come late, clients whose turns do not fit are closed sooner, and each is told', async () => {
  const told = async (busy: number) => {
    const rig = crowded(2_500, 1, { spread: 'auto' })
    const { report } = await drain(rig, busy)
    assert.ok(report.duration <= report.timeout, `${report.duration} ms`)
    assert.equal(rig.frames.length, 2_500)
    return rig.frames.filter(({ at }) => at < 4_000).length
  }
  // 200 a second where they do not.
  assert.equal(await told(0), 800)
  assert.ok(await told(95) > 1_000)
})

test('8,000 connections are drained in 3 s though the application is at work for 95 of 100 ms, and each is told', async () => {
  const rig = crowded(8_000, 1, { timeout: 3_000, frameCost: 0.02, cutCost: 0.02 })
  const { report, longest } = await drain(rig, 95)
  assert.ok(report.duration <= 3_000, `${report.duration} ms`)
  assert.equal(rig.frames.length, 8_000)
  assert.ok(longest <= 50, `${longest} ms of CPU in one turn`)
})

test('4,000 connections that never answer are cut off in time though the application is at work for 95 of 100 ms', async () => {
  const rig = crowded(4_000, 1, { timeout: 3_000, frameCost: 0.02, cutCost: 0.02 }, 'silent')
  const { report, longest } = await drain(rig, 95)
  assert.ok(report.duration <= 3_000, `${report.duration} ms`)
  assert.equal(rig.frames.length, 4_000)
  assert.ok(longest <= 50, `${longest} ms of CPU in one turn`)
})

test('no client goes without its code because the first frames, whose code is not compiled yet, take longest', async () => {
  const rig = crowded(8_000, 1, { timeout: 3_000, frameCost: (before) => before < 1_500 ? 0.1 : 0.01, cutCost: 0.02 })
  const { report } = await drain(rig, 95)
  assert.ok(report.duration <= 3_000, `${report.duration} ms`)
  assert.equal(rig.frames.length, 8_000)
})

test('where turns come late, connections are notified in longer slices', async () => {
  const notified = async (busy: number) => {
    const rig = createRig({ timeout: 3_000 })
    rig.crowd(8_000)
    rig.host.events.on('draining', () => { rig.clock.stall(0.005) })
    await drain(rig, busy)
    return rig.reports[0]!.phases.notify
  }
  // 40 ms of work: 20 turns, and those that look for input.
  assert.ok(await notified(0) < 50)
  assert.ok(await notified(95) < 800, `${await notified(95)} ms`)
})

for (const [frameCost, told] of [[1, 625], [0.1, 1_000]] as const) {
  test(`when the time is up ${told} close frames of ${frameCost} ms still go out, and no more`, async () => {
    const rig = createRig({ timeout: 1_000, frameCost })
    rig.crowd(1_000)
    // The event loop stands still from the start of the drain to its end.
    void rig.start()
    rig.clock.stall(1_000)
    await rig.clock.run(1_000)
    assert.equal(rig.frames.length, told)
    assert.equal(rig.reports[0]!.connections.unfinished, 0)
  })
}

test('where there is no time for close frames they are given up, and the drain ends in time', async () => {
  // Frames and ends take 6 s of the 5, ends alone 3 s.
  const rig = crowded(1_000, 0.01, { timeout: 5_000 }, 'silent')
  const { report } = await drain(rig)
  assert.ok(report.duration <= 5_500, `${report.duration} ms`)
  assert.equal(report.connections.unfinished, 0)
  assert.ok(rig.frames.length > 0 && rig.frames.length < 1_000, `${rig.frames.length} frames`)
})

for (const [what, cleanup] of [['synchronous', () => {}], ['hanging', () => new Promise(() => {})]] as const) {
  test(`where there is no time for all connections, ${what} cleanups come first; the report comes after half of the reserve, and the rest is cut off behind it`, async () => {
    const rig = crowded(2_000, 0.1, { timeout: 2_000, reserve: 2_000, frameCost: 0.5, cutCost: 0.5 }, 'silent')
    let cleaned = 0
    for (const { connection } of rig.crowd(20, { peer: 'silent' })) {
      connection.defer(() => {
        cleaned++
        return cleanup()
      })
    }
    let cleanedInTime = 0
    rig.host.events.on('drained', () => { cleanedInTime = cleaned })
    const { report, longest } = await drain(rig)
    assert.ok(report.duration > 2_000 && report.duration <= 3_100, `${report.duration} ms`)
    assert.equal(cleanedInTime, 20)
    const { total, unfinished } = report.connections
    assert.equal(total, 2_020)
    assert.ok(unfinished > 1_000, `${unfinished}`)
    assert.ok(longest <= 50, `${longest} ms of CPU in one turn`)
    await rig.clock.run(30_000)
    assert.equal(rig.host.registry.size, 0)
    assert.equal(rig.records.length, 2_020)
    assert.equal(rig.reports.length, 1)
  })
}

test('close listeners of connections that are cut off behind the report send to no other connection either', async () => {
  const rig = crowded(2_000, 0.1, { timeout: 2_000, reserve: 2_000, frameCost: 0.5, cutCost: 0.5 }, 'silent')
  let sent = 0
  rig.host.events.on('closing', () => { if (!rig.host.suppression.applies(null)) sent++ })
  const { report } = await drain(rig)
  assert.ok(report.connections.unfinished > 1_000)
  await rig.clock.run(30_000)
  assert.equal(rig.records.length, 2_000)
  assert.equal(sent, 0)
  assert.ok(report.suppressed > 0)
  // When the last one has closed, the suppression is over.
  const { connection } = rig.connect()
  rig.host.suppression.call(connection, () => { assert.equal(rig.host.suppression.applies(null), false) })
})

test('what is left is cut off behind the report in short turns, as onClose hooks run beside it', () => {
  const { host: { registry }, clock, drain, ...rig } = createRig({ timeout: 1_000, reserve: 1_000, cutCost: 1 })
  rig.crowd(2_000, { peer: 'silent' })
  void rig.start()
  clock.stall(1_000)
  const longestTurn = (goesOn: () => boolean) => {
    let longest = 0
    while (goesOn()) {
      const before = clock.cpu()
      clock.turn()
      longest = Math.max(longest, clock.cpu() - before)
    }
    return longest
  }
  assert.equal(longestTurn(() => drain.phase !== 'done'), LONG_SLICE)
  assert.ok(registry.size > 1_000)
  assert.equal(longestTurn(() => registry.size > 0), SLICE)
})

test('a process that stands still until long after its drain closes every connection when it goes on', async () => {
  const rig = createRig({ timeout: 1_000, reserve: 1_000, frameCost: 0.02, cutCost: 0.02 })
  rig.crowd(2_000)
  void rig.start()
  rig.clock.stall(10_000)
  await rig.clock.run(1_000)
  assert.equal(rig.reports[0]!.connections.unfinished, 0)
  assert.equal(rig.records.length, 2_000)
})

for (const reserve of [0, 4]) {
  test(`with a reserve of ${reserve} ms cleanups that hang are given up and named as with any other`, async () => {
    const rig = createRig({ timeout: 1_000, reserve })
    for (const { connection } of rig.crowd(50)) connection.defer(() => new Promise(() => {}))
    const report = await rig.run()
    assert.equal(report.cleanups.abandoned.length, 50)
    assert.equal(report.connections.unfinished, 0)
  })
}

test('where notifying all connections takes longer than the drain, the rest is closed without it', async () => {
  const rig = createRig({ timeout: 2_000, reserve: 2_000 })
  rig.crowd(1_000)
  let notified = 0
  rig.host.events.on('draining', () => {
    notified++
    rig.clock.stall(10)
  })
  const { report } = await drain(rig)
  assert.ok(report.duration <= report.timeout, `${report.duration} ms`)
  assert.equal(report.connections.unfinished, 0)
  assert.ok(notified > 100 && notified < 200, `${notified}`)
})

test('a process with time enough closes every connection in full, however little CPU it has', async () => {
  const { report } = await drain(crowded(2_000, 0.05, { timeout: 60_000 }))
  assert.equal(report.connections.clean, 2_000)
})

test('cleanups that hang are given up in turns of 50 ms at most', async () => {
  const rig = createRig({ timeout: 1_000 })
  let given = 0
  rig.host.events.on('closed', () => { rig.clock.stall(0.1) })
  for (const { connection } of rig.crowd(3_000)) {
    connection.defer(() => {
      given++
      return new Promise(() => {})
    })
  }
  const { report, longest } = await drain(rig)
  assert.equal(given, 3_000)
  assert.equal(report.cleanups.abandoned.length, 3_000)
  assert.ok(longest <= 50, `${longest} ms of CPU in one turn`)
})

// ——— the pace

const waiting = (size: number) => Array.from({ length: size }, (_, id) => ({ id, state: 'draining' }) as ManagedConnection)

test('answers that are slow because others have the CPU leave the window as it is', () => {
  const clock = new FakeClock()
  const sent: ManagedConnection[] = []
  const pace = pacer(clock, seeded(1), (connection) => { sent.push(connection) })
  pace.begin(0, 1, Infinity)
  pace.add(waiting(2_000))
  const turn = (): number => {
    for (const connection of sent.splice(0)) {
      clock.stall(0.03)
      pace.answered(connection)
    }
    pace.pump(0)
    return sent.length
  }
  assert.equal(turn(), FIRST_WINDOW)
  clock.share = 0.02
  assert.deepEqual(Array.from({ length: 4 }, turn), [WINDOW, WINDOW, WINDOW, WINDOW])
})

test('answers that take long keep places from being free before they can be read', () => {
  const clock = new FakeClock()
  const window = new Window<number>(clock)
  const start = clock.now()
  window.open(start)
  for (let i = 0; i < FIRST_WINDOW; i++) window.add(i, start)
  window.answered(0)
  clock.stall(20)
  window.open(clock.now())
  assert.equal(window.freeAt(clock.now()), start + 40)
})

test('CPU time that other threads use is not that of the answers', () => {
  const clock = new FakeClock()
  const window = new Window<number>(clock)
  window.open(clock.now())
  for (let i = 0; i < FIRST_WINDOW; i++) window.add(i, clock.now())
  window.answered(0)
  // Four threads at work for 5 ms.
  clock.share = 4
  clock.stall(20)
  window.open(clock.now())
  assert.equal(window.freeAt(clock.now()), null)
})

test('where others keep the event loop busy, as many frames leave in a turn as it takes, for 17 ms at most', () => {
  for (const [crowd, work, needed] of [[18_500, 95, 330], [5_000, 100, 91]] as const) {
    const clock = new FakeClock()
    let most = 0
    let sent = 0
    const pace = pacer(clock, seeded(1), () => {
      sent++
      clock.stall(0.03)
    })
    const until = clock.now() + 5_600
    pace.begin(0, 1, until)
    pace.add(waiting(crowd))
    while (pace.queued > 0) {
      const before = sent
      const startedAt = clock.now()
      pace.pump(0)
      most = Math.max(most, sent - before)
      assert.ok(clock.now() - startedAt <= LONG_SLICE + 0.1)
      clock.stall(work)
    }
    assert.ok(clock.now() - work <= until, `${crowd} with ${work} ms: ${clock.now() - until} ms late`)
    assert.ok(most <= 2 * needed, `${most} in one turn`)
  }
})

// ——— what is expected

test('what cutting off will take follows from turns: their length, and how much CPU they get', () => {
  const expected = (share: number, other: number) => {
    const clock = new FakeClock()
    const turns = new Throughput(clock)
    clock.share = share
    for (let i = 0; i < 50; i++) {
      turns.begin()
      clock.stall(2)
      turns.end(100, true, clock.now())
      clock.stall(other)
    }
    turns.begin()
    return turns.toCut(1_000, LONG_SLICE)
  }
  const atRest = expected(1, 0)
  assert.ok(atRest >= 30 && atRest <= 80, `${atRest}`)
  const starved = expected(0.1, 0)
  assert.ok(starved >= 5 * atRest && starved <= 10 * atRest, `${starved}`)
  // Other threads use CPU time as well.
  assert.ok(expected(4, 0) >= atRest)
  // 1,000 are cut off in three turns.
  const busy = expected(1, 95)
  assert.ok(busy >= 100 && busy <= 400, `${busy}`)
})

test('a turn that comes before a frame is due has not made it wait', () => {
  const clock = new FakeClock()
  const turns = new Throughput(clock)
  turns.begin()
  turns.end(1, false, clock.now() + 100)
  turns.begin()
  assert.equal(turns.interval, 0)
})

test('cutting off begins in time for those whose raw sockets are there', () => {
  const host = { registry: { size: 10, cleaning: { size: 4 } } } as unknown as DrainHost
  const pace = { longSlice: LONG_SLICE, toCut: (count: number, slice: number) => count * slice } as unknown as Pace
  const moments = { graceEnd: 0, lastFrameAt: 0, cutAt: 950, endAt: 1_000 }
  assert.equal(new CutOff(host, pace, {} as CloseFrames).at(moments), 1_000 - 1.25 * 6 * LONG_SLICE)
  assert.equal(new CutOff(host, { toCut: () => 1 } as unknown as Pace, {} as CloseFrames).at(moments), 950)
})

test('before anything was measured a few are expected to take no time', () => {
  assert.ok(new Throughput(new FakeClock()).toCut(100, LONG_SLICE) < 10)
})
