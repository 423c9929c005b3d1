/**
 * Expiry over real sockets, on a clock that the tests move: a token that is brought anew over the connection itself; and
 * what all three deadlines do in a drain, while a close is under way, and on a connection that is closed.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { deferred } from '../../lib/base/deferred.ts'
import type { Connection, LifecycleOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import { connect, logged, rawConnect, start, until } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

const EXPIRED = { code: 3000, reason: 'session expired' }

/** A server on a clock of its own, with an echo. */
async function serve (t: TestContext, options: LifecycleOptions = {}): Promise<{ app: TestApp, clock: TestClock }> {
  const clock = createClock()
  const app = await start(t, { heartbeat: false, ...options, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  })
  return { app, clock }
}

/** A client, and its connection on the server. */
async function join (t: TestContext, app: TestApp): Promise<{ client: TestClient, connection: Connection }> {
  const client = await connect(t, app, '/')
  return { client, connection: app.sockets.list().at(-1)! }
}

test('a new token is brought over the connection itself: expiresAt moves and the client stays connected', async (t) => {
  const { app, clock } = await serve(t)
  const { client, connection } = await join(t, app)
  connection.socket.on('message', (data) => {
    if (String(data) === 'refresh') connection.expiresAt = new Date(clock.wallNow() + 60_000)
  })
  connection.expiresAt = clock.wallNow() + 60_000
  for (let minute = 0; minute < 5; minute++) {
    await clock.tick(59_000)
    client.send('refresh')
    assert.equal(await client.next(), 'refresh')
  }
  assert.equal(connection.expiresAt, clock.wallNow() + 60_000)
  assert.equal(app.sockets.stats().opened, 1)
  await clock.tick(60_100)
  assert.deepEqual(await client.closed, EXPIRED)
})

test('an expiry in the past closes at once, one that is taken away never, and one that moves closer sooner', async (t) => {
  const { app, clock } = await serve(t)
  const [past, never, closer] = [await join(t, app), await join(t, app), await join(t, app)]
  past.connection.expiresAt = clock.wallNow() - 1
  never.connection.expiresAt = clock.wallNow() + 5_000
  never.connection.expiresAt = undefined
  closer.connection.expiresAt = clock.wallNow() + 3_600_000
  closer.connection.expiresAt = clock.wallNow() + 2_000
  await clock.tick(100)
  assert.deepEqual(await past.client.closed, EXPIRED)
  await clock.tick(2_000)
  assert.deepEqual(await closer.client.closed, EXPIRED)
  await clock.tick(3_600_000)
  assert.equal(never.connection.state, 'open')
  assert.equal(never.connection.expiresAt, undefined)
})

test('what has expired is not waited for, and where lifetime and expiry end together the expiry is told', async (t) => {
  const { app, clock } = await serve(t, { maxLifetime: 10_000 })
  const { client, connection } = await join(t, app)
  const work = deferred<void>()
  void connection.track(work.promise)
  clock.stall(20_000)
  connection.expiresAt = clock.wallNow()
  await clock.tick(100)
  assert.deepEqual(await client.closed, EXPIRED)
  work.resolve()
})

test('wrong values throw, say what is right, and change nothing', async (t) => {
  const { app, clock } = await serve(t, { idleTimeout: 5_000 })
  const { connection } = await join(t, app)
  const later = connection.expiresAt = clock.wallNow() + 60_000
  const code = 'SOCKETS_ERR_INVALID_ARGUMENT'
  for (const wrong of [Math.floor(later / 1_000), NaN, Infinity, -1, new Date(NaN), String(later), null]) {
    assert.throws(() => { connection.expiresAt = wrong as number }, { code }, String(wrong))
  }
  for (const wrong of [0, -1, 1.5, NaN, Infinity, '5s', true, null, undefined]) {
    assert.throws(() => { connection.idleTimeout = wrong as number }, { code }, `idleTimeout ${String(wrong)}`)
    assert.throws(() => { connection.maxLifetime = wrong as number }, { code }, `maxLifetime ${String(wrong)}`)
  }
  assert.throws(() => { connection.expiresAt = Math.floor(later / 1_000) }, /seconds × 1000/)
  assert.deepEqual([connection.idleTimeout, connection.maxLifetime, connection.expiresAt], [5_000, false, later])
})

// ——— beside another close

test('in a drain no connection is idle, too old or expired: one with work in flight is closed with the code of the drain', async (t) => {
  const { app, clock } = await serve(t, { drain: { timeout: 100_000 } })
  const joined = [await join(t, app), await join(t, app), await join(t, app)] as const
  const work = deferred<void>()
  for (const { connection } of joined) void connection.track(work.promise)
  const [idle, old, expired] = joined.map(({ connection }) => connection) as [Connection, Connection, Connection]
  old.maxLifetime = 5_000
  const drain = app.sockets.drain()
  await until(() => joined.every(({ connection }) => connection.state === 'draining'))
  idle.idleTimeout = 1_000
  expired.expiresAt = clock.wallNow() + 1_000
  await clock.tick(10_000)
  assert.deepEqual(joined.map(({ connection }) => connection.state), ['draining', 'draining', 'draining'])
  work.resolve()
  assert.deepEqual((await drain).connections.causes, { drain: 3 })
  for (const { client } of joined) assert.match((await client.closed).reason, /^service restart/)
})

test('what comes due or moves while a close is under way changes neither its cause nor its code', async (t) => {
  const { app, clock } = await serve(t, { idleTimeout: 1_000, maxLifetime: 1_000, closeTimeout: 5_000, drain: { timeout: 60_000 } })
  const raw = await rawConnect(t, app, '/')
  const [connection] = app.sockets.list()
  const record = connection!.close(4_000, 'bye')
  assert.deepEqual(await raw.closeFrame(), { code: 4_000, reason: 'bye' })
  connection!.expiresAt = clock.wallNow() - 1
  connection!.idleTimeout = 100
  connection!.maxLifetime = 100
  await clock.tick(4_000)
  assert.equal(connection!.state, 'closing')
  assert.deepEqual(raw.frames, [])
  await clock.tick(1_200)
  const { cause, code, reason } = await record
  assert.deepEqual({ cause, code, reason }, { cause: 'application', code: 4_000, reason: 'bye' })
  assert.equal(logged(app, /socket was closed/).length, 0)
})

test('on a closed connection they can be set and read, and do nothing', async (t) => {
  const { app, clock } = await serve(t)
  const { client, connection } = await join(t, app)
  await Promise.all([client.close(), connection.closed])
  const at = connection.expiresAt = clock.wallNow() + 1_000
  connection.idleTimeout = 1_000
  connection.maxLifetime = 1_000
  assert.deepEqual([connection.idleTimeout, connection.maxLifetime, connection.expiresAt], [1_000, 1_000, at])
  assert.throws(() => { connection.expiresAt = 1 }, { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  assert.equal(clock.pendingTimers, 0)
  await clock.tick(10_000)
  assert.deepEqual(app.sockets.history.map(({ cause }) => cause), ['client'])
})
