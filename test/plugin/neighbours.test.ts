/**
 * Other WebSocket servers on the HTTP server of an application: each has its own paths, and the application its routes.
 */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { WebSocketServer } from 'ws'
import plugin from '../../lib/index.ts'
import { assertRefused } from '../helpers/gate.ts'
import { connect, connectTo, logged, rawHandshake, start, within } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

type App = Pick<FastifyInstance, 'server'>

/** A ws server that answers every path but its own with 400. */
function attach ({ server }: App, path: string | null = '/own'): WebSocketServer {
  return new WebSocketServer({ server, path: path! }).on('connection', (socket) => { socket.send('theirs') })
}

/** Paths of the upgrade requests that an 'upgrade' listener has seen. */
function observe ({ server }: App): string[] {
  const seen: string[] = []
  server.on('upgrade', ({ url }: IncomingMessage) => { seen.push(url!) })
  return seen
}

const routes = (app: FastifyInstance) => {
  app.get('/ws', { websocket: true }, (socket) => { socket.send('ours') })
  app.get('/rooms/:room', { websocket: true }, (socket) => { socket.send('ours') })
  app.get('/files/*', { websocket: true }, (socket) => { socket.send('ours') })
  app.register(async (child) => { child.get('/', { websocket: true }, (socket) => { socket.send('ours') }) }, { prefix: '/child' })
  app.get('/plain', async () => 'plain')
}

/** What a client gets on a path: its first message, or the status of a refusal. */
async function got (t: TestContext, app: TestApp, path: string): Promise<unknown> {
  try {
    const client = await connect(t, app, path)
    const message = await client.next()
    client.socket.terminate()
    return message
  } catch (error) {
    return (error as { status?: number }).status
  }
}

for (const [when, options, late] of [
  ['before the plugin is registered', { before: attach }, () => {}],
  ['after the application listens', {}, attach],
  ['before @fastify/websocket, which is registered before the plugin', { before: async (app: FastifyInstance) => { attach(app); await app.register(fastifyWebsocket) } }, () => {}]
] as const) {
  test(`a ws server with a path that is attached ${when} takes its own, and the application its static routes`, async (t) => {
    const app = await start(t, {}, routes, options)
    late(app)
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await Promise.all(['/ws?a', '/child', '/child/', '/own'].map((path) => got(t, app, path))), ['ours', 'ours', 'ours', 'theirs'])
    }
    // These may be meant for a server that comes later in the line.
    assert.deepEqual(await Promise.all(['/rooms/a', '/files/a', '/plain', '/nowhere', '/w%73'].map((path) => got(t, app, path))), [400, 400, 400, 400, 400])
    assert.equal(app.sockets.stats().opened, 6)
    assert.equal(logged(app, /failed/).length, 0)
  })
}

test('several ws servers leave the application its static routes', async (t) => {
  const app = await start(t, {}, routes)
  attach(app)
  attach(app, '/more')
  assert.deepEqual(await Promise.all(['/ws', '/child', '/nowhere'].map((path) => got(t, app, path))), ['ours', 'ours', 400])
})

test('a ws server without a path takes all but the static routes of the application', async (t) => {
  const app = await start(t, {}, routes)
  attach(app, null)
  assert.deepEqual(await Promise.all(['/ws', '/own', '/rooms/a', '/'].map((path) => got(t, app, path))), ['ours', 'theirs', 'theirs', 'theirs'])
})

test('an adopted ws server with a path takes its own, and the application its static routes', async (t) => {
  const app = await start(t, {}, (app) => { routes(app); app.sockets.adopt(attach(app)) })
  assert.deepEqual(await Promise.all(['/ws', '/own', '/nowhere'].map((path) => got(t, app, path))), ['ours', 'theirs', 400])
  assert.equal(app.sockets.stats().opened, 2)
})

test('a parameter of a route takes no handshake from a ws server that has its path', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/:room', { websocket: true }, (socket) => { socket.send('ours') }) })
  const own = attach(app)
  assert.equal(await got(t, app, '/own'), 'theirs')
  own.close()
  assert.equal(await got(t, app, '/own'), 'ours')
})

test('other listeners see every upgrade request first, beside a ws server too', async (t) => {
  for (const beside of [() => {}, attach]) {
    const app = await start(t, {}, routes)
    beside(app)
    const seen = observe(app)
    assert.deepEqual([await got(t, app, '/ws?seen'), await got(t, app, '/child')], ['ours', 'ours'])
    await got(t, app, '/rooms/a')
    await (await rawHandshake(t, app, '/ws', { Upgrade: 'h2c' })).answer
    assert.deepEqual(seen, ['/ws?seen', '/child', '/rooms/a', '/ws'])
  }
})

test('a listener that refuses handshakes by destroying their sockets is asked first, beside a ws server too', async (t) => {
  for (const beside of [() => {}, attach]) {
    const app = await start(t, {}, routes)
    beside(app)
    app.server.on('upgrade', ({ headers }: IncomingMessage, raw: Duplex) => { if (headers['x-blocked'] !== undefined) raw.destroy() })
    await (await rawHandshake(t, app, '/ws', { 'X-Blocked': 'yes' })).ended
    assert.equal(app.sockets.stats().opened, 0)
    assert.equal(await got(t, app, '/ws'), 'ours')
  }
})

test('a listener that knows its own by the subprotocol takes it at the path of a route', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, (socket) => { socket.send('ours') }) })
  attach(app)
  // As Vite does.
  const hmr = new WebSocketServer({ noServer: true })
  app.server.on('upgrade', (request, raw: Duplex, head: Buffer) => {
    if (request.url === '/' && request.headers['sec-websocket-protocol'] === 'vite-hmr') hmr.handleUpgrade(request, raw, head, (socket) => { socket.send('reload') })
  })
  const client = await connect(t, app, '/', { protocols: ['vite-hmr'] })
  assert.equal(await client.next(), 'reload')
  client.socket.terminate()
  assert.equal(await got(t, app, '/'), 'ours')
})

test('an application whose handshakes come from another server keeps none of its own server from a ws server', async (t) => {
  const other = http.createServer()
  const app = await start(t, {}, routes, { before: async (app) => { await app.register(fastifyWebsocket, { options: { server: other } }) } })
  attach(app)
  observe(app)
  assert.deepEqual([await got(t, app, '/ws'), await got(t, app, '/own')], [400, 'theirs'])
})

test('in a drain handshakes for static routes are refused by the application', async (t) => {
  const app = await start(t, {}, routes)
  attach(app)
  await app.sockets.drain()
  await assertRefused(await rawHandshake(t, app, '/ws'))
  assert.equal(await got(t, app, '/own'), 'theirs')
})

test("every server that Fastify opens for 'localhost' keeps the routes of the application", async (t) => {
  const app = await start(t, {}, routes, { listen: { host: 'localhost' } })
  attach(app)
  for (const { address, family, port } of app.addresses() as AddressInfo[]) {
    const host = family === 'IPv6' ? `[${address}]` : address
    for (const [path, message] of [['/ws', 'ours'], ['/own', 'theirs']] as const) {
      const client = await connectTo(t, `ws://${host}:${port}${path}`)
      assert.equal(await client.next(), message)
      client.socket.terminate()
    }
  }
})

test('injectWS reaches a static route beside another ws server', async (t) => {
  const app = await start(t, {}, routes)
  attach(app)
  const socket = await app.injectWS('/ws')
  socket.terminate()
  assert.equal(app.sockets.stats().opened, 1)
})

test('applications on one server: declared are the routes of the one whose turn it is, and in the end the server is as before', async (t) => {
  const server = http.createServer()
  server.listen(0, '127.0.0.1')
  const { emit } = server
  const foreign = attach({ server })
  const apps: FastifyInstance[] = []
  t.after(async () => {
    foreign.close()
    await within(10_000, Promise.all(apps.map((app) => app.close())), 'close')
    server.close()
    server.closeAllConnections()
  })
  const make = async (name: string) => {
    const app = Fastify({ serverFactory: () => server }) as unknown as FastifyInstance
    apps.push(app)
    await app.register(plugin)
    app.get(`/${name}`, { websocket: true }, (socket) => { socket.send(name) })
    await app.ready()
    return app
  }
  const answers = async () => {
    const all: unknown[] = []
    for (const path of ['/first', '/second', '/own']) {
      const client = await connectTo(t, `ws://127.0.0.1:${(server.address() as AddressInfo).port}${path}`).catch((error: { status?: number }) => error)
      if ('socket' in client) {
        all.push(await client.next())
        client.socket.terminate()
      } else {
        all.push(client.status)
      }
    }
    return all
  }
  const listeners = () => server.eventNames().map((event) => [event, server.listenerCount(event)])
  const before = listeners()
  const first = await make('first')
  assert.deepEqual(await answers(), ['first', 400, 'theirs'])
  const second = await make('second')
  assert.deepEqual(await answers(), [400, 'second', 'theirs'])
  await second.close()
  assert.deepEqual(await answers(), ['first', 400, 'theirs'])
  await first.close()
  assert.deepEqual(await answers(), [400, 400, 'theirs'])
  assert.equal(server.emit, emit)
  assert.equal(Object.hasOwn(server, 'emit'), false)
  assert.deepEqual(listeners().filter(([event]) => event !== 'clientError'), before)
})

test('an emit that a tool has put in the place of the plugin\'s is left where it is, and loses nothing', async (t) => {
  const app = await start(t, {}, routes)
  attach(app)
  const heard: string[] = []
  const { emit } = app.server
  const instrumented = app.server.emit = function (this: unknown, event: string, ...args: unknown[]) {
    if (event === 'upgrade') heard.push((args[0] as IncomingMessage).url!)
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  } as typeof emit
  assert.deepEqual([await got(t, app, '/ws'), await got(t, app, '/own')], ['ours', 'theirs'])
  assert.deepEqual(heard, ['/ws', '/own'])
  await app.close()
  assert.equal(app.server.emit, instrumented)
  const seen = observe(app)
  app.server.emit('upgrade', { url: '/ws', method: 'GET', headers: {} } as IncomingMessage, { on () {}, once () {}, end () {} } as never, Buffer.alloc(0))
  assert.deepEqual(seen, ['/ws'])
})
