/**
 * Each row of docs/reference/signals.md's table of exit codes, with a real process.
 */
import assert from 'node:assert/strict'
import { constants } from 'node:os'
import test, { describe } from 'node:test'
import type { TestContext } from 'node:test'
import type { Child } from '../helpers/child.ts'
import { readDocument, tables } from '../docs/markdown.ts'
import type { ServerSpec } from './fixtures/server.ts'
import { beginJob, caughtUp, lines, run, runWithClient, SIGNALS, skip } from './server-process.ts'

/** Starts a process, ends it, and returns it. */
type Scenario = (t: TestContext) => Promise<Child>

const BUDGET = { timeout: 60_000 }

/** A process with these apps and a client of the first that has a job under way. */
async function working (t: TestContext, app: ServerSpec): Promise<Child> {
  const { child, client } = await runWithClient(t, { flush: 'none', ...app })
  await beginJob(client)
  return child
}

/** A process without connections gets a signal. */
const stop = (app: ServerSpec, signal: NodeJS.Signals = 'SIGTERM'): Scenario => async (t) => {
  const { child } = await run(t, [{ flush: 'none', ...app }])
  child.kill(signal)
  return child
}

/** The row of the table → ways to get there, each with what must be in the log, or in the notes of the process. */
const SCENARIOS: Record<string, Array<[way: string, scenario: Scenario, trace: RegExp]>> = {
  'a signal; all applications are closed': [
    ['a signal', stop({ options: SIGNALS }), /0 database closed/],
    ['a logger whose flush throws', stop({ options: SIGNALS, flush: 'throws' }), /0 database closed/],
    ['a logger that never flushes', stop({ options: SIGNALS, flush: -1 }), /0 database closed/],
    ['the longest budget that there is', stop({ options: { ...SIGNALS, drain: { timeout: 2 ** 31 - 1 } }, onClose: 50 }), /0 database closed/]
  ],
  'a signal while `app.close()` is under way; all applications are closed': [['a signal', async (t) => {
    const child = await working(t, { options: { ...SIGNALS, drain: BUDGET }, job: -1 })
    child.process.send('close')
    await child.noted('0 drain by close')
    child.kill('SIGTERM')
    await caughtUp(child)
    child.process.send('finish')
    return child
  }, /0 database closed/]],
  '`beforeExit` with `errors`; all applications are closed': [['the listener is not referenced', async (t) => {
    const { child } = await run(t, [{ options: { signals: { errors: true } }, flush: 'none' }])
    child.process.send('unref')
    return child
  }, /0 database closed/]],
  'cleanups or work had to be given up in the drain; all applications are closed': [['both hang', async (t) => {
    const child = await working(t, { options: { ...SIGNALS, drain: { timeout: 500 } }, job: -1, cleanup: -1 })
    child.kill('SIGTERM')
    return child
  }, /cleanup given up[^]*0 database closed/]],
  'a second signal': [['during the drain', async (t) => {
    const child = await working(t, { options: { ...SIGNALS, drain: BUDGET }, job: -1 })
    child.kill('SIGTERM')
    await child.noted('0 drain by SIGTERM')
    child.kill('SIGINT')
    return child
  }, /second signal: the shutdown is aborted/], ['while an onClose hangs', async (t) => {
    const { child } = await run(t, [{ options: { ...SIGNALS, drain: BUDGET }, onClose: -1, flush: 'none' }])
    child.kill('SIGTERM')
    await child.noted('0 database closing')
    child.kill('SIGTERM')
    return child
  }, /^(?![^]*killed by timeout)[^]*second signal: the shutdown is aborted/]],
  '`app.close()` rejects after a signal, because a hook of a plugin failed': [
    ['an onClose throws', stop({ options: SIGNALS, closeThrows: true }), /closing failed/]
  ],
  'the applications are not closed when the time for the end of the process begins': [
    ['an onClose hangs', stop({ options: { ...SIGNALS, drain: { timeout: 200, reserve: 100 } }, onClose: -1 }), /killed by timeout \(700ms\)/]
  ],
  'an uncaught error with `errors`, before or during a drain': [['before', async (t) => {
    const { child } = await run(t, [{ options: { signals: { errors: true } }, flush: 'none' }])
    child.process.send('throw')
    return child
  }, /uncaught error: draining[^]*0 database closed/], ['during', async (t) => {
    const child = await working(t, { options: { signals: { errors: true }, drain: BUDGET }, job: -1 })
    child.kill('SIGTERM')
    await child.noted('0 drain by SIGTERM')
    child.process.send('reject undefined')
    child.process.send('finish')
    return child
  }, /uncaught error: draining[^]*0 database closed/]],
  'an uncaught error without `errors`; at once, without a drain': [['before', async (t) => {
    const { child } = await run(t, [{ options: SIGNALS, flush: 'none' }])
    child.process.send('throw')
    return child
  }, /^(?![^]*0 drain)[^]*exit 1/], ['during', async (t) => {
    const child = await working(t, { options: { ...SIGNALS, drain: BUDGET }, job: -1 })
    child.kill('SIGTERM')
    await child.noted('0 drain by SIGTERM')
    child.process.send('throw')
    return child
  }, /^(?![^]*0 drained)[^]*exit 1/]],
  'a signal before the first application listens, or one that is not taken; at once, without a drain': [
    ['before', stop({ options: SIGNALS, listen: false }), /^(?![^]*0 drain)/],
    ['not in the list', stop({ options: { signals: ['SIGINT'] } }), /^(?![^]*0 drain)/]
  ]
}

const documented = tables(readDocument('docs/reference/signals.md'), 'what happens', 'exit code')

test('docs/reference/signals.md has the exit codes that are tried here, and no others', () => {
  assert.deepEqual(documented.map((row) => row['what happens']), Object.keys(SCENARIOS))
})

describe('the exit code after', { concurrency: 3 }, () => {
  for (const { 'what happens': what, 'exit code': said } of documented) {
    for (const [way, scenario, trace] of SCENARIOS[what!] ?? []) {
      test(`${what} (${way}) is ${said}`, { skip }, async (t) => {
        const child = await scenario(t)
        const { code, signal } = await child.exited
        // As shells and Docker show an end by a signal.
        const shown = signal === null ? code : 128 + constants.signals[signal]
        assert.equal(shown, Number(/\d+/.exec(said!)![0]), child.stderr)
        assert.match(`${child.stdout}${lines(child).join('\n')}`, trace)
        assert.doesNotMatch(child.stderr, /Error: failed/, 'close-with-grace logs nothing')
      })
    }
  }
})
