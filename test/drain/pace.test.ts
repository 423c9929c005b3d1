import assert from 'node:assert/strict'
import test from 'node:test'
import { RUN } from '../../lib/base/clock.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { FIRST_WINDOW, HOLD, LEAST_WINDOW, Window, WINDOW } from '../../lib/drain/window.ts'
import { createRig, pacer, seeded, work } from '../helpers/drain-rig.ts'
import type { Rig } from '../helpers/drain-rig.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

/** How many frames left at each moment. */
function perMoment ({ frames }: Rig): Record<number, number> {
  const moments: Record<number, number> = {}
  for (const { at } of frames) moments[at] = (moments[at] ?? 0) + 1
  return moments
}

/** The longest run of frames without a turn of the event loop. */
function longestSlice (rig: Rig): number {
  let longest = 0
  while (rig.drain.phase !== 'done') {
    const before = rig.frames.length
    rig.clock.turn()
    longest = Math.max(longest, rig.frames.length - before)
    if (rig.clock.pendingImmediates === 0) rig.clock.stall(1)
  }
  return longest
}

/** Pauses between frames, milliseconds. */
function pauses ({ frames }: Rig): number[] {
  return frames.slice(1).map(({ at }, i) => at - frames[i]!.at)
}

// ——— the window

test('at first 32, at most 64 closing handshakes are unanswered within 10 ms', async () => {
  const rig = createRig()
  rig.crowd(600, { peer: 'silent' })
  await rig.run()
  assert.deepEqual([FIRST_WINDOW, WINDOW, HOLD], [32, 64, 10])
  assert.deepEqual(perMoment(rig), { 0: 32, 10: 32, 20: 64, 30: 64, 40: 64, 50: 64, 60: 64, 70: 64, 80: 64, 90: 64, 100: 24 })
})

test('a turn in which answers took long leaves fewer places, and it has them again when turns are short', () => {
  const clock = new FakeClock()
  const sent: ManagedConnection[] = []
  const pace = pacer(clock, Math.random, (connection) => { sent.push(connection) })
  pace.begin(0, 1, Infinity)
  pace.add(Array.from({ length: 3_000 }, (_, id) => ({ id, state: 'draining' }) as ManagedConnection))
  /** Answers to all that are under way take so long each; says how many frames follow them. */
  const turn = (each: number): number => {
    for (const connection of sent.splice(0)) {
      clock.stall(each)
      pace.answered(connection)
    }
    pace.pump(0)
    return sent.length
  }
  assert.deepEqual(Array.from({ length: 4 }, () => turn(0)), [32, 64, 64, 64])
  assert.deepEqual(Array.from({ length: 6 }, () => turn(0.5)), [32, 16, 16, 16, 16, 16])
  assert.deepEqual(Array.from({ length: 4 }, () => turn(0.1)), [32, 64, 64, 64])
  assert.deepEqual(Array.from({ length: 5 }, () => turn(10)), [32, 16, 8, 8, 8])
  assert.equal(LEAST_WINDOW, 8)
  clock.tick(60_000)
  assert.equal(turn(0), 16, 'waiting is not work')
})

test('after a turn in which answers took long an unanswered frame holds its place for twice as long as they took', () => {
  const clock = new FakeClock({ now: 0 })
  const window = new Window<number>(clock)
  window.open(0)
  for (let i = 0; i < FIRST_WINDOW; i++) window.add(i, 0)
  assert.equal(window.freeAt(0), HOLD)
  clock.stall(1)
  window.answered(0)
  clock.stall(30)
  window.open(31)
  assert.equal(window.freeAt(31), 60)
  // Answers that took no time: as at first.
  window.open(31)
  assert.equal(window.freeAt(31), null)
})

test('a place in the window is free again as soon as a peer answers', async () => {
  const rig = createRig()
  const pairs = rig.crowd(FIRST_WINDOW + 6, { peer: 'silent' })
  void rig.start()
  await rig.clock.flush()
  assert.equal(rig.frames.length, FIRST_WINDOW)
  pairs.find(({ connection }) => connection.state === 'closing')!.socket.peerAnswers()
  await rig.clock.flush()
  // Its own, and one more: that turn was short.
  assert.equal(rig.frames.length, FIRST_WINDOW + 2)
  assert.equal(rig.elapsed, 0)
})

test('a place in the window is free again when a peer vanishes', async () => {
  const rig = createRig()
  const pairs = rig.crowd(FIRST_WINDOW + 6, { peer: 'silent' })
  void rig.start()
  await rig.clock.flush()
  pairs.find(({ connection }) => connection.state === 'closing')!.socket.rawGone()
  await rig.clock.flush()
  assert.equal(rig.frames.length, FIRST_WINDOW + 2)
})

test('silent peers do not slow the others down', async () => {
  const rig = createRig()
  rig.crowd(1_000)
  rig.crowd(WINDOW, { peer: 'silent' })
  await rig.run()
  // At worst all places are taken at once.
  assert.ok(rig.frames.at(-1)!.at <= HOLD)
})

test('where others keep the event loop busy, the window is as large as it must be for the last frame to be in time', () => {
  for (const [crowd, work] of [[18_500, 12], [10_000, 30], [3_000, 100], [5_000, 40]] as const) {
    const clock = new FakeClock()
    const unanswered: ManagedConnection[] = []
    let sent = 0
    let lastAt = 0
    let most = 0
    const pace = pacer(clock, seeded(1), (connection) => {
      unanswered.push(connection)
      sent++
      lastAt = clock.now()
      clock.stall(0.02)
    })
    const until = clock.now() + 5_600
    pace.begin(0, 1, until)
    pace.add(Array.from({ length: crowd }, (_, id) => ({ id, state: 'draining' }) as ManagedConnection))
    while (pace.queued > 0) {
      const before = sent
      if (pace.pump(0) !== 'soon' && sent === before) clock.tick(1)
      most = Math.max(most, sent - before)
      clock.stall(work)
      for (const connection of unanswered.splice(0)) pace.answered(connection)
    }
    assert.ok(lastAt <= until, `${crowd} with ${work} ms: ${lastAt - until} ms late`)
    assert.ok(lastAt >= until / 2 || most > WINDOW / 2, 'no more in a turn than there must be')
    assert.ok(most <= WINDOW)
  }
})

test('work before the first frame is not laid to the answers', () => {
  const clock = new FakeClock()
  let sent = 0
  const pace = pacer(clock, seeded(1), () => { sent++ })
  pace.begin(0, 1, Infinity)
  for (let i = 0; i < 20; i++) {
    clock.stall(50)
    pace.pump(0)
  }
  pace.add(Array.from({ length: 500 }, (_, id) => ({ id, state: 'draining' }) as ManagedConnection))
  clock.stall(50)
  pace.pump(0)
  assert.equal(sent, FIRST_WINDOW)
})

// ——— slices

test('close frames go out in slices of 2 ms, and input is read between them', async () => {
  const rig = createRig({ frameCost: 0.5 })
  rig.crowd(50)
  void rig.start()
  assert.equal(longestSlice(rig), 4)
  assert.equal(rig.frames.length, 50)
})

test('a frame that takes longer than a slice goes out alone', () => {
  const rig = createRig({ frameCost: 3 })
  rig.crowd(20)
  void rig.start()
  assert.equal(longestSlice(rig), 1)
})

test('frames that are late go out in slices of 17 ms', () => {
  const rig = createRig({ frameCost: 0.5, timeout: 1_000 })
  const pairs = rig.crowd(200, { peer: 'silent' })
  for (const pair of pairs) work(pair)
  void rig.start()
  rig.clock.turn()
  rig.clock.turn()
  rig.clock.stall(700)
  assert.equal(longestSlice(rig), 34)
  assert.equal(rig.frames.length, 200)
})

// ——— order

test('the order of the frames is jittered', async () => {
  const order = async (seed: number) => {
    const rig = createRig({ random: seeded(seed) })
    const first = rig.crowd(100)[0]!.connection.id
    await rig.run()
    return rig.frames.map(({ connection }) => connection - first)
  }
  const one = await order(1)
  const two = await order(2)
  assert.deepEqual(await order(1), one)
  assert.notDeepEqual(one, two)
  const inOrder = Array.from({ length: 100 }, (_, i) => i)
  for (const jittered of [one, two]) {
    assert.notDeepEqual(jittered, inOrder)
    assert.deepEqual(jittered.toSorted((a, b) => a - b), inOrder)
  }
})

test('in a crowd runs of 64 neighbours stay together: in which order they go, and within them, is chance', async () => {
  const rig = createRig({ random: seeded(5) })
  const first = rig.crowd(20 * RUN)[0]!.connection.id
  await rig.run()
  const order = rig.frames.map(({ connection }) => connection - first)
  const runs = Array.from({ length: 20 }, (_, i) => order.slice(i * RUN, (i + 1) * RUN))
  const places = runs.map((run) => Math.floor(run[0]! / RUN))
  for (const [i, run] of runs.entries()) {
    assert.ok(run.every((place) => Math.floor(place / RUN) === places[i]), `run ${i}`)
    assert.notDeepEqual(run, run.toSorted((a, b) => a - b))
  }
  assert.notDeepEqual(places, places.toSorted((a, b) => a - b))
})

test('every order is as likely as any other', async () => {
  const random = seeded(42)
  const seen = new Map<string, number>()
  for (let i = 0; i < 600; i++) {
    const rig = createRig({ random })
    const first = rig.crowd(3)[0]!.connection.id
    await rig.run()
    const order = rig.frames.map(({ connection }) => connection - first).join('')
    seen.set(order, (seen.get(order) ?? 0) + 1)
  }
  // Six orders, 100 of each expected; 60 is four standard deviations away.
  assert.equal(seen.size, 6)
  assert.ok([...seen.values()].every((count) => count > 60), `${[...seen.values()]}`)
})

test('connections without work go first', async () => {
  const rig = createRig()
  const busy = rig.crowd(50)
  const jobs = busy.map(work)
  rig.crowd(200, { peer: 'silent' })
  void rig.start()
  await rig.clock.flush()
  // The idle ones still wait for a place in the window.
  assert.ok(rig.frames.length < 200)
  for (const job of jobs) job.done()
  await rig.finish()
  const ids = new Set(busy.map(({ connection }) => connection.id))
  const firstBusy = rig.frames.findIndex(({ connection }) => ids.has(connection))
  assert.equal(firstBusy, 200)
})

test('a connection that begins to work while it waits for its turn is given grace', async () => {
  const rig = createRig()
  const pairs = rig.crowd(WINDOW + 6, { peer: 'silent' })
  void rig.start()
  await rig.clock.flush()
  const waiting = pairs.find(({ connection }) => connection.state === 'draining')!
  const job = work(waiting)
  await rig.clock.run(500)
  assert.equal(waiting.connection.state, 'draining')
  job.done()
  const report = await rig.finish()
  assert.equal(rig.frames.find(({ connection }) => connection === waiting.connection.id)!.at, 500)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('hundreds of thousands of connections can be queued', () => {
  const pace = pacer(new FakeClock(), Math.random, () => {})
  pace.add(new Array<ManagedConnection>(300_000).fill({ state: 'closed' } as ManagedConnection))
  assert.equal(pace.queued, 300_000)
})

// ——— never late

for (const [timeout, silent, frameCost] of [[8_000, 10_000, 0.03], [1_000, 8_000, 0.03], [300, 4_000, 0.03], [2_000, 12_000, 0.03]] as const) {
  test(`with ${silent} silent peers and ${timeout} ms the last frame leaves in time`, async () => {
    const rig = createRig({ timeout, frameCost })
    rig.crowd(silent, { peer: 'silent' })
    const report = await rig.run()
    const { closeTimeout, cleanupReserve } = rig.plan
    assert.equal(rig.frames.length, silent)
    assert.ok(rig.frames.at(-1)!.at <= timeout - closeTimeout - cleanupReserve, `the last one left after ${rig.frames.at(-1)!.at} ms`)
    assert.ok(report.duration <= timeout)
    assert.equal(report.connections.terminated, silent)
  })
}

test('thousands that work until grace ends get their frame in time', async () => {
  const rig = createRig({ timeout: 1_000, frameCost: 0.03 })
  const pairs = rig.crowd(4_000, { peer: 'silent' })
  for (const { connection } of pairs) connection.work.start()
  const report = await rig.run()
  const { grace, spread, closeTimeout, cleanupReserve, timeout } = rig.plan
  // To close so many takes longer than the plan keeps back; work has half of the time all the same.
  assert.equal(rig.frames[0]!.at, (grace + spread) / 2)
  assert.ok(rig.frames.at(-1)!.at <= timeout - closeTimeout - cleanupReserve, `the last one left after ${rig.frames.at(-1)!.at} ms`)
  assert.equal(report.work.abandoned, 4_000)
})

test('a pace that is on time keeps its window', async () => {
  // 1,000 silent peers need 40 ms of the 5,600 there are.
  const rig = createRig()
  rig.crowd(1_000, { peer: 'silent' })
  await rig.run()
  assert.ok(Object.values(perMoment(rig)).every((count) => count <= WINDOW), 'a moment with more')
})

// ——— an even spread

test('with a spread the frames leave evenly over it', async () => {
  const rig = createRig({ spread: 2_000 })
  rig.crowd(100)
  await rig.run()
  assert.deepEqual(new Set(pauses(rig)), new Set([20]))
  assert.equal(rig.frames[0]!.at, 0)
  assert.equal(rig.frames.at(-1)!.at, 1_980)
})

test('a spread of 0 is as fast as the window', async () => {
  const rig = createRig({ spread: 0 })
  rig.crowd(100)
  await rig.run()
  assert.equal(rig.elapsed, rig.plan.timeout)
  assert.equal(rig.frames.at(-1)!.at, 0)
})

test('thousands are spread evenly too, though a timer counts whole milliseconds', async () => {
  const rig = createRig({ spread: 2_000 })
  rig.crowd(8_000)
  await rig.run()
  const counts = Object.values(perMoment(rig))
  assert.ok(Math.max(...counts) <= 5, `${Math.max(...counts)} in one millisecond`)
  assert.ok(rig.frames.at(-1)!.at >= 1_990 && rig.frames.at(-1)!.at <= 2_001)
})

test('those that work until grace ends are spread evenly as well', async () => {
  const rig = createRig({ spread: 2_000 })
  rig.crowd(50)
  for (const pair of rig.crowd(50)) work(pair)
  const report = await rig.run()
  const { grace, spread } = rig.plan
  const after = rig.frames.filter(({ at }) => at >= grace)
  assert.equal(after.length, 50)
  assert.ok(after.at(-1)!.at <= grace + spread)
  // 50 of 100 have at least their half of the spread.
  assert.ok(after.at(-1)!.at - after[0]!.at >= spread / 2 - 40, `${after.length} frames within ${after.at(-1)!.at - after[0]!.at} ms`)
  assert.equal(report.work.abandoned, 50)
})

test('one that leaves while it waits for its turn does not make the others late', async () => {
  const rig = createRig({ spread: 2_000 })
  const pairs = rig.crowd(100)
  void rig.start()
  await rig.clock.run(500)
  for (const { socket, connection } of pairs) if (connection.state === 'draining') socket.peerCloses(1000)
  await rig.clock.flush()
  assert.equal(rig.drain.phase, 'done')
  assert.equal(rig.reports[0]!.duration, 500)
})

// ——— late: spread shrinks first, then grace

test('a drain that is late shortens the spread, not the grace', async () => {
  // settle 1000 · grace 2600 · spread 2000 · last frame at 5600
  const rig = createRig({ settleDelay: 1_000, spread: 2_000 })
  const job = work(rig.connect())
  void rig.start()
  rig.clock.stall(2_500)
  await rig.clock.run(2_500)
  job.done()
  const report = await rig.finish()
  assert.equal(rig.plan.grace, 2_600)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.equal(rig.frames[0]!.at, 5_000)
})

test('a drain that is later than its spread is long shortens the grace too', async () => {
  const rig = createRig({ settleDelay: 1_000, spread: 2_000 })
  work(rig.connect())
  void rig.start()
  rig.clock.stall(5_000)
  const report = await rig.finish()
  assert.equal(rig.frames[0]!.at, 5_600)
  assert.equal(report.work.abandoned, 1)
})

test('what is left of a spread is used evenly', async () => {
  const rig = createRig({ settleDelay: 1_000, spread: 2_000 })
  rig.crowd(100)
  void rig.start()
  rig.clock.stall(5_000)
  await rig.finish()
  // 600 ms for 100 frames, in whole milliseconds; no heap at the end.
  assert.ok(rig.frames.at(-1)!.at <= 5_600)
  assert.ok(Math.max(...Object.values(perMoment(rig))) <= 2, JSON.stringify(perMoment(rig)))
})

test('a drain that is too late for everything sends its frames at once', async () => {
  const rig = createRig({ settleDelay: 1_000, spread: 2_000 })
  rig.crowd(100)
  void rig.start()
  rig.clock.stall(6_000)
  const report = await rig.finish()
  assert.equal(rig.frames.length, 100)
  assert.ok(rig.frames.every(({ at }) => at === 6_000))
  assert.equal(report.connections.clean, 100)
})

// ——— gaps, and what is let go of

/** A pace on its own: every frame takes no time, and no peer answers. */
function createPace (gap: number, until = Infinity) {
  const clock = new FakeClock()
  const sent: number[] = []
  const pace = pacer(clock, seeded(1), () => { sent.push(clock.now() - start) })
  const start = clock.now()
  pace.begin(gap, 1, start + until)
  return { clock, pace, sent, add: (size: number) => { pace.add(waiting(size)) } }
}

const waiting = (size: number) => Array.from({ length: size }, (_, id) => ({ id, state: 'draining' }) as ManagedConnection)

test('a pace that was cleared has an empty queue, and all places for what is added then', () => {
  const { pace, sent, add } = createPace(0)
  add(100)
  pace.pump(0)
  assert.equal(sent.length, FIRST_WINDOW)
  pace.clear()
  assert.equal(pace.queued, 0)
  add(FIRST_WINDOW)
  pace.pump(0)
  assert.equal(sent.length, 2 * FIRST_WINDOW)
})

test('one that is added while others wait makes none of them late', () => {
  const { clock, pace, sent, add } = createPace(10)
  add(10)
  pace.pump(0)
  clock.stall(50)
  add(1)
  pace.pump(0)
  assert.deepEqual(sent, [0, 50, 50, 50, 50, 50])
})

test('one that is added when no other waits keeps its distance to the frame before', () => {
  const { clock, pace, sent, add } = createPace(100)
  for (let i = 0; i < 4; i++) {
    add(1)
    pace.pump(0)
  }
  for (let i = 0; i < 4; i++) {
    clock.pass(100)
    pace.pump(0)
  }
  assert.deepEqual(sent, [0, 100, 200, 300])
})

test('the turn of one that has left goes to the next: a spread ends the sooner', async () => {
  const rig = createRig({ spread: 2_000 })
  const pairs = rig.crowd(100)
  void rig.start()
  await rig.clock.run(990)
  const open = pairs.filter(({ connection }) => connection.state === 'draining')
  assert.equal(open.length, 50)
  for (const { socket } of open.slice(25)) socket.peerCloses(1000)
  await rig.finish()
  assert.equal(rig.frames.length, 75)
  assert.equal(rig.frames.at(-1)!.at, 1_480)
})

test('time between frames, or without any that waits, is not what a turn takes', () => {
  const { clock, pace, sent, add } = createPace(0, 60_000)
  for (let i = 0; i < 40; i++) {
    clock.pass(1_000)
    pace.pump(0)
  }
  add(1_000)
  pace.pump(0)
  assert.equal(sent.length, FIRST_WINDOW)
})

test('a spread makes what is expected of cutting off no longer', () => {
  const { clock, pace, sent, add } = createPace(1_000)
  const before = pace.toCut(1_000, 15)
  add(20)
  while (sent.length < 20) {
    pace.pump(0)
    clock.pass(1_000)
  }
  assert.ok(pace.toCut(1_000, 15) <= before, `${pace.toCut(1_000, 15)} instead of ${before} ms`)
})
