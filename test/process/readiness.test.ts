/**
 * The readiness route: its answers in each state of the server.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { deferred } from '../../lib/base/deferred.ts'
import { nextEvent } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, logged, portOf, start } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const ask = async (app: TestApp, path = '/ready') => {
  const response = await fetch(`http://127.0.0.1:${portOf(app)}${path}`)
  return { status: response.status, type: response.headers.get('content-type'), connection: response.headers.get('connection'), body: await response.text() }
}

test('200 while sockets are taken, 503 from the first moment of a drain, each with a small JSON body', async (t) => {
  const app = await start(t, { readiness: '/ready', drain: { settleDelay: 5_000, timeout: 10_000 } }, plain)
  const opened = nextEvent(app, 'open')
  await connect(t, app, '/')
  await opened
  const before = await ask(app)
  assert.equal(before.status, 200)
  assert.match(before.type!, /^application\/json/)
  assert.deepEqual(JSON.parse(before.body), { state: 'running', connections: 1 })
  const drained = app.sockets.drain()
  const during = await ask(app)
  assert.deepEqual([during.status, during.connection], [503, 'close'])
  assert.deepEqual(JSON.parse(during.body), { state: 'draining', connections: 1 })
  assert.equal(app.sockets.accepting, true, 'it still settles')
  await app.close()
  await drained
})

test('after a bare drain() it stays 503', async (t) => {
  const app = await start(t, { readiness: '/ready' }, plain)
  await app.sockets.drain()
  const { status, body } = await ask(app)
  assert.equal(status, 503)
  assert.deepEqual(JSON.parse(body), { state: 'drained', connections: 0 })
})

test('in a plain app.close() the listener is closed before a drain that takes time: a probe is refused', async (t) => {
  const job = deferred<void>()
  const app = await start(t, { readiness: '/ready' }, (app) => { app.get('/', { websocket: true }, (socket) => { socket.on('message', () => job.promise) }) })
  const client = await connect(t, app, '/')
  const received = nextEvent(app, 'drain')
  client.socket.send('job')
  client.socket.ping()
  await once(client.socket, 'pong')
  const port = portOf(app)
  const closed = app.close()
  await received
  await assert.rejects(fetch(`http://127.0.0.1:${port}/ready`), ({ cause }: { cause: { code: string } }) => cause.code === 'ECONNREFUSED')
  assert.equal(app.sockets.state, 'draining')
  job.resolve()
  await closed
})

test('it is quiet in the access log; other routes are not', async (t) => {
  const app = await start(t, { readiness: '/ready' }, (app) => { app.get('/http', async () => '') })
  await ask(app)
  assert.equal(logged(app, /incoming request|request completed/).length, 0)
  await ask(app, '/http')
  assert.equal(logged(app, /incoming request|request completed/).length, 2)
})

test('it takes the options of a Fastify route', async (t) => {
  let hooks = 0
  const readiness = Object.freeze({ url: '/health/ready', logLevel: 'info' as const, onRequest: async () => { hooks++ } })
  const app = await start(t, { readiness }, plain)
  assert.equal((await ask(app, '/health/ready')).status, 200)
  assert.equal(hooks, 1)
  assert.equal(logged(app, /incoming request/).length, 1)
})

test('there is none unless it was asked for', async (t) => {
  const app = await start(t, {}, plain)
  assert.equal((await ask(app)).status, 404)
})

test('a path that is taken already fails at registration', async (t) => {
  await assert.rejects(start(t, { readiness: '/ready' }, undefined, { before: (app) => { app.get('/ready', async () => '') } }),
    { code: 'FST_ERR_DUPLICATED_ROUTE' })
})
