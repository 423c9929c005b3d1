/**
 * Signals, sent to real processes: what the clients see, in which order things end, and how the process exits.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { describe } from 'node:test'
import { Worker } from 'node:worker_threads'
import { TYPESCRIPT } from '../helpers/child.ts'
import { connectTo, logged, start } from '../helpers/server.ts'
import { assertDrained, beginJob, caughtUp, finishJob, lines, loggedReport, run, runWithClient, SIGNALS, skip } from './server-process.ts'

/** Time for a drain that waits for an order. */
const LONG = { terminationGracePeriod: 120_000 }

// Most of their time the processes wait: three at once.
describe('a process that gets', { concurrency: 3 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} settles, drains, cleans up, closes the database, flushes the log and exits 0`, { skip }, async (t) => {
      const { child, urls: [url] } = await run(t, [{
        options: { ...SIGNALS, drain: { timeout: 10_000, settleDelay: 300, reconnect: { rate: 5, minDelay: 500, maxDelay: 60_000 } } },
        flush: 250
      }])
      const clients = await Promise.all(Array.from({ length: 10 }, () => connectTo(t, url!)))
      child.kill(signal)
      const ends = await Promise.all(clients.map(({ closed }) => closed))
      const exit = await child.exited
      assert.deepEqual(exit, { code: 0, signal: null })
      const delays = ends.map(({ code, reason }) => {
        assert.equal(code, 1012)
        return Number(/^service restart; retry=(\d+)$/.exec(reason)?.[1])
      })
      const report = loggedReport(child)
      assert.equal(report.trigger, signal)
      assert.ok(report.phases.settle >= 290)
      assert.deepEqual(report.connections, { total: 10, clean: 10, leftByThemselves: 0, terminated: 0, unfinished: 0, causes: { drain: 10 } })
      assert.deepEqual(report.reconnect, { min: Math.min(...delays), max: Math.max(...delays) })
      assert.deepEqual(new Set(delays), new Set([500]))
      assert.ok(report.phases.grace + report.phases.close >= 1_700, 'ten clients at five a second are closed in turns over two seconds')
      assert.equal(report.cleanups.finished, 10)
      const noted = lines(child)
      assert.equal(noted.filter((line) => line === '0 cleanup ends').length, 10)
      assert.ok(noted.lastIndexOf('0 cleanup ends') < noted.indexOf('0 drained'))
      assert.equal(child.logs.at(-1)!.msg, 'sockets drained', 'the last line is there, though the logger takes its time')
      assert.deepEqual(noted.slice(-4), ['0 drained', '0 database closing', '0 database closed', 'exit 0'])
    })
  }

  test('SIGTERM serves new clients while it settles, and app.close() ends the settling', { skip }, async (t) => {
    const { child, urls: [url] } = await run(t, [{ options: { ...SIGNALS, drain: { timeout: 120_000, settleDelay: 60_000 } } }])
    child.kill('SIGTERM')
    await child.noted('phase settle')
    const late = await connectTo(t, url!)
    late.socket.send('x')
    assert.equal(await late.next(), 'done x')
    child.process.send('close')
    assert.equal((await late.closed).code, 1012)
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    const { trigger, connections } = loggedReport(child)
    assert.deepEqual([trigger, connections.total, connections.clean], ['SIGTERM', 1, 1])
  })

  test('SIGTERM drains what is connected already while an onListen hook still runs', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: SIGNALS, startHangs: true })
    child.kill('SIGTERM')
    await assertDrained(child, client)
    assert.equal(loggedReport(child).connections.clean, 1)
  })

  test('a reply in flight arrives before the frame', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: LONG }, job: -1 })
    await beginJob(client)
    child.kill('SIGTERM')
    await child.noted('phase grace')
    await finishJob(child, client)
    await assertDrained(child, client)
    assert.deepEqual(loggedReport(child).work, { inFlight: 1, finished: 1, abandoned: 0 })
  })

  for (const [first, second, flush] of [['SIGTERM', 'SIGTERM', 20], ['SIGTERM', 'SIGINT', 'none']] as const) {
    test(`${second} after ${first} cuts everything off, starts every cleanup, tells so and exits 1`, { skip }, async (t) => {
      const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: { timeout: 20_000 } }, job: -1, cleanup: -1, flush })
      await beginJob(client)
      child.kill(first)
      await child.noted('phase grace')
      child.kill(second)
      await client.closed
      assert.deepEqual(await child.exited, { code: 1, signal: null })
      const report = loggedReport(child)
      assert.equal(report.aborted, true)
      assert.equal(report.connections.total, 1)
      assert.equal(report.connections.clean, 0)
      assert.equal(report.cleanups.abandoned.length, 1)
      assert.ok(lines(child).includes('0 cleanup begins'))
      assert.ok(child.logs.some(({ msg }) => /second signal/.test(msg)))
    })
  }

  test('a second signal while settling cuts the settling short, and exits 1', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: { timeout: 25_000, settleDelay: 20_000 } } })
    child.kill('SIGTERM')
    await child.noted('phase settle')
    child.kill('SIGTERM')
    await client.closed
    assert.deepEqual(await child.exited, { code: 1, signal: null })
    assert.equal(loggedReport(child).aborted, true)
  })

  test('a third and a tenth signal change nothing', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: { timeout: 20_000 } }, job: -1, flush: 300 })
    await beginJob(client)
    child.kill('SIGTERM')
    await child.noted('phase grace')
    child.kill('SIGTERM')
    await child.noted('0 drained')
    // Until the log is flushed. The process may end meanwhile.
    for (let i = 0; i < 8 && child.process.kill('SIGTERM'); i++) await sleep(10)
    assert.deepEqual(await child.exited, { code: 1, signal: null })
    assert.equal(child.logs.filter(({ msg }) => /second signal/.test(msg)).length, 1)
    assert.equal(loggedReport(child).aborted, true)
  })

  test('a second signal while the log is flushed does not kill the process', { skip }, async (t) => {
    const { child } = await run(t, [{ options: SIGNALS, flush: -1 }])
    child.kill('SIGTERM')
    await child.noted('0 database closed')
    child.kill('SIGTERM')
    assert.deepEqual(await child.exited, { code: 1, signal: null })
    assert.ok(lines(child).includes('exit 1'))
  })

  test('two apps in one process drain in parallel, and the process exits after both', { skip }, async (t) => {
    const { child, urls } = await run(t, [
      { options: { ...SIGNALS, drain: LONG } },
      { options: { ...SIGNALS, drain: { ...LONG, code: 1001 } }, job: -1 }
    ])
    const [quick, slow] = await Promise.all(urls.map((url) => connectTo(t, url))) as [Awaited<ReturnType<typeof connectTo>>, Awaited<ReturnType<typeof connectTo>>]
    await beginJob(slow)
    child.kill('SIGTERM')
    assert.equal((await quick.closed).code, 1012)
    await child.noted('0 database closed')
    child.process.send('finish')
    assert.equal(await slow.next(), 'done job')
    assert.equal((await slow.closed).code, 1001)
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    const noted = lines(child)
    // In parallel: the second begins before the first has ended. The exit comes after both.
    assert.ok(noted.indexOf('1 drain by SIGTERM') < noted.indexOf('0 drained'))
    assert.ok(noted.indexOf('0 database closed') < noted.indexOf('1 drained'))
    assert.ok(noted.indexOf('1 database closed') < noted.indexOf('exit 0'))
    // They are not foreign to one another.
    assert.equal(child.logs.filter(({ level }) => level >= 40).length, 0)
    for (const index of [0, 1]) {
      assert.equal(loggedReport(child, index).connections.clean, 1)
      assert.ok(child.logs.filter(({ name }) => name === `app ${index}`).length > 0)
    }
  })

  test('the app with the longest budget decides how long the process may take, and all are waited for', { skip }, async (t) => {
    const { child, urls: [url] } = await run(t, [
      { options: { ...SIGNALS, drain: LONG }, job: -1 },
      { options: { ...SIGNALS, drain: { timeout: 200, reserve: 0 } } }
    ])
    const client = await connectTo(t, url!)
    await beginJob(client)
    child.kill('SIGTERM')
    await child.noted('0 phase grace')
    await child.noted('1 database closed')
    // Longer than the budget of the other.
    await sleep(1_000)
    child.process.send('finish')
    await assertDrained(child, client)
    assert.ok(lines(child).includes('0 database closed'))
  })

  test('a second signal cuts off both of two apps', { skip }, async (t) => {
    const hanging = { options: { ...SIGNALS, drain: { timeout: 20_000 } }, job: -1 }
    const { child, urls } = await run(t, [hanging, hanging])
    const clients = await Promise.all(urls.map((url) => connectTo(t, url)))
    for (const client of clients) await beginJob(client)
    child.kill('SIGTERM')
    await child.noted('0 phase grace')
    await child.noted('1 phase grace')
    child.kill('SIGTERM')
    assert.deepEqual(await child.exited, { code: 1, signal: null })
    for (const index of [0, 1]) assert.equal(loggedReport(child, index).aborted, true)
  })

  test('of two apps one was closed before: the signal drains the other, and exits 0', { skip }, async (t) => {
    const { child, urls } = await run(t, [{ options: SIGNALS }, { options: SIGNALS }])
    const clients = await Promise.all(urls.map((url) => connectTo(t, url)))
    child.process.send('close')
    assert.equal((await clients[0]!.closed).code, 1012)
    await child.noted('0 database closed')
    clients[1]!.socket.send('x')
    assert.equal(await clients[1]!.next(), 'done x')
    child.kill('SIGTERM')
    assert.equal((await clients[1]!.closed).code, 1012)
    assert.deepEqual(await child.exited, { code: 0, signal: null })
  })

  test('one that was closed leaves nothing that keeps the process alive or catches signals', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: SIGNALS })
    child.process.send('close')
    await client.closed
    await child.noted('0 database closed')
    child.process.send('disconnect')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
  })

  test('a process that is suspended over the end of its drain says goodbye when it wakes', { skip }, async (t) => {
    const { child, urls: [url] } = await run(t, [{ options: { ...SIGNALS, drain: { timeout: 1_500, settleDelay: 1_000 } } }])
    const clients = await Promise.all(Array.from({ length: 10 }, () => connectTo(t, url!)))
    child.kill('SIGTERM')
    await child.noted('phase settle')
    child.kill('SIGSTOP')
    await sleep(2_000)
    child.kill('SIGCONT')
    for (const { closed } of clients) assert.equal((await closed).code, 1012)
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    const report = loggedReport(child)
    assert.equal(report.connections.total, 10)
    assert.equal(report.connections.unfinished, 0)
    assert.equal(report.cleanups.finished + report.cleanups.abandoned.length, 10)
  })

  for (const beside of ['close', 'drain'] as const) {
    test(`a signal while ${beside}() is under way joins it, and exits 0`, { skip }, async (t) => {
      const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: LONG }, job: -1 })
      await beginJob(client)
      child.process.send(beside)
      await child.noted('phase grace')
      child.kill('SIGTERM')
      await caughtUp(child)
      await finishJob(child, client)
      await assertDrained(child, client)
      assert.equal(loggedReport(child).trigger, beside)
      assert.ok(lines(child).includes('0 database closed'))
    })
  }

  test('an app that never listens is not armed: the signal ends the process as ever', { skip }, async (t) => {
    const { child } = await run(t, [{ options: SIGNALS, listen: false }])
    child.kill('SIGTERM')
    assert.deepEqual(await child.exited, { code: null, signal: 'SIGTERM' })
  })

  test('a foreign SIGTERM listener is warned about, and the drain runs beside it', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: SIGNALS }, { foreign: true })
    child.kill('SIGTERM')
    await assertDrained(child, client)
    assert.ok(lines(child).includes('foreign listener'))
    assert.equal(child.logs.filter(({ level, msg }) => level === 40 && /another listener on SIGTERM/.test(msg)).length, 1)
  })

  test('another plugin\'s onClose that outlasts the budget ends the process with 1', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: { timeout: 500, reserve: 200 } }, onClose: -1 })
    child.kill('SIGTERM')
    await assertDrained(child, client, 1)
    const noted = lines(child)
    assert.ok(noted.includes('0 drained') && noted.includes('0 database closing') && !noted.includes('0 database closed'))
  })

  test('an onClose of another plugin that stays in the reserve is waited for', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: { timeout: 500, reserve: 5_000 } }, onClose: 800 })
    child.kill('SIGTERM')
    await assertDrained(child, client)
    assert.deepEqual(lines(child).slice(-2), ['0 database closed', 'exit 0'])
  })

  test('another plugin\'s preClose that outlasts pluginTimeout does not end the process before the drain has ended', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: LONG }, job: -1, cleanup: 100, hangs: true })
    await beginJob(client)
    child.kill('SIGTERM')
    await child.noted('phase grace')
    // Longer than pluginTimeout.
    await sleep(900)
    await finishJob(child, client)
    assert.equal((await client.closed).code, 1012)
    const { signal } = await child.exited
    assert.equal(signal, null)
    const noted = lines(child)
    assert.deepEqual(noted.slice(-5, -1), ['0 cleanup ends', '0 drained', '0 database closing', '0 database closed'])
  })

  test('cleanups that hang do not keep the process, and the log names them', { skip }, async (t) => {
    const { child, urls: [url] } = await run(t, [{ options: { ...SIGNALS, drain: { timeout: 700 } }, cleanup: -1 }])
    const clients = await Promise.all(Array.from({ length: 3 }, () => connectTo(t, url!)))
    child.kill('SIGTERM')
    for (const { closed } of clients) assert.equal((await closed).code, 1012)
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    const report = loggedReport(child)
    assert.equal(report.cleanups.abandoned.length, 3)
    assert.ok(lines(child).includes('0 database closed'))
  })

  test('a logger that never flushes does not keep the process', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: SIGNALS, flush: -1 })
    child.kill('SIGTERM')
    await assertDrained(child, client)
  })

  test('a signal waits for the user\'s preClose in notify, before the frames', { skip }, async (t) => {
    const { child, client } = await runWithClient(t, { options: { ...SIGNALS, drain: { timeout: 10_000 } }, preClose: 200 })
    child.kill('SIGTERM')
    await assertDrained(child, client)
    const noted = lines(child)
    assert.ok(noted.includes('0 preClose ends'))
    assert.ok(noted.indexOf('0 preClose ends') < noted.indexOf('0 cleanup begins'))
  })

  test('an app without connections exits at once', { skip }, async (t) => {
    const { child } = await run(t, [{ options: SIGNALS, flush: 0 }])
    child.kill('SIGTERM')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.deepEqual(child.logs.filter(({ msg }) => msg === 'shutting down').map(({ level, trigger }) => [level, trigger]), [[30, 'SIGTERM']])
    assert.deepEqual(lines(child).filter((line) => !line.includes('phase')), ['0 drain by SIGTERM', '0 drained', '0 database closing', '0 database closed', 'exit 0'])
  })
})

test('in a worker thread nothing is armed, and that is said', async () => {
  // Node 20 does not apply --import to workers.
  const code = [...TYPESCRIPT.slice(1), new URL('./fixtures/worker.ts', import.meta.url)].map((url) => `await import(${JSON.stringify(url)})`).join('\n')
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [] })
  // Asked for first: a worker that ends at once tells its message and its exit in one go.
  const exited = once(worker, 'exit')
  const [{ warnings, listeners }] = await once(worker, 'message') as [{ warnings: string[], listeners: number }]
  await exited
  assert.equal(listeners, 0)
  assert.equal(warnings.filter((message) => /worker thread/.test(message)).length, 1)
})

/** Every event of the process with how many listen to it. */
const listening = () => Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]))

test('an app is armed while it listens, and disarmed by app.close(), one by one', async (t) => {
  const before = listening()
  const first = await start(t, { signals: { errors: true } })
  assert.equal(process.listenerCount('SIGTERM'), (before.SIGTERM ?? 0) + 1)
  assert.equal(process.listenerCount('uncaughtException'), (before.uncaughtException ?? 0) + 1)
  const second = await start(t, { signals: true })
  assert.equal(process.listenerCount('SIGTERM'), (before.SIGTERM ?? 0) + 1)
  assert.equal(logged(first, /listener on SIGTERM/).length + logged(second, /listener on SIGTERM/).length, 0)
  await first.close()
  assert.equal(process.listenerCount('SIGTERM'), (before.SIGTERM ?? 0) + 1)
  assert.equal(process.listenerCount('uncaughtException'), before.uncaughtException ?? 0)
  await second.close()
  assert.deepEqual(listening(), before)
  const third = await start(t, { signals: { only: ['SIGTERM'], errors: true } })
  const { SIGTERM = 0, uncaughtException = 0, unhandledRejection = 0, beforeExit = 0 } = before
  assert.deepEqual(listening(), { ...before, SIGTERM: SIGTERM + 1, uncaughtException: uncaughtException + 1, unhandledRejection: unhandledRejection + 1, beforeExit: beforeExit + 1 })
  await third.close()
  assert.deepEqual(listening(), before)
})

test('signals: false, and an app that does not listen, arm nothing', async (t) => {
  const before = listening()
  const off = await start(t, {})
  const silent = await start(t, { signals: true }, undefined, { listen: false })
  await silent.ready()
  assert.deepEqual(listening(), before)
  await Promise.all([off.close(), silent.close()])
  assert.deepEqual(listening(), before)
})

test('an app whose server listens only after it was closed arms nothing', async (t) => {
  const before = listening()
  const app = await start(t, { signals: true }, undefined, { listen: false })
  const listens = app.listen({ port: 0, host: '127.0.0.1' })
  await app.close()
  await listens
  assert.deepEqual(listening(), before)
  // Fastify leaves it open.
  app.server.close()
})
