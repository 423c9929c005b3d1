/**
 * Thousands of connections at once, from processes of their own: every client is told a code and a time to come back,
 * the report says what they saw, and the event loop is never held for long.
 */
import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { createClock } from '../../lib/testing/clock.ts'
import { forkFixture } from '../helpers/child.ts'
import type { Child } from '../helpers/child.ts'
import { assertBounded, assertClean, connect, portOf, rawConnect, reportOf, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

interface End { code: number, reason: string, messages: number }

const QUIET = { fastify: { logger: false } }

async function crowd (t: TestContext, app: TestApp, count: number, processes: number): Promise<Child[]> {
  const children = Array.from({ length: processes }, () => forkFixture(t, 'clients', [`ws://127.0.0.1:${portOf(app)}/`, String(count / processes)]))
  for (const child of children) await child.message()
  assert.equal(app.sockets.size, count)
  return children
}

async function endsOf (children: Child[]): Promise<End[]> {
  return (await Promise.all(children.map((child) => child.message<{ ends: End[] }>()))).flatMap(({ ends }) => ends)
}

const retryOf = ({ reason }: { reason: string }) => Number(/retry=(\d+)$/.exec(reason)?.[1])

test('2,000 clients at once are all told the code and when to come back, and the report says the same', async (t) => {
  let cleaned = 0
  const rate = 400
  const clock = createClock()
  const app = await start(t, { drain: { timeout: 10_000, reconnect: { rate } }, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => { app.sockets.of(socket).defer(() => { cleaned++ }) })
  }, QUIET)
  const children = await crowd(t, app, 2_000, 2)
  const sentAt = new Map<number, number>()
  const told: Array<{ at: number, reason: string }> = []
  // A frame takes a quarter of a millisecond, however long it takes here.
  app.sockets.on('closing', ({ id }) => {
    sentAt.set(id, clock.now())
    clock.stall(0.25)
  })
  app.sockets.on('closed', ({ id }, { reason }) => { told.push({ at: sentAt.get(id)!, reason }) })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await app.close()
  delay.disable()
  const ends = await endsOf(children)
  assert.equal(ends.length, 2_000)
  assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([1012]))
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual(report.connections, { total: 2_000, clean: 2_000, leftByThemselves: 0, terminated: 0, unfinished: 0, causes: { drain: 2_000 } })
  assert.equal(report.cleanups.finished, 2_000)
  assert.equal(cleaned, 2_000)
  const delays = ends.map(retryOf).sort((a, b) => a - b)
  assert.deepEqual(report.reconnect, { min: delays[0], max: delays.at(-1) })
  assert.ok(delays[0]! >= 1_000 && delays.at(-1)! <= 6_000)
  assert.deepEqual(told.map(retryOf).sort((a, b) => a - b), delays)
  // They come back at their own moment plus their delay: 400 a second, none before a second has gone by.
  const returns = told.map((end) => end.at + retryOf(end)).sort((a, b) => a - b)
  const first = returns[0]!
  const seconds = Array.from({ length: 4 }, (_, second) => returns.filter((at) => at >= first + second * 1000 && at < first + (second + 1) * 1000).length)
  assert.ok(seconds.every((count) => count > rate / 2 && count < rate * 2), `they come back at ${seconds.join(', ')} a second`)
  t.diagnostic(`${seconds.join(', ')} a second; longest stall ${(delay.max / 1e6).toFixed(1)} ms`)
})

test('1,000 clients, of which some are silent, some busy and some leave, are all counted', async (t) => {
  const clock = createClock()
  const app = await start(t, { drain: { timeout: 15_000 }, closeTimeout: 500, clock }, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/busy', { websocket: true }, (socket) => {
      const { drainSignal } = app.sockets.of(socket)
      socket.on('message', async () => {
        await new Promise((resolve) => { drainSignal.addEventListener('abort', () => { setTimeout(resolve, 100) }) })
        socket.send('done')
      })
    })
  }, QUIET)
  const children = await crowd(t, app, 800, 2)
  const silent = await Promise.all(Array.from({ length: 100 }, () => rawConnect(t, app, '/')))
  const busy = await Promise.all(Array.from({ length: 100 }, () => connect(t, app, '/busy')))
  for (const { socket } of busy) socket.send('job')
  await until(() => app.sockets.stats().working === 100)
  const leaving = children[0]!
  app.sockets.on('progress', ({ phase }) => { if (phase === 'notify') leaving.process.send('stop') })
  const closed = app.close()
  await until(() => app.sockets.stats().working === 0, 'the busy')
  // A silent peer keeps others waiting for 10 ms. Less than closeTimeout, for the rest may take long on a busy machine.
  await clock.tick(400)
  await until(() => app.sockets.size === silent.length, 'all who answer')
  await clock.tick(15_000)
  await closed
  const ends = await endsOf(children)
  const told = ends.filter(({ code }) => code === 1012).length
  const left = ends.filter(({ code }) => code === 1000).length
  assert.equal(told + left, 800)
  for (const client of busy) {
    assert.equal(await client.next(), 'done')
    assert.equal((await client.closed).code, 1012)
  }
  for (const peer of silent) assert.equal((await peer.closeFrame()).code, 1012)
  const report = reportOf(app)
  assertBounded(report)
  assert.equal(report.connections.total, 1_000)
  assert.equal(report.connections.clean, 900)
  assert.equal(report.connections.terminated, 100)
  assert.deepEqual(report.work, { inFlight: 100, finished: 100, abandoned: 0 })
  // Where the two frames crossed, the server has counted its own, and the client has seen its own.
  assert.ok(report.connections.leftByThemselves <= left)
  assert.equal(report.connections.leftByThemselves, report.connections.causes.client ?? 0)
})

test('1,000 clients killed at once, outside of any drain, leave nothing', async (t) => {
  let cleaned = 0
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { app.sockets.of(socket).defer(async () => { cleaned++ }) })
  }, QUIET)
  const [child] = await crowd(t, app, 1_000, 1)
  child!.kill('SIGKILL')
  await until(() => app.sockets.size === 0)
  assert.deepEqual(app.sockets.stats().closed, { network: 1_000 })
  assert.equal(cleaned, 1_000)
  await assertClean(app)
})
