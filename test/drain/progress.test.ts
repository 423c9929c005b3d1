/**
 * The event `progress`: when it is emitted, and what it says.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createRig, work } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'
import type { Rig } from '../helpers/drain-rig.ts'

/** Milliseconds between one progress and the next. */
function pauses ({ progress }: Rig): number[] {
  return progress.slice(1).map(({ elapsed }, i) => elapsed - progress[i]!.elapsed)
}

test('progress is told at every change of phase and four times a second', async () => {
  const rig = createRig()
  rig.connect({ peer: 'silent' }).connection.defer(() => new Promise(() => {}))
  const job = work(rig.connect())
  void rig.start()
  await rig.clock.run(1_100)
  job.done()
  await rig.finish()
  assert.deepEqual(rig.progress.slice(0, 8).map(({ elapsed, phase }) => [elapsed, phase]), [
    [0, 'notify'], [0, 'grace'], [250, 'grace'], [500, 'grace'], [750, 'grace'], [1_000, 'grace'], [1_100, 'close'], [1_350, 'close']
  ])
  assert.ok(Math.max(...pauses(rig)) <= 250)
  assert.equal(rig.progress.at(-1)!.phase, 'done')
})

test('progress is told four times a second while settling too', async () => {
  const rig = createRig({ settleDelay: 1_100 })
  rig.connect()
  void rig.start()
  await rig.finish()
  assert.deepEqual(rig.progress.map(({ elapsed, phase }) => [elapsed, phase]), [
    [0, 'settle'], [250, 'settle'], [500, 'settle'], [750, 'settle'], [1_000, 'settle'], [1_100, 'notify'], [1_100, 'grace'],
    [1_100, 'close'], [1_100, 'done']
  ])
  assert.equal(rig.clock.pendingTimers, 0)
})

test('progress says how many are left, work, wait for their frame, and are closed', async () => {
  const rig = createRig({ timeout: 4_000, spread: 1_000 })
  rig.crowd(10)
  work(rig.connect())
  const cleanup = createJob()
  const last = rig.connect({ peer: 'silent' })
  last.connection.defer(() => cleanup.promise)
  void rig.start()
  await rig.clock.run(400)
  const { progress } = rig
  assert.deepEqual(progress[1], { phase: 'grace', elapsed: 0, timeout: 4_000, connections: 12, working: 1, queued: 0, closed: 0 })
  const now = progress.at(-1)!
  assert.equal(now.elapsed, 250)
  assert.equal(now.timeout, 4_000)
  assert.equal(now.working, 1)
  // 250 ms of a second for 12: four frames have left. The one that works waits for its frame, too.
  assert.equal(now.queued, 12 - 4)
  assert.equal(now.connections + now.closed, 12)
  await rig.finish()
  assert.deepEqual(progress.at(-1), { phase: 'done', elapsed: 4_000, timeout: 4_000, connections: 0, working: 0, queued: 0, closed: 12 })
})

test('a drain that goes fast is told of as well', async () => {
  const rig = createRig()
  rig.crowd(3)
  await rig.run()
  assert.deepEqual(rig.progress.map(({ phase, connections, closed }) => [phase, connections, closed]), [
    ['notify', 3, 0], ['grace', 3, 0], ['close', 3, 0], ['done', 0, 3]
  ])
})

test('a listener that throws does not stop the drain', async () => {
  const rig = createRig()
  rig.host.events.on('progress', () => { throw new Error('no') })
  rig.host.events.on('drain', () => { throw new Error('no') })
  rig.host.events.on('drained', async () => { throw new Error('no') })
  rig.connect()
  const report = await rig.run()
  assert.equal(report.connections.clean, 1)
  assert.ok(rig.host.hookFailures.length >= 3)
})
