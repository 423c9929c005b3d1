/**
 * Uncaught errors that reach a real process: what is logged, what is drained, and how it exits.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { describe } from 'node:test'
import type { TestContext } from 'node:test'
import type { Child } from '../helpers/child.ts'
import type { TestClient } from '../helpers/server.ts'
import type { ServerSpec } from './fixtures/server.ts'
import { assertDrained, beginJob, caughtUp, finishJob, lines, loggedReport, run, runWithClient, SIGNALS, skip } from './server-process.ts'

const ERRORS = { signals: { errors: true } }
/** Its drain waits for a job, which ends by the order 'finish'. */
const HELD: ServerSpec = { options: { ...ERRORS, drain: { timeout: 60_000 } }, job: -1 }

/** A process whose drain, begun by this order or signal, waits for the job of its client. */
async function draining (t: TestContext, by: 'throw' | 'SIGTERM' | 'close'): Promise<{ child: Child, client: TestClient }> {
  const { child, client } = await runWithClient(t, HELD)
  await beginJob(client)
  if (by === 'SIGTERM') child.kill(by)
  else child.process.send(by)
  await child.noted('phase grace')
  return { child, client }
}

const fatal = (child: Child) => child.logs.filter(({ level }) => level === 60)

describe('a process with signals: { errors: true }', { concurrency: 3 }, () => {
  const FAULTS: Array<[order: string, err: RegExp]> = [
    ['throw', /thrown on purpose/],
    ['reject', /rejected on purpose/],
    ['throw null', /^"null"$/],
    ['throw undefined', /^"undefined"$/],
    ["throw ''", /^""$/],
    ['reject undefined', /^"undefined"$/]
  ]
  for (const [order, err] of FAULTS) {
    test(`${order}: logs it at fatal, drains without settling and exits 1`, { skip }, async (t) => {
      const { child, client } = await runWithClient(t, { options: { ...ERRORS, drain: { timeout: 10_000, settleDelay: 5_000 } } })
      child.process.send(order)
      await assertDrained(child, client, 1)
      assert.deepEqual(lines(child).slice(-3), ['0 database closing', '0 database closed', 'exit 1'])
      const [line, ...more] = fatal(child)
      assert.equal(line!.msg, 'uncaught error: draining')
      assert.match(JSON.stringify(line!.err), err)
      assert.deepEqual(more, [])
      const report = loggedReport(child)
      assert.equal(report.trigger, 'close')
      assert.equal(report.connections.clean, 1)
      assert.ok(report.phases.settle < 5_000)
    })
  }

  test('an error whose message cannot be read is logged without it, and drains', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: ERRORS })
    child.process.send('throw what cannot be logged')
    await assertDrained(child, client, 1)
    assert.deepEqual(fatal(child).map(({ msg }) => msg), ['uncaught error: draining'])
    assert.ok(lines(child).includes('0 database closed'))
  })

  test('three rejections at once make one drain, each in the log', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: ERRORS })
    child.process.send('reject thrice')
    await assertDrained(child, client, 1)
    assert.equal(fatal(child).length, 3)
    assert.ok(lines(child).includes('0 database closed'))
    assert.equal(loggedReport(child).connections.clean, 1)
  })

  test('an interval that throws does not cut the drain, nor fill the log', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...ERRORS, drain: { timeout: 60_000 } }, job: -1, cleanup: 200 })
    await beginJob(client)
    child.process.send('throw often')
    await child.noted('phase grace')
    // A hundred errors.
    await sleep(500)
    await finishJob(child, client)
    await assertDrained(child, client, 1)
    assert.ok(lines(child).includes('0 cleanup ends') && lines(child).includes('0 database closed'))
    assert.ok(fatal(child).length >= 5)
    const rest = child.logs.filter(({ msg }) => msg === 'uncaught error: draining: more of the same were not logged')
    assert.ok(rest.length >= 1 && rest[0]!.suppressed as number > 0)
    assert.deepEqual(loggedReport(child).work, { inFlight: 1, finished: 1, abandoned: 0 })
  })

  test('an error after a signal joins its drain; the exit code is 1', { skip }, async (t) => {
    const { child, client } = await draining(t, 'SIGTERM')
    child.process.send('throw')
    await finishJob(child, client)
    await assertDrained(child, client, 1)
    assert.equal(loggedReport(child).trigger, 'SIGTERM')
    assert.equal(fatal(child).length, 1)
    assert.ok(lines(child).includes('0 database closed'))
  })

  test('an error during app.close() joins its drain; the exit code is 1', { skip }, async (t) => {
    const { child, client } = await draining(t, 'close')
    child.process.send('throw')
    await finishJob(child, client)
    await assertDrained(child, client, 1)
    assert.ok(lines(child).includes('0 database closed'))
  })

  test('the first signal after an error joins its drain', { skip }, async (t) => {
    const { child, client } = await draining(t, 'throw')
    child.kill('SIGTERM')
    await caughtUp(child)
    await finishJob(child, client)
    await assertDrained(child, client, 1)
    const report = loggedReport(child)
    assert.equal(report.aborted, false)
    assert.equal(report.connections.clean, 1)
    assert.ok(lines(child).includes('0 database closed'))
  })

  test('the second signal after an error cuts its drain off', { skip }, async (t) => {
    const { child, client } = await draining(t, 'throw')
    child.kill('SIGINT')
    child.kill('SIGTERM')
    await client.closed
    assert.deepEqual(await child.exited, { code: 1, signal: null })
    assert.equal(loggedReport(child).aborted, true)
    const [line] = child.logs.filter(({ msg }) => msg === 'second signal: the shutdown is aborted')
    // Which of two pending signals is delivered first is up to the kernel.
    assert.deepEqual([line!.first, line!.second].toSorted(), ['SIGINT', 'SIGTERM'])
  })

  test('an error between two signals changes nothing about the second', { skip }, async (t) => {
    const { child, client } = await draining(t, 'SIGTERM')
    child.process.send('throw')
    child.process.send('reject')
    child.kill('SIGTERM')
    await client.closed
    assert.deepEqual(await child.exited, { code: 1, signal: null })
    assert.equal(loggedReport(child).aborted, true)
  })

  test('beforeExit drains, without settling, and exits 0', { skip }, async (t) => {
    const { child } = await run(t, [{ options: { ...ERRORS, drain: { timeout: 10_000, settleDelay: 5_000 } } }])
    child.process.send('unref')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.deepEqual(lines(child).filter((line) => !line.includes('phase')), ['0 drain by close', '0 drained', '0 database closing', '0 database closed', 'exit 0'])
  })
})

describe('a process with signals: true', { concurrency: 3 }, () => {
  for (const order of ['throw', 'reject'] as const) {
    test(`is ended by ${order} at once, as without the plugin`, { skip }, async (t) => {
      const { child, client } = await runWithClient(t, { options: SIGNALS })
      child.process.send(order)
      assert.equal((await client.closed).code, 1006)
      assert.equal((await child.exited).code, 1)
      assert.ok(!child.stderr.includes('0 drain'))
    })
  }

  test('ends by itself when nothing is left to do, as without the plugin', { skip }, async (t) => {
    const { child } = await run(t, [{ options: SIGNALS }])
    child.process.send('unref')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.deepEqual(lines(child), ['exit 0'])
  })
})
