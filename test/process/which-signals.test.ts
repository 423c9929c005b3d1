/**
 * Which signals stop a real process, and which have another use there.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { describe } from 'node:test'
import type { TestContext } from 'node:test'
import type { StopSignal } from '../../lib/index.ts'
import type { Child } from '../helpers/child.ts'
import { connectTo } from '../helpers/server.ts'
import { assertDrained, beginJob, caughtUp, finishJob, lines, loggedReport, run, runWithClient, SIGNALS, skip } from './server-process.ts'

/** stderr is a terminal, as far as the process can tell; the other std streams are none. */
const ON_A_TERMINAL = ['--import', `data:text/javascript,${encodeURIComponent(`
  import tty from 'node:tty'
  import { syncBuiltinESMExports } from 'node:module'
  tty.isatty = (fd) => fd === 2
  syncBuiltinESMExports()`)}`]

const left = (child: Child) => child.logs.filter(({ msg }) => msg.startsWith('signal ignored')).map(({ signal, msg }) => [signal, msg])

/** A folder of its own for the files that Node writes. */
async function folder (t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'signals-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

describe('a process', { concurrency: 3 }, () => {
  for (const signal of ['SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const) {
    test(`on a terminal drains and exits 0 on ${signal}`, { skip }, async (t) => {
      const { child, client } = await runWithClient(t, { options: SIGNALS }, {}, { execArgv: ON_A_TERMINAL })
      child.kill(signal)
      await assertDrained(child, client)
      assert.equal(loggedReport(child).trigger, signal)
    })
  }

  test('without a terminal (nohup, a service) survives a hangup, also in a drain', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: { timeout: 60_000 } }, job: -1 })
    child.kill('SIGHUP')
    await caughtUp(child)
    await beginJob(client)
    child.kill('SIGTERM')
    await child.noted('phase grace')
    child.kill('SIGHUP')
    await caughtUp(child)
    await finishJob(child, client)
    await assertDrained(child, client)
    assert.equal(loggedReport(child).trigger, 'SIGTERM')
    assert.deepEqual(left(child)[0], ['SIGHUP', 'signal ignored: the process has no terminal that could hang up'])
  })

  test('without a terminal drains on SIGHUP where the list has it', { skip }, async (t) => {
    const { child } = await run(t, [{ options: { signals: ['SIGHUP'] } }])
    child.kill('SIGHUP')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.equal(lines(child)[0], '0 drain by SIGHUP')
  })

  const DIAGNOSTICS: Array<[signal: StopSignal, how: string, execArgv: string[], options: string]> = [
    ['SIGUSR2', '--report-on-signal', ['--report-on-signal'], ''],
    ['SIGUSR2', 'NODE_OPTIONS=--report-on-signal', [], '--report-on-signal'],
    ['SIGQUIT', '--report-on-signal --report-signal=SIGQUIT', ['--report-on-signal', '--report-signal=SIGQUIT'], ''],
    ['SIGUSR2', '--heapsnapshot-signal SIGUSR2', ['--heapsnapshot-signal', 'SIGUSR2'], ''],
    ['SIGQUIT', 'NODE_OPTIONS=--heapsnapshot_signal=SIGQUIT', [], '--heapsnapshot_signal=SIGQUIT']
  ]
  for (const [signal, how, execArgv, options] of DIAGNOSTICS) {
    test(`that Node was told to examine on ${signal} by ${how} serves on`, { skip }, async (t) => {
      const path = await folder(t)
      const { child, urls: [url] } = await run(t, [{ options: SIGNALS }], {}, {
        execArgv: [...execArgv, `--report-directory=${path}`, `--diagnostic-dir=${path}`, '--report-exclude-network'],
        env: { NODE_OPTIONS: options }
      })
      const client = await connectTo(t, url!)
      child.kill(signal)
      while ((await readdir(path)).length === 0) await new Promise((resolve) => { setTimeout(resolve, 20) })
      client.socket.send('x')
      assert.equal(await client.next(), 'done x')
      child.kill('SIGTERM')
      await assertDrained(child, client)
      assert.equal(loggedReport(child).trigger, 'SIGTERM')
      assert.deepEqual(left(child), [[signal, 'signal ignored: Node.js writes a report or a heap snapshot on it']])
    })
  }

  test('drains on the other signals while Node uses one of them', { skip }, async (t) => {
    const { child } = await run(t, [{ options: SIGNALS }], {}, { execArgv: ['--heapsnapshot-signal=SIGUSR2', '--report-on-signal'] })
    child.kill('SIGQUIT')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.equal(lines(child)[0], '0 drain by SIGQUIT')
  })

  test('drains on SIGTERM even where Node writes a report on it', { skip }, async (t) => {
    const path = await folder(t)
    const { child } = await run(t, [{ options: SIGNALS }], {}, { execArgv: ['--report-on-signal', '--report-signal=SIGTERM', `--report-directory=${path}`] })
    child.kill('SIGTERM')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.ok(lines(child).includes('0 drain by SIGTERM'))
  })

  test('drains on a signal of the list even where Node uses it', { skip }, async (t) => {
    const path = await folder(t)
    const { child } = await run(t, [{ options: { signals: { only: ['SIGUSR2'] } } }], {}, { execArgv: ['--report-on-signal', `--report-directory=${path}`] })
    child.kill('SIGUSR2')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.ok(lines(child).includes('0 drain by SIGUSR2'))
  })

  test('is ended by a signal that is not in the list, as without the plugin', { skip }, async (t) => {
    const { child } = await run(t, [{ options: { signals: ['SIGINT'] } }])
    child.kill('SIGTERM')
    assert.deepEqual(await child.exited, { code: null, signal: 'SIGTERM' })
    assert.deepEqual(lines(child), [''])
  })

  test('takes what any of its apps has in its list, and drains all of them', { skip }, async (t) => {
    const { child } = await run(t, [{ options: { signals: ['SIGINT'] } }, { options: { signals: ['SIGQUIT'] } }])
    child.kill('SIGQUIT')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.ok(lines(child).includes('0 drain by SIGQUIT') && lines(child).includes('1 drain by SIGQUIT'))
  })

  test('drains an app, too, that begins to listen after the signal', { skip }, async (t) => {
    const { child, urls: [url] } = await run(t, [{ options: { ...SIGNALS, drain: { timeout: 60_000 } }, job: -1 }, { options: SIGNALS, listen: false, onClose: 300 }])
    const client = await connectTo(t, url!)
    await beginJob(client)
    child.kill('SIGTERM')
    await child.noted('0 phase grace')
    child.process.send('listen last')
    await child.noted('1 drain by SIGTERM')
    child.process.send('finish')
    await assertDrained(child, client)
    const noted = lines(child)
    assert.ok(noted.includes('0 database closed') && noted.includes('1 database closed'))
    assert.ok(noted.indexOf('1 database closed') < noted.indexOf('exit 0'))
  })
})
