/**
 * Memory pressure as the real @fastify/under-pressure tells it: no new connections, the idlest go a few at a time, and it takes a
 * while without until it is over.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import underPressure from '@fastify/under-pressure'
import Fastify from 'fastify'
import plugin from '../../lib/index.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { connect, logged, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import { listen, turnedAway } from './rig.ts'
import type { Told } from './rig.ts'

interface Served { app: TestApp, clock: TestClock, told: Told, press: (on: boolean) => Promise<void> }

/** A server whose health check says what a test wants; it is asked every few milliseconds. */
async function serve (t: TestContext, options: LifecycleOptions = {}): Promise<Served> {
  const clock = createClock()
  let healthy = true
  let told!: Told
  const app = await start(t, { limits: { pressure: true }, heartbeat: false, ...options, clock }, (app) => {
    told = listen(app)
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  }, {
    before: async (app) => { await app.register(underPressure, { healthCheck: async () => healthy, healthCheckInterval: 5, pressureHandler: () => {} }) }
  })
  return {
    app,
    clock,
    told,
    press: async (on) => {
      healthy = !on
      await until(() => app.isUnderPressure() === on)
    }
  }
}

const begun = (app: TestApp) => logged(app, /^under pressure/)
const over = (app: TestApp) => logged(app, /^pressure is over/)

test('under pressure handshakes get 503 with Retry-After, without a hook or a handler; both ends are logged once', async (t) => {
  const { app, clock, told, press } = await serve(t)
  await connect(t, app, '/')
  await press(true)
  for (let i = 0; i < 3; i++) {
    const { status, headers } = await turnedAway(connect(t, app, '/'))
    assert.deepEqual([status, headers['retry-after']], [503, '1'])
  }
  assert.deepEqual(told.refused.map(({ reason }) => reason), ['pressure', 'pressure', 'pressure'])
  assert.equal(begun(app).length, 1)
  assert.equal(begun(app)[0]!.level, 40)
  await press(false)
  assert.equal((await turnedAway(connect(t, app, '/'))).status, 503, 'not over at the first good moment')
  await clock.tick(6_100)
  assert.deepEqual(over(app).map(({ level, evicted }) => ({ level, evicted })), [{ level: 40, evicted: 0 }])
  await connect(t, app, '/')
})

test('while it lasts the idlest are told 1012 with a delay, one in a hundred a second; those at work stay', async (t) => {
  const { app, clock, told, press } = await serve(t)
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(t, app, '/')))
  const connections = app.sockets.list()
  const { promise, resolve: release } = deferred<void>()
  void connections[0]!.track(promise)
  await clock.tick(2_000)
  const talker = clients.at(-1)!
  talker.send('busy')
  await talker.next()
  await press(true)
  await clock.tick(3_100)
  await until(() => told.closed.length >= 3)
  assert.equal(told.closed.length, 3)
  for (const { record } of told.closed) {
    assert.deepEqual([record.cause, record.code], ['rebalance', 1012])
    assert.match(record.reason, /^server under pressure; retry=\d+$/)
  }
  assert.ok(!told.closed.some(({ connection }) => connection === connections[0]), 'who works stays')
  assert.equal(talker.socket.readyState, talker.socket.OPEN, 'who talks is last')
  await press(false)
  await clock.tick(6_100)
  assert.equal(over(app)[0]!['evicted'], 3)
  assert.equal(app.sockets.size, 2)
  release()
})

test('it flickers, the door does not: a moment without pressure opens nothing', async (t) => {
  const { app, clock, press } = await serve(t)
  await connect(t, app, '/')
  for (let i = 0; i < 4; i++) {
    await press(true)
    await clock.tick(1_000)
    await press(false)
    await clock.tick(2_000)
    assert.equal((await turnedAway(connect(t, app, '/'))).status, 503)
  }
  assert.deepEqual([begun(app).length, over(app).length], [1, 0])
  await clock.tick(6_000)
  assert.deepEqual([begun(app).length, over(app).length], [1, 1])
})

test('pressure is noticed without a new connection, while one is open', async (t) => {
  const { app, clock, press } = await serve(t)
  await connect(t, app, '/')
  await press(true)
  await clock.tick(1_100)
  assert.equal(begun(app).length, 1)
})

test('refusal: close tells browsers', async (t) => {
  const { app, press } = await serve(t, { refusal: 'close' })
  await press(true)
  const client = await connect(t, app, '/')
  assert.deepEqual(await client.closed, { code: 1013, reason: 'no room; retry=1000' })
})

test('mode observe: pressure is told, no connection is refused or evicted', async (t) => {
  const { app, clock, told, press } = await serve(t, { mode: { pressure: 'observe' } })
  await connect(t, app, '/')
  await press(true)
  await connect(t, app, '/')
  await clock.tick(3_100)
  assert.equal(app.sockets.size, 2)
  assert.deepEqual([...new Set(told.observed.map(({ policy, action }) => `${policy} ${action}`))], ['pressure refuse', 'pressure evict'])
  assert.deepEqual(told.refused, [])
})

test('without @fastify/under-pressure the app does not become ready, and says why', async () => {
  const app = Fastify()
  await app.register(plugin, { limits: { pressure: true } })
  await assert.rejects(async () => { await app.ready() }, { code: 'SOCKETS_ERR_OPTION_CONFLICT', message: /@fastify\/under-pressure/ })
  await app.close()
})

test('the two may be registered in either order', async (t) => {
  let told!: Told
  const app = await start(t, { limits: { pressure: true } }, async (app) => {
    told = listen(app)
    await app.register(underPressure, { maxHeapUsedBytes: 1, pressureHandler: () => {} })
    app.get('/', { websocket: true }, () => {})
  })
  await until(() => app.isUnderPressure())
  assert.equal((await turnedAway(connect(t, app, '/'))).status, 503)
  assert.deepEqual(told.refused.map(({ reason }) => reason), ['pressure'])
})
