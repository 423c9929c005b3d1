/**
 * `createClock` of the testing entry: a user's test moves everything that waits, by hand, while sockets are real.
 * That nothing moves by itself shows in the exact codes and in what is still open one step earlier.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { assertClean, connect, createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { nextClosed } from '../helpers/records.ts'
import { rawHandshake, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

interface Clocked { app: TestApp, clock: TestClock }

/** A server on a clock of its own, with an echo. */
async function clocked (t: TestContext, options: LifecycleOptions = {}, fastify = {}): Promise<Clocked> {
  const clock = createClock()
  const app = await start(t, { ...options, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  }, { listen: false, fastify })
  return { app, clock }
}

test('a clock stands still until it is told to tick, then timers run in order and see their moment', async () => {
  const clock = createClock({ wall: new Date('2030-01-01') })
  const seen: Array<[string, number]> = []
  const note = (what: string) => () => { seen.push([what, clock.now()]) }
  clock.setTimeout(note('late'), 200)
  clock.setTimeout(note('early'), 100)
  clock.setTimeout(() => { clock.setTimeout(note('armed by another'), 20) }, 100)
  clock.clearTimeout(clock.setTimeout(note('cancelled'), 50))
  assert.equal(clock.pendingTimers, 3)
  await clock.tick(99)
  assert.deepEqual(seen, [])
  await clock.tick(1)
  assert.deepEqual(seen, [['early', 100]])
  await clock.tick(900)
  assert.deepEqual(seen, [['early', 100], ['armed by another', 120], ['late', 200]])
  assert.equal(clock.now(), 1_000)
  assert.equal(clock.wallNow(), Date.parse('2030-01-01T00:00:01Z'))
  assert.equal(clock.pendingTimers, 0)
})

test('the wall clock can be set without a duration passing, and a stall runs no timer before the next tick', async () => {
  const clock = createClock({ wall: 0 })
  let ran = 0
  clock.setTimeout(() => { ran = clock.now() }, 100)
  clock.setWall(5_000)
  assert.deepEqual([clock.now(), clock.wallNow()], [0, 5_000])
  clock.stall(3_000)
  assert.deepEqual([clock.now(), clock.wallNow(), ran], [3_000, 8_000, 0])
  await clock.tick(0)
  assert.equal(ran, 3_000)
})

test('without a wall time a clock starts at the real one', () => {
  const before = Date.now()
  const clock = createClock()
  assert.ok(clock.wallNow() >= before && clock.wallNow() <= Date.now())
})

test('heartbeat: clients that answer live through any number of intervals, and the one that does not is found', async (t) => {
  const { app, clock } = await clocked(t, { heartbeat: { interval: 1_000, maxMissed: 2 } })
  const healthy = await Promise.all(Array.from({ length: 20 }, () => connect(app, '/')))
  const dead = await connect(app, '/', { autoPong: false })
  const record = nextClosed(app)
  await clock.tick(3_500)
  assert.equal((await record).cause, 'heartbeat')
  assert.equal((await dead.closed).code, 1006)
  await clock.tick(60_000)
  assert.equal(app.sockets.size, 20)
  for (const { rtt } of app.sockets.list()) assert.equal(rtt, 0)
  for (const client of healthy) assert.deepEqual(await client.close(), { code: 1000, reason: '' })
})

test('heartbeat: clients with a large message before their ping, and clients over TLS, are not found dead', async (t) => {
  const { app, clock } = await clocked(t, { heartbeat: { interval: 100, maxMissed: 1 } }, { https: makeCertificate() })
  await Promise.all(Array.from({ length: 20 }, () => connect(app, '/')))
  for (const { socket } of app.sockets.list()) socket.send(Buffer.alloc(1_000_000))
  await clock.tick(5_000)
  assert.equal(app.sockets.size, 20)
})

test('idleTimeout: passes when the clock does, and a message starts it anew', async (t) => {
  const { app, clock } = await clocked(t, { idleTimeout: 60_000 })
  const client = await connect(app, '/')
  await clock.tick(59_900)
  client.send('here')
  assert.equal(await client.next(), 'here')
  await clock.tick(59_900)
  assert.equal(app.sockets.size, 1)
  await clock.tick(200)
  assert.deepEqual(await client.closed, { code: 3008, reason: 'idle timeout' })
})

test('maxLifetime: passes when the clock does', async (t) => {
  const { app, clock } = await clocked(t, { maxLifetime: 3_600_000, heartbeat: false })
  const client = await connect(app, '/')
  // Up to 20 % shorter, by chance.
  await clock.tick(2_879_000)
  assert.equal(app.sockets.size, 1)
  await clock.tick(721_100)
  const { code, reason } = await client.closed
  assert.equal(code, 1012)
  assert.match(reason, /^maximum lifetime; retry=\d+$/)
})

test('expiresAt: passes when the clock does, and when the wall clock is set', async (t) => {
  const { app, clock } = await clocked(t)
  const ticked = await connect(app, '/')
  app.sockets.list()[0]!.expiresAt = clock.wallNow() + 10_000
  await clock.tick(9_900)
  assert.equal(app.sockets.size, 1)
  await clock.tick(200)
  assert.deepEqual(await ticked.closed, { code: 3000, reason: 'session expired' })

  const set = await connect(app, '/')
  const expiresAt = clock.wallNow() + 3_600_000
  app.sockets.list()[0]!.expiresAt = expiresAt
  clock.setWall(expiresAt)
  await clock.tick(150)
  assert.deepEqual(await set.closed, { code: 3000, reason: 'session expired' })
})

test('the handshake timeout passes when the clock does', async (t) => {
  const { app, clock } = await clocked(t)
  app.addHook('onRequest', async () => { await new Promise(() => {}) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  let refused = 0
  app.sockets.on('refused', ({ reason }) => { if (reason === 'handshake timeout') refused++ })
  const client = await rawHandshake(t, app, '/')
  let answered = false
  void client.answer.then(() => { answered = true })
  await clock.tick(9_900)
  assert.equal(answered, false)
  await clock.tick(200)
  assert.equal((await client.answer).status, 503)
  assert.equal(refused, 1)
})

test('a drain passes when the clock does: grace for work that hangs, then closeTimeout for a silent peer', async (t) => {
  const { app, clock } = await clocked(t, { closeTimeout: 1_000, drain: { timeout: 10_000, settleDelay: 2_000 } })
  const { grace } = app.sockets.plan()
  const silent = await connect(app, '/')
  const [connection] = app.sockets.list()
  const work = deferred<void>()
  void connection!.track(work.promise)
  silent.socket.pause()

  const drain = app.sockets.drain()
  await clock.tick(1_990)
  assert.deepEqual([app.sockets.accepting, connection!.state], [true, 'open'])
  await clock.tick(20)
  assert.deepEqual([app.sockets.accepting, connection!.state], [false, 'draining'])
  await clock.tick(grace - 100)
  assert.equal(connection!.state, 'draining')
  await clock.tick(200)
  assert.equal(connection!.state, 'closing')
  await clock.tick(800)
  assert.equal(connection!.state, 'closing')
  await clock.tick(400)
  const { connections, duration, timeout } = await drain
  assert.deepEqual({ ...connections, causes: {} }, { total: 1, clean: 0, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: {} })
  assert.ok(duration <= timeout, `${duration} of ${timeout}`)
  assert.equal(duration, Math.round(duration), 'nothing but the test has moved the clock')
  work.resolve()
})

test('app.close() needs no tick where clients cooperate and nothing is in flight', async (t) => {
  const { app, clock } = await clocked(t, { idleTimeout: 60_000, maxLifetime: 60_000 })
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect(app, '/')))
  app.sockets.list()[0]!.expiresAt = clock.wallNow() + 1_000
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  assert.equal(clock.now(), 0)
  assert.equal(clock.pendingTimers, 0)
  await assertClean(app)
})

test('two servers on one clock are moved together', async (t) => {
  const clock = createClock()
  const options = { clock, idleTimeout: 5_000 }
  const apps = [await start(t, options, route), await start(t, options, route)] as const
  const clients = [await connect(apps[0], '/'), await connect(apps[1], '/')]
  await clock.tick(5_200)
  for (const { closed } of clients) assert.equal((await closed).code, 3008)
  await until(() => apps.every(({ sockets }) => sockets.size === 0))
})

function route (app: TestApp): void { app.get('/', { websocket: true }, () => {}) }
