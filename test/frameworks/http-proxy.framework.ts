/**
 * @fastify/http-proxy with `websocket: true`: a ws server of its own, on the same port as Fastify's routes.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test, { after, before } from 'node:test'
import httpProxy from '@fastify/http-proxy'
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy'
import type { FastifyInstance } from 'fastify'
import { WebSocketServer } from 'ws'
import { connect, logged, rawHandshake, start, until } from '../helpers/server.ts'
import type { Closed } from '../helpers/server.ts'
import { checkFramework, serve } from './checks.ts'
import type { Framework } from './checks.ts'
import { connectWs } from './ws-client.ts'

/** What connections are proxied to: an echo. */
let upstream: WebSocketServer
/** How they ended there. */
const ends: Closed[] = []

before(async () => {
  upstream = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  upstream.on('connection', (socket) => {
    socket.on('message', (data) => { socket.send(`echo ${String(data)}`) })
    socket.on('close', (code, reason) => { ends.push({ code, reason: reason.toString() }) })
  })
  await once(upstream, 'listening')
})

after(() => { upstream.close() })

/** What its reply decorator holds. */
interface WsProxy { wss: WebSocketServer }

async function setUp (app: FastifyInstance, options: Partial<FastifyHttpProxyOptions> = {}): Promise<void> {
  await app.register(httpProxy, {
    upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    prefix: '/proxied',
    websocket: true,
    // The one place where it shows its ws server: runs before the first handshake is answered.
    preHandler: (_request, reply, done) => {
      app.sockets.adopt((reply as unknown as { wsProxy: WsProxy }).wsProxy.wss)
      done()
    },
    ...options
  } as FastifyHttpProxyOptions)
}

const framework: Framework = {
  // For adopted servers the path that was asked for.
  route: '/proxied/echo',
  setUp: (app) => setUp(app),
  connect: (t, url) => connectWs(t, `ws://${url}/proxied/echo`, (text) => text, (text) => `echo ${text}`),
  comesBack: false
}

checkFramework('http-proxy, registered after', framework)
checkFramework('http-proxy, registered before', { ...framework, before: framework.setUp!, setUp: () => {} })

test('http-proxy: routes of the same app stay as they are, and both are drained', async (t) => {
  const app = await start(t, {}, async (app) => {
    app.get('/own', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(`own ${String(data)}`) }) })
    await setUp(app)
  })
  const own = await connect(t, app, '/own')
  const proxied = await connect(t, app, '/proxied/echo')
  for (const [client, answer] of [[own, 'own hello'], [proxied, 'echo hello']] as const) {
    client.socket.send('hello')
    assert.equal(await client.next(), answer)
  }
  assert.deepEqual(app.sockets.list().map(({ route }) => route), ['/own', '/proxied/echo'])
  await assert.rejects(connect(t, app, '/elsewhere'), { status: 404 })
  await app.close()
  for (const { closed } of [own, proxied]) assert.equal((await closed).code, 1012)
})

test('http-proxy: a bare drain closes what was adopted, and leaves the listener open', async (t) => {
  const app = await start(t, {}, (app) => setUp(app))
  const { closed } = await connect(t, app, '/proxied/echo')
  await app.sockets.drain()
  assert.equal((await closed).code, 1012)
  assert.ok(app.server.listening)
  await assert.rejects(connect(t, app, '/proxied/echo'), { status: 503 })
})

test('http-proxy: without adopt() a bare drain leaves its sockets alone, and app.close() ends them without a code', async (t) => {
  const app = await start(t, {}, (app) => setUp(app, { preHandler: undefined as never }))
  const client = await connect(t, app, '/proxied/echo')
  assert.equal(app.sockets.size, 0)
  await app.sockets.drain()
  client.socket.send('hello')
  assert.equal(await client.next(), 'echo hello')
  await app.close()
  assert.deepEqual(await client.closed, { code: 1005, reason: '' })
})

test('http-proxy: the upstream gets our code and reason, and wsReconnect does not bring it back', async (t) => {
  const { app, url, close } = await serve(t, {
    ...framework,
    setUp: (app) => setUp(app, { wsReconnect: { logs: true } } as never)
  })
  const { ended } = await framework.connect(t, url)
  ends.length = 0
  await close()
  await until(() => ends.length === 1, 'the upstream to hear of it')
  assert.deepEqual(ends, [await ended])
  assert.ok(logged(app, /^proxy ws close link$/).length > 0)
  assert.equal(logged(app, /^proxy ws reconnect/).length, 0)
})

const PARAMETERS = { prefix: '/api/:tenant', rewritePrefix: '/internal/:tenant' }

for (const order of ['before', 'after'] as const) {
  test(`http-proxy ${order} this plugin, with parameters in its prefix: a warning names the route`, async (t) => {
    const app = await start(t, {}, (app) => order === 'after' ? setUp(app, PARAMETERS) : undefined, order === 'before' ? { before: (app) => setUp(app, PARAMETERS) } : {})
    const client = await connect(t, app, '/api/acme/x').catch(() => undefined)
    await client?.closed
    assert.deepEqual(logged(app, /^@fastify\/http-proxy does not proxy WebSockets of this route/).map(({ route }) => route), ['/api/:tenant/*'])
  })
}

test('http-proxy with the part before its parameters as prefix proxies, and refuses paths that leave it', async (t) => {
  const paths: Array<string | undefined> = []
  upstream.once('connection', (_socket, request) => { paths.push(request.url) })
  const app = await start(t, {}, (app) => setUp(app, { prefix: '/api', rewritePrefix: '/internal' }))
  const client = await connect(t, app, '/api/acme/x')
  client.socket.send('hello')
  assert.equal(await client.next(), 'echo hello')
  assert.deepEqual(paths, ['/internal/acme/x'])
  assert.equal((await (await rawHandshake(t, app, '/api/../secret')).answer).status, 400)
})
