/**
 * Idle timeout, lifetime and expiry over real sockets, on a clock that the tests move: what the client is told, what
 * the record, the history and the log say, and what a route and a connection may say of their own. How an expiry moves,
 * and what they all do beside another close, is in expiry.test.ts.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { deferred } from '../../lib/base/deferred.ts'
import type { Connection, LifecycleOptions } from '../../lib/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import { startClocked } from '../helpers/clocked-app.ts'
import { nextClosed } from '../helpers/records.ts'
import { connect, logged, until } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

const IDLE = { code: 3008, reason: 'idle timeout' }
const RETRY = /^maximum lifetime; retry=\d+$/

// The heartbeat has tests of its own; without it an hour ticks by in no time.
const serve: typeof startClocked = (t, options, routes) => startClocked(t, { heartbeat: false, ...options }, routes)

/** A client, and its connection on the server. */
async function join (t: TestContext, app: TestApp, path = '/'): Promise<{ client: TestClient, connection: Connection }> {
  const client = await connect(t, app, path)
  return { client, connection: app.sockets.list().at(-1)! }
}

/** Sends a message and has its answer. */
async function talk (client: TestClient): Promise<void> {
  client.send('hello')
  assert.equal(await client.next(), 'hello')
}

// ——— the close code, the reason and the log line of each end

const ends: Record<string, { options: LifecycleOptions, set?: (connection: Connection, clock: TestClock) => void, code: number, reason: RegExp, line: string }> = {
  idle: { options: { idleTimeout: 10_000 }, code: 3008, reason: /^idle timeout$/, line: 'an idle socket was closed' },
  lifetime: { options: { maxLifetime: 10_000 }, code: 1012, reason: RETRY, line: 'a socket was closed at the end of its lifetime' },
  expired: {
    options: {},
    set: (connection, clock) => { connection.expiresAt = clock.wallNow() + 10_000 },
    code: 3000,
    reason: /^session expired$/,
    line: 'a socket was closed: its session has expired'
  }
}

for (const [cause, { options, set, code, reason, line }] of Object.entries(ends)) {
  test(`${cause}: the client, the record, the history, the counters and the log tell the same`, async (t) => {
    const { app, clock } = await serve(t, options)
    const { client, connection } = await join(t, app)
    set?.(connection, clock)
    const record = nextClosed(app)
    await clock.tick(10_100)
    const closed = await client.closed
    assert.equal(closed.code, code)
    assert.match(closed.reason, reason)
    const { duration, ...told } = await record
    assert.deepEqual({ cause: told.cause, code: told.code, reason: told.reason, clean: told.clean }, { cause, ...closed, clean: true })
    assert.ok(duration > 0 && duration <= 10_100, `${duration} ms`)
    assert.deepEqual(app.sockets.history, [await record])
    assert.deepEqual(app.sockets.stats().closed, { [cause]: 1 })
    assert.deepEqual(logged(app, /socket was closed/).map(({ level, msg, connection, route, duration }) => ({ level, msg, connection, route, duration })),
      [{ level: 40, msg: line, connection: connection.id, route: '/', duration }])
  })
}

test('of many that end for the same reason five are logged, and then how many more there were', async (t) => {
  const { app, clock } = await serve(t, { idleTimeout: 1_000 })
  await Promise.all(Array.from({ length: 12 }, () => connect(t, app, '/')))
  await clock.tick(1_200)
  await until(() => app.sockets.size === 0)
  assert.equal(logged(app, /^an idle socket was closed$/).length, 5)
  await clock.tick(10_000)
  assert.deepEqual(logged(app, /^an idle socket was closed: more/).map(({ level, suppressed }) => ({ level, suppressed })), [{ level: 40, suppressed: 7 }])
})

// ——— idle

test('idle is who sends no message: pings, pongs and what the server sends are none', async (t) => {
  const { app, clock } = await serve(t, { idleTimeout: 2_000 })
  const [quiet, talking] = [await join(t, app), await join(t, app)]
  for (let second = 0; second < 3; second++) {
    quiet.client.socket.ping()
    quiet.client.socket.pong()
    quiet.connection.socket.send('news')
    await talk(talking.client)
    await clock.tick(1_000)
  }
  assert.deepEqual(await quiet.client.closed, IDLE)
  assert.equal(talking.connection.state, 'open')
})

test('idle is not who cannot be heard: while the application has paused the socket nothing runs out', async (t) => {
  const { app, clock } = await serve(t, { idleTimeout: 2_000 })
  const { client, connection } = await join(t, app)
  connection.socket.pause()
  client.send('hello')
  await clock.tick(20_000)
  assert.equal(connection.state, 'open')
  connection.socket.resume()
  assert.equal(await client.next(), 'hello')
  await clock.tick(1_900)
  assert.equal(connection.state, 'open')
  await clock.tick(300)
  assert.deepEqual(await client.closed, IDLE)
})

test('a route may have its own idleTimeout and maxLifetime, or none', async (t) => {
  const { app, clock } = await serve(t, { idleTimeout: 10_000, maxLifetime: 100_000 }, {
    '/short': { idleTimeout: 1_000 },
    '/long': { idleTimeout: 20_000, maxLifetime: false },
    '/never': { idleTimeout: false, maxLifetime: false },
    '/brief': { idleTimeout: false, maxLifetime: 5_000 }
  })
  const at = Object.fromEntries(await Promise.all(['/', '/short', '/long', '/never', '/brief'].map(async (path) => [path, await connect(t, app, path)])))
  const left = () => app.sockets.list().map(({ route }) => route).sort()
  await clock.tick(1_200)
  assert.deepEqual(await at['/short'].closed, IDLE)
  await clock.tick(4_000)
  assert.match((await at['/brief'].closed).reason, RETRY)
  await clock.tick(5_000)
  assert.deepEqual(await at['/'].closed, IDLE)
  assert.deepEqual(left(), ['/long', '/never'])
  await clock.tick(10_000)
  assert.deepEqual(await at['/long'].closed, IDLE)
  await clock.tick(100_000)
  assert.deepEqual(left(), ['/never'])
})

test('a connection shows what its route gives it, may set its own, and may take it away', async (t) => {
  const { app, clock } = await serve(t, {}, { '/own': { idleTimeout: 5_000, maxLifetime: 60_000 } })
  const { client, connection } = await join(t, app, '/own')
  const { connection: other } = await join(t, app)
  assert.deepEqual([connection.idleTimeout, connection.maxLifetime, connection.expiresAt], [5_000, 60_000, undefined])
  assert.deepEqual([other.idleTimeout, other.maxLifetime, other.expiresAt], [false, false, undefined])
  connection.idleTimeout = false
  connection.maxLifetime = false
  await clock.tick(100_000)
  // Setting it starts the time anew; a lifetime counts from the start.
  connection.idleTimeout = 2_000
  await clock.tick(1_900)
  assert.equal(connection.state, 'open')
  connection.idleTimeout = 2_000
  await clock.tick(1_900)
  assert.equal(connection.state, 'open')
  other.maxLifetime = 50_000
  await clock.tick(300)
  assert.deepEqual(await client.closed, IDLE)
  await until(() => app.sockets.size === 0)
  assert.deepEqual(app.sockets.history.map(({ cause }) => cause).sort(), ['idle', 'lifetime'])
})

// ——— lifetime

test('lifetimes are shortened by up to a fifth, not all alike, and are over at their end at the latest', async (t) => {
  const { app, clock } = await serve(t, { maxLifetime: 100_000 })
  await Promise.all(Array.from({ length: 50 }, () => connect(t, app, '/')))
  await clock.tick(79_900)
  assert.equal(app.sockets.size, 50)
  await clock.tick(10_000)
  assert.ok(app.sockets.size > 0 && app.sockets.size < 50, `${app.sockets.size} are left at nine tenths`)
  await clock.tick(10_200)
  await until(() => app.sockets.size === 0)
  for (const { code, duration } of app.sockets.history) assert.ok(code === 1012 && duration >= 80_000 && duration <= 100_100, `${code} after ${duration}`)
})

test('at the end of its life a connection may finish its work, for as long as the grace of a drain', async (t) => {
  const { app, clock } = await serve(t, { maxLifetime: 10_000 })
  const { grace } = app.sockets.plan()
  const [finishing, hanging] = [await join(t, app), await join(t, app)]
  const work = deferred<void>()
  void finishing.connection.track(work.promise)
  const endless = deferred<void>()
  void hanging.connection.track(endless.promise)
  await clock.tick(10_100)
  assert.deepEqual(app.sockets.list().map(({ state }) => state), ['open', 'open'])
  work.resolve()
  await clock.tick(100)
  assert.match((await finishing.client.closed).reason, RETRY)
  assert.equal(hanging.connection.state, 'open')
  await clock.tick(grace)
  assert.match((await hanging.client.closed).reason, RETRY)
  endless.resolve()
})

test('a client of injectWS has its deadlines like any other', async (t) => {
  const { app, clock } = await serve(t, { idleTimeout: 1_000 })
  const client = await app.injectWS('/')
  const closed = new Promise((resolve) => { client.once('close', (code, reason) => { resolve({ code, reason: String(reason) }) }) })
  await clock.tick(1_200)
  assert.deepEqual(await closed, IDLE)
})
