/**
 * What the review found: each of these was broken once where bare @fastify/websocket was not, or told untruly.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import test from 'node:test'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import plugin from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { sendJob } from '../helpers/busy.ts'
import { echo } from '../helpers/routes.ts'
import { connect, logged, portOf, start, until } from '../helpers/server.ts'

test('code that counts the bytes of TCP connections does not keep handshakes from opening', async (t) => {
  let bytes = 0
  const app = await start(t, {}, echo, {
    before: (app) => { app.server.on('connection', (raw) => { raw.on('data', (chunk: Buffer) => { bytes += chunk.length }) }) }
  })
  const client = await connect(t, app, '/')
  client.socket.send('hello')
  assert.equal(String(await client.next()), 'hello')
  assert.notEqual(bytes, 0)
})

test('Upgrade: h2c on a route that was declared before the plugin is answered over HTTP', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.get('/', async () => 'plain')
  await app.register(plugin)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const asked = request({ port: portOf(app), host: '127.0.0.1', headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c' } }).end()
  const [answer] = await once(asked, 'response') as [IncomingMessage]
  answer.resume()
  assert.equal(answer.statusCode, 200)
})

test('an adopted @fastify/websocket has its ws server closed once', async () => {
  const app = Fastify()
  await app.register(fastifyWebsocket)
  await app.register(plugin)
  let closed = 0
  app.websocketServer.on('close', () => { closed++ })
  await app.listen({ port: 0, host: '127.0.0.1' })
  await app.close()
  await new Promise((resolve) => { setImmediate(resolve) })
  assert.equal(closed, 1)
})

test("what a user's errorHandler closes has the cause error, wherever the error came from", async (t) => {
  const app = await start(t, { errorHandler: (_error, socket) => { socket.close(1011, 'sorry') } }, (app) => {
    app.get('/handler', { websocket: true }, () => { throw new Error('handler') })
    app.get('/listener', { websocket: true }, (socket) => { socket.on('message', () => { throw new Error('listener') }) })
  })
  for (const path of ['/handler', '/listener']) {
    const client = await connect(t, app, path)
    client.socket.send('go')
    assert.equal((await client.closed).code, 1011)
  }
  await until(() => app.sockets.size === 0)
  assert.deepEqual(app.sockets.history.map(({ cause, code }) => `${cause} ${code}`), ['error 1011', 'error 1011'])
})

test('work of a client that left before the drain is in the report', async (t) => {
  const { promise: work, resolve: finish } = deferred<void>()
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => work) })
  })
  const client = await connect(t, app, '/')
  await sendJob(app, client)
  client.socket.close()
  await until(() => app.sockets.size === 0)
  const drained = app.sockets.drain()
  finish()
  const { work: counted, connections } = await drained
  assert.deepEqual([counted, connections.total], [{ inFlight: 1, finished: 1, abandoned: 0 }, 0])
})

test('an owner that is no string is refused without being shown', async (t) => {
  const app = await start(t, { owner: (() => ({ email: 'someone@example.org' })) as never }, echo)
  const client = await connect(t, app, '/')
  assert.equal((await client.closed).code, 1011)
  assert.equal(logged(app, /someone@example.org/).length, 0)
  assert.equal(JSON.stringify(app.logs).includes('someone@example.org'), false)
})
