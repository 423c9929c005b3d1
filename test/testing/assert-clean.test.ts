/**
 * `assertClean` of the testing entry: passes where nothing is left, and says what it is where something is.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import Fastify from 'fastify'
import { deferred } from '../../lib/base/deferred.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { assertClean, connect } from '../../lib/testing/index.ts'
import { nextClosed } from '../helpers/records.ts'
import { rawTcp, start, timersOfOurs, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const serve = (t: TestContext): Promise<TestApp> => start(t, { heartbeat: false }, (app) => {
  app.get('/room', { websocket: true }, () => {})
})

test('passes after the close, before the first client, and when the last one has left', async (t) => {
  const app = await serve(t)
  await assertClean(app)
  const client = await connect(app, '/room')
  const gone = nextClosed(app)
  await client.close()
  await gone
  await assertClean(app)
  await app.close()
  await assertClean(app)
})

test('fails for a connection that is open, and names it by id, route and state', async (t) => {
  const app = await serve(t)
  await connect(app, '/room')
  const { id } = app.sockets.list()[0]!
  await assert.rejects(assertClean(app), (error: Error) => {
    assert.equal(error.name, 'AssertionError')
    assert.match(error.message, /^connections are left: /)
    assert.ok(error.message.includes(`"id":${id},"route":"/room","state":"open"`), error.message)
    return true
  })
})

test('fails for a connection whose cleanup is not over', async (t) => {
  const app = await serve(t)
  const client = await connect(app, '/room')
  const cleanup = deferred<void>()
  const [connection] = app.sockets.list()
  connection!.defer(() => cleanup.promise)
  await client.close()
  await assert.rejects(assertClean(app), /connections are left: .*"state":"closing"/)
  cleanup.resolve()
  await connection!.closed
  await assertClean(app, { sockets: 1 })
})

test('fails for a cleanup that was deferred on a closed connection and is not over', async (t) => {
  const app = await serve(t)
  const client = await connect(app, '/room')
  const [connection] = app.sockets.list()
  await Promise.all([client.close(), connection!.closed])
  const cleanup = deferred<void>()
  connection!.defer(() => cleanup.promise)
  assert.equal(app.sockets.size, 0)
  await assert.rejects(assertClean(app, { sockets: 1 }), /index entries, deadlines or work are left: \{.*\}/)
  cleanup.resolve()
  await until(() => app.sockets.stats().cleanups.finished === 1)
  await assertClean(app, { sockets: 1 })
})

test('fails for work that goes on after its connection has closed', async (t) => {
  const app = await serve(t)
  const client = await connect(app, '/room')
  const [connection] = app.sockets.list()
  const work = deferred<void>()
  void connection!.track(work.promise)
  await Promise.all([client.close(), connection!.closed])
  await assert.rejects(assertClean(app, { sockets: 1 }), /work are left: .*"working":1/)
  work.resolve()
  await until(() => app.sockets.stats().working === 0)
  await assertClean(app, { sockets: 1 })
})

test('fails for a TCP connection, unless as many may be there', async (t) => {
  const app = await serve(t)
  let arrived = 0
  app.server.on('connection', () => { arrived++ })
  await Promise.all([rawTcp(t, app), rawTcp(t, app)])
  await until(() => arrived === 2)
  await assert.rejects(assertClean(app), /2 TCP connections are left, at most 0 may be/)
  await assert.rejects(assertClean(app, { sockets: 1 }), /2 TCP connections are left, at most 1 may be/)
  await assertClean(app, { sockets: 2 })
})

test('passes for an app whose registration has failed, or that never had the plugin', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await assertClean(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  await assertClean(app)
})

test('passes directly after a client has left in whatever way, for what has arrived is read first', async (t) => {
  const app = await serve(t)
  const polite = await connect(app, '/room')
  await polite.close()
  await assertClean(app)
  const rude = await connect(app, '/room')
  rude.socket.terminate()
  await rude.closed
  await assertClean(app)
})

const STANDING: Array<[what: string, options: LifecycleOptions, under: boolean]> = [
  ['limits.pressure', { limits: { pressure: true } }, false],
  ['limits.pressure, under pressure', { limits: { pressure: true }, mode: { pressure: 'observe' } }, true],
  ["mode: 'observe'", { mode: 'observe', messageRate: { max: 1 } }, false]
]

for (const [what, options, under] of STANDING) {
  test(`passes when the last client has left, although timers of the plugin stand until the app closes: ${what}`, async (t) => {
    const app = await start(t, { heartbeat: false, ...options }, (app) => {
      app.get('/room', { websocket: true }, (socket) => { socket.on('message', () => {}) })
    }, { before: (app) => { app.decorate('isUnderPressure', () => under) } })
    const clients = [await connect(app, '/room'), await connect(app, '/room')]
    for (const client of clients) for (const text of ['a', 'b', 'c']) client.send(text)
    // Both are closing before either is closed.
    await Promise.all(clients.map((client) => client.close()))
    await until(() => app.sockets.size === 0)
    assert.ok(timersOfOurs().length > 0, 'no timer stands: this test shows nothing')
    await assertClean(app)
    await app.close()
    assert.deepEqual(timersOfOurs(), [])
  })
}

test('fails for a deadline of a connection beside those that stand', async (t) => {
  const app = await start(t, { limits: { pressure: true }, mode: 'observe', messageRate: { max: 1 }, cleanupTimeout: 60_000 }, (app) => {
    app.get('/room', { websocket: true }, (socket) => { socket.on('message', () => {}) })
  }, { before: (app) => { app.decorate('isUnderPressure', () => false) } })
  const client = await connect(app, '/room')
  client.send('a')
  client.send('b')
  const [connection] = app.sockets.list()
  await Promise.all([client.close(), connection!.closed])
  const cleanup = deferred<void>()
  connection!.defer(() => cleanup.promise)
  await assert.rejects(assertClean(app, { sockets: 1 }), /deadlines or work are left/)
  cleanup.resolve()
})
