/**
 * Hundreds of drains with mixed peers, from a seed: whatever happens, the rules hold.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { DRAIN_PHASES } from '../../lib/track/drain-report.ts'
import type { DrainTrigger } from '../../lib/track/drain-report.ts'
import { createRig, seeded } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'
import type { Job } from '../helpers/job.ts'
import type { Pair } from '../helpers/fake-host.ts'

const DRAINS = 600
const PER_TEST = 100
const REASON = /^service restart; retry=\d+$/

for (let first = 1; first <= DRAINS; first += PER_TEST) {
  test(`the rules hold in drains ${first} to ${first + PER_TEST - 1}`, async () => {
    for (let seed = first; seed < first + PER_TEST; seed++) {
      try {
        await simulate(seed)
      } catch (error) {
        throw new Error(`with seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
  })
}

async function simulate (seed: number): Promise<void> {
  const random = seeded(seed)
  const chance = (probability: number) => random() < probability
  const upTo = (most: number) => Math.floor(random() * (most + 1))
  const pick = <T>(values: readonly T[]): T => values[upTo(values.length - 1)]!

  const timeout = pick([50, 300, 1_000, 2_000, 5_000])
  const never = new Promise(() => {})
  const jobs: Job[] = []
  let over = false
  /** Connections held by an onDrain that never ends. */
  let neverEnding = 0
  /** A promise that ends after a while, or when the simulation is over. */
  const takesTime = () => {
    const job = createJob()
    jobs.push(job)
    if (over) job.done()
    if (chance(0.8)) later(upTo(timeout), () => { if (chance(0.2)) job.fail(new Error('no')); else job.done() })
    return job.promise
  }
  const frameCost = chance(0.3) ? random() / 5 : 0
  const spread = chance(0.3) ? upTo(timeout / 10) : pick([false, 'auto'] as const)
  const rig = createRig({
    timeout,
    settleDelay: chance(0.3) ? upTo(timeout / 2) : 0,
    spread,
    closeTimeout: chance(0.2) ? 1 + upTo(timeout / 10) : undefined,
    cleanupTimeout: pick([100, 1_000, 60_000]),
    frameCost,
    random,
    onDrain: () => {
      switch (upTo(9)) {
        case 0: throw new Error('no')
        case 1: return Promise.reject(new Error('no'))
        case 2: return takesTime()
        case 3: {
          if (chance(0.7)) return undefined
          neverEnding++
          return never
        }
        default: return undefined
      }
    }
  })
  const { clock, host } = rig
  const later = (delay: number, callback: () => void) => { clock.setTimeout(callback, delay) }

  // ——— the crowd
  const pairs: Pair[] = []
  const closings = new Map<number, number>()
  const closes = new Map<number, number>()
  const cleanups = { started: [] as number[], deferred: 0, deferredLate: 0 }
  host.events.on('closing', ({ id }) => { closings.set(id, (closings.get(id) ?? 0) + 1) })
  host.events.on('closed', ({ id }) => { closes.set(id, (closes.get(id) ?? 0) + 1) })

  function defer (pair: Pair): void {
    const index = cleanups.deferred++
    if (rig.drain.phase === 'done') cleanups.deferredLate++
    const kind = upTo(5)
    pair.connection.defer(() => {
      cleanups.started[index] = (cleanups.started[index] ?? 0) + 1
      if (kind === 0) throw new Error('no')
      if (kind === 1) return Promise.reject(new Error('no'))
      if (kind === 2) return takesTime()
      return kind === 3 && chance(0.3) ? never : undefined
    })
  }

  function live (pair: Pair): void {
    const { connection, socket } = pair
    pairs.push(pair)
    const kind = pick(['cooperative', 'cooperative', 'cooperative', 'silent', 'stuck', 'slow', 'leaves', 'vanishes', 'closes'] as const)
    socket.peer = kind === 'silent' || kind === 'slow' ? 'silent' : kind === 'stuck' ? 'stuck' : 'answers'
    if (kind === 'stuck') socket.bytesPending(1e6)
    if (kind === 'slow') later(upTo(timeout), () => { socket.peerAnswers() })
    if (kind === 'leaves') later(upTo(timeout), () => { if (!socket.destroyed) socket.peerCloses(1001) })
    if (kind === 'vanishes') later(upTo(timeout), () => { socket.rawGone() })
    if (kind === 'closes') later(upTo(timeout), () => { void connection.close(4000) })
    if (chance(0.3)) connection.track(takesTime()).catch(() => {})
    for (let i = upTo(3); i > 0; i--) defer(pair)
    if (chance(0.1)) later(upTo(timeout), () => { defer(pair) })
    if (chance(0.3)) later(upTo(timeout), () => { if (!socket.destroyed && connection.state !== 'closed') connection.track(takesTime()).catch(() => {}) })
  }

  // Up to a few more than the window.
  for (let i = upTo(chance(0.1) ? 100 : 12); i > 0; i--) live(rig.connect())
  await clock.run(upTo(50))
  const before = { ...host.registry.counters.cleanups }
  const { size } = host.registry
  const known = new Set(pairs.filter(({ connection }) => connection.state !== 'closed').map(({ connection }) => connection.id))

  // ——— the drain
  const startedAt = clock.now()
  let doneAt = -1
  let atDone: { deferred: number, total: number } | null = null
  host.events.on('drained', () => {
    doneAt = clock.now() - startedAt
    atDone = { deferred: cleanups.deferred, total: known.size }
  })
  const trigger = pick(['close', 'drain', 'SIGTERM'] as DrainTrigger[])
  if (chance(0.2)) rig.drain.preClose(() => pick([takesTime, () => never, () => undefined])())
  void rig.start(trigger)
  if (chance(0.3)) later(upTo(timeout), () => { void rig.drain.start('close') })
  const admittedAt = new Map<number, number>()
  for (let i = upTo(2); i > 0; i--) {
    later(upTo(timeout), () => {
      const pair = rig.admit({ peer: 'answers' })
      known.add(pair.connection.id)
      admittedAt.set(pair.connection.id, rig.elapsed)
      if (rig.drain.phase !== 'done') live(pair)
    })
  }
  if (chance(0.1)) later(upTo(timeout), () => { rig.drain.abort() })
  let stalled = 0
  if (chance(0.1)) later(upTo(timeout), () => { stalled = upTo(timeout); clock.stall(stalled) })

  await clock.run(timeout + 5)

  // ——— the rules
  const { plan, frames, progress } = rig
  assert.equal(rig.drain.phase, 'done', 'it is over')
  assert.equal(rig.reports.length, 1, 'one report')
  const report = rig.reports[0]!
  const { connections, work } = report
  // What takes time by itself, a stalled event loop or the last slice, cannot be interrupted.
  const late = stalled + (frameCost > 0 ? 3 : 0)
  assert.ok(doneAt <= timeout + late, `over after ${doneAt} of ${timeout} ms`)
  assert.equal(report.duration, Math.round(doneAt))
  assert.equal(report.trigger, trigger)
  assert.equal(report.timeout, timeout)

  assert.ok(connections.total >= size)
  assert.equal(connections.total, atDone!.total)
  assert.equal(connections.total, connections.clean + connections.terminated + connections.unfinished)
  // One that opens in the very last turn gets its frame, and the drain is over before it can answer.
  const inTheLastTurn = [...admittedAt.values()].filter((at) => Math.abs(at - doneAt) < 1).length
  assert.ok(connections.unfinished <= inTheLastTurn, 'every connection is closed')
  assert.equal(Object.values(connections.causes).reduce((sum, count) => sum + count, 0), connections.total - connections.unfinished)
  assert.ok(connections.leftByThemselves <= (connections.causes.client ?? 0))
  assert.ok(connections.leftByThemselves <= connections.clean)
  assert.equal(work.inFlight, work.finished + work.abandoned)
  assert.ok(work.finished >= 0 && work.abandoned >= 0)
  assert.ok(work.inFlight <= connections.total + host.registry.counters.opened, 'no more than ever opened')
  assert.ok(Math.abs(Object.values(report.phases).reduce((sum, time) => sum + time) - report.duration) < 1e-6)
  assert.ok(Object.values(report.phases).every((time) => time >= 0))
  const ran = report.cleanups.finished + report.cleanups.failed + report.cleanups.abandoned.length
  const total = before.finished + before.failed + before.abandoned + ran
  assert.ok(total <= atDone!.deferred)
  if (connections.unfinished === 0) assert.equal(total, cleanups.started.slice(0, atDone!.deferred).filter((count) => count === 1).length)

  // Phases in order, progress at a steady rate and never backwards.
  const phases = progress.map(({ phase }) => DRAIN_PHASES.indexOf(phase))
  assert.deepEqual(phases, phases.toSorted((a, b) => a - b))
  for (const [i, { elapsed, closed }] of progress.entries()) {
    if (i === 0) continue
    assert.ok(elapsed - progress[i - 1]!.elapsed <= 250 + late, 'progress is steady')
    assert.ok(closed >= progress[i - 1]!.closed)
  }

  // Frames: one each, with code and delay, in time.
  assert.equal(new Set(frames.map(({ connection }) => connection)).size, frames.length, 'one close frame each')
  for (const { at, code, reason, retry, connection } of frames) {
    if (code === 4000) continue
    assert.equal(code, 1012)
    assert.match(reason, REASON)
    assert.ok(retry >= 1_000 && retry <= 60_000)
    const lastFrameAt = timeout - plan.closeTimeout - plan.cleanupReserve
    // One that opens later than that gets its frame at once; a spread may be too short for what frames cost.
    const short = typeof spread === 'number' ? frames.length * frameCost : 0
    assert.ok(at <= Math.max(lastFrameAt, admittedAt.get(connection) ?? 0) + late + short, `a frame left after ${at} ms`)
  }

  // Every connection closes once, every cleanup of a closed one has run once.
  over = true
  for (const job of jobs) job.done()
  await clock.run(75_000)
  assert.ok(pairs.every(({ connection }) => connection.state === 'closed'))
  assert.ok(pairs.every(({ socket }) => socket.destroyed))
  assert.deepEqual(new Set(closes.values()), new Set(closes.size === 0 ? [] : [1]))
  assert.deepEqual(new Set(closings.values()), new Set(closings.size === 0 ? [] : [1]))
  assert.equal(closes.size, closings.size)
  assert.equal(cleanups.started.length, cleanups.deferred)
  assert.ok(cleanups.started.every((count) => count === 1), 'each cleanup ran once')

  // Nothing is left, but the work that never ends.
  assert.equal(host.registry.working, neverEnding)
  assert.equal(rig.reports.length, 1)
  assert.equal(rig.reports[0], report)
  assert.deepEqual(host.hooks.closed, [host.registry])
  assert.equal(host.registry.indexSize, 0)
  assert.equal(host.deadlines.size, 0)
  assert.equal(clock.pendingTimers, 0)
  assert.equal(clock.pendingImmediates, 0)
}
