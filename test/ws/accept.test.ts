import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import test from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import { nextClosed, nextEvent, turn } from '../helpers/records.ts'
import { start, until } from '../helpers/server.ts'

test('ws waits longer than we do for an answer to a close frame, unless the application has said how long', async (t) => {
  const app = await start(t, { closeTimeout: 7_000, drain: { timeout: 60_000 } })
  const own = await start(t, { options: { closeTimeout: 1_234 } as never })
  const [{ server }, { server: short }] = [await startForeign(t), await startForeign(t, { closeTimeout: 1_000 } as never)]
  for (const each of [server, short]) app.sockets.adopt(each)
  const waits = [app.websocketServer, own.websocketServer, server, short].map(({ options }) => (options as { closeTimeout?: number }).closeTimeout)
  assert.deepEqual(waits, [67_000, 1_234, 67_000, 1_000])
})

test('adopt() tracks the sockets that a server with its own HTTP server accepts', async (t) => {
  const app = await start(t)
  const { server, connect } = await startForeign(t)
  let known: number | undefined
  server.on('connection', (socket) => {
    known = app.sockets.of(socket).id
    socket.on('message', (data) => { socket.send(String(data)) })
  })
  app.sockets.adopt(server)
  const opened = nextEvent(app, 'open')
  const { socket, closed } = await connect('/path?token=secret')
  const [connection] = await opened
  assert.equal(known, connection.id)
  assert.equal(connection.route, '/path')
  assert.equal(connection.ip, '127.0.0.1')
  assert.equal(connection.requestId, '')
  assert.equal(connection.request, undefined)
  assert.ok(connection.socket instanceof server.options.WebSocket!)
  assert.ok(connection.socket instanceof WebSocket)
  socket.send('hi')
  const [data] = await once(socket, 'message') as [Buffer]
  assert.equal(String(data), 'hi')
  await app.close()
  assert.deepEqual(await closed, { code: 1012, reason: 'service restart; retry=1000' })
})

test('adopt() tracks the sockets of a server without an HTTP server', async (t) => {
  const app = await start(t)
  const { server, http, connect } = await startForeign(t, { noServer: true })
  http.on('upgrade', (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    server.handleUpgrade(request, raw, head, (socket) => { server.emit('connection', socket, request) })
  })
  app.sockets.adopt(server)
  const { closed } = await connect('/elsewhere')
  assert.deepEqual(app.sockets.list().map(({ route }) => route), ['/elsewhere'])
  assert.equal(app.sockets.disconnect({ route: '/elsewhere' }), 1)
  assert.equal((await closed).code, 3003)
})

test('adopt() tracks the sockets that exist already', async (t) => {
  const app = await start(t)
  const { server, connect } = await startForeign(t)
  const received: string[] = []
  server.on('connection', (socket) => { socket.on('message', (data) => { received.push(String(data)) }) })
  const first = await connect('/one')
  const second = await connect('/two')
  app.sockets.adopt(server)
  assert.equal(app.sockets.size, 2)
  const [one, two] = app.sockets.list()
  assert.deepEqual([one!.route, one!.ip, one!.requestId], ['', '', ''])
  assert.equal(app.sockets.of([...server.clients][0]!), one)
  first.socket.send('hello')
  await until(() => one!.messagesReceived === 1)
  assert.deepEqual(received, ['hello'])
  const record = nextClosed(app)
  second.socket.close(4001)
  assert.equal((await record).id, two!.id)
  await app.close()
  assert.equal((await first.closed).code, 1012)
})

test('sockets that existed already share what watches them: those of one class, under one tracker', async (t) => {
  class Own extends WebSocket {}
  const [app, other] = [await start(t), await start(t)]
  const lines = [await startForeign(t), await startForeign(t, { WebSocket: Own }), await startForeign(t)]
  for (const { connect } of lines) for (let i = 0; i < 2; i++) await connect()
  for (const [i, { server }] of lines.entries()) (i < 2 ? app : other).sockets.adopt(server)
  const [a, b, c, d, e] = lines.flatMap(({ server }) => [...server.clients])
  for (const name of ['emit', 'on', 'send', 'close'] as const) {
    assert.equal(a![name], b![name], name)
    assert.equal(c![name], d![name], name)
    assert.equal(new Set([a![name], c![name], e![name]]).size, 3, name)
  }
})

test('a fault on a socket that existed already is isolated, and its promises are work', async (t) => {
  const app = await start(t)
  const { server, connect } = await startForeign(t)
  const { promise: work, resolve: finish } = deferred<void>()
  server.on('connection', (socket) => {
    socket.on('message', async (data) => {
      if (String(data) === 'boom') throw new Error('boom')
      if (String(data) === 'work') await work
    })
  })
  const clients = [await connect(), await connect(), await connect()]
  app.sockets.adopt(server)
  clients[0]!.socket.send('boom')
  assert.equal((await clients[0]!.closed).code, 1011)
  // Those added from now on are seen, whichever way they are added.
  for (const socket of server.clients) {
    socket.addEventListener('message', async ({ data }) => { if (data === 'event') throw new Error('boom') })
  }
  clients[1]!.socket.send('event')
  assert.equal((await clients[1]!.closed).code, 1011)
  clients[2]!.socket.send('work')
  await until(() => app.sockets.stats().working === 1)
  finish()
  await until(() => app.sockets.stats().working === 0)
  assert.equal(app.sockets.size, 1)
})

test('a listener that was there before the adoption is read and removed as before', async (t) => {
  const app = await start(t)
  const { server, connect } = await startForeign(t)
  const seen: string[] = []
  const listener = ({ data }: { data: unknown }) => { seen.push(String(data)) }
  const attribute = () => { seen.push('attribute') }
  server.on('connection', (socket) => {
    socket.addEventListener('message', listener)
    socket.onmessage = attribute
  })
  const { socket: client } = await connect()
  app.sockets.adopt(server)
  const { socket } = app.sockets.list()[0]!
  assert.equal(socket.onmessage, attribute)
  socket.removeEventListener('message', listener)
  assert.equal(socket.listenerCount('message'), 1)
  socket.onmessage = null
  assert.equal(socket.listenerCount('message'), 0)
  client.close()
  await until(() => app.sockets.size === 0)
  assert.deepEqual(seen, [])
})

test('sockets that are gone, or going, when they are adopted', async (t) => {
  const app = await start(t, { closeTimeout: 100 })
  const { server, connect } = await startForeign(t)
  // Broken by a listener that threw: ws keeps such a socket in `clients` for ever.
  const accepted = once(server, 'connection') as Promise<[WebSocket, IncomingMessage]>
  await connect()
  const [, { socket: raw }] = await accepted
  raw.removeAllListeners('close')
  const gone = once(raw, 'close')
  raw.destroy()
  await gone
  const closing = await connect()
  closing.socket.pause()
  ;[...server.clients][1]!.close(4000, 'mine')
  app.sockets.adopt(server)
  assert.equal(server.clients.size, 2)
  assert.equal(app.sockets.size, 1, 'one that has no TCP connection any more is not taken')
  const report = await app.sockets.drain()
  assert.equal(report.connections.unfinished, 0)
  assert.equal(app.sockets.size, 0)
})

test('a ws server’s own WebSocket class is kept below ours', async (t) => {
  class Custom extends WebSocket { greeting = 'hello' }
  const app = await start(t)
  const { server, connect } = await startForeign(t, { WebSocket: Custom as never })
  app.sockets.adopt(server)
  await connect()
  const { socket } = app.sockets.list()[0]!
  assert.ok(socket instanceof Custom)
  assert.equal(socket.greeting, 'hello')
})

test('a ws server that keeps no list of its clients can be adopted', async (t) => {
  const app = await start(t)
  const { server, connect } = await startForeign(t, { clientTracking: false })
  app.sockets.adopt(server)
  const { closed } = await connect()
  assert.equal(app.sockets.size, 1)
  await app.close()
  assert.equal((await closed).code, 1012)
})

test('a server of another make, which builds its sockets itself', async (t) => {
  const app = await start(t)
  const { server: inner, http, connect } = await startForeign(t, { noServer: true })
  const outer = Object.assign(new EventEmitter(), {
    options: {},
    handleUpgrade: inner.handleUpgrade.bind(inner)
  }) as unknown as WebSocketServer
  http.on('upgrade', (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    outer.handleUpgrade(request, raw, head, (socket) => { outer.emit('connection', socket, request) })
  })
  app.sockets.adopt(outer)
  const { socket, closed } = await connect()
  const [connection] = app.sockets.list()
  assert.equal(app.sockets.of(connection!.socket), connection)
  connection!.socket.on('message', () => { throw new Error('boom') })
  socket.send('go')
  assert.equal((await closed).code, 1011)
})

test('adopting what is adopted does nothing, and adopting what another application tracks is refused', async (t) => {
  const app = await start(t)
  const other = await start(t)
  const { server, connect } = await startForeign(t)
  app.sockets.adopt(server)
  const { handleUpgrade } = server
  app.sockets.adopt(server)
  app.sockets.adopt(app.websocketServer)
  assert.equal(server.handleUpgrade, handleUpgrade)
  assert.throws(() => { other.sockets.adopt(server) }, { code: 'SOCKETS_ERR_CANNOT_ADOPT', message: /another application tracks it/ })
  await connect()
  assert.equal(app.sockets.size, 1)
  assert.equal(other.sockets.size, 0)
})

test('adopting what is no ws server is refused', async (t) => {
  const app = await start(t)
  const nonsense: unknown[] = [
    undefined, null, 42, 'server', {}, [], () => {}, new EventEmitter(), createServer(), app, new WebSocket(null as never, undefined, {} as never),
    Object.assign(new EventEmitter(), { handleUpgrade: () => {} }),
    Object.assign(new EventEmitter(), { handleUpgrade: () => {}, options: null })
  ]
  for (const server of nonsense) {
    assert.throws(() => { app.sockets.adopt(server as never) }, { code: 'SOCKETS_ERR_CANNOT_ADOPT' }, String(server))
  }
})

test('adopt() refuses a server whose sockets have no raw socket', async (t) => {
  const app = await start(t)
  const server = Object.assign(new WebSocketServer({ noServer: true }), { clients: new Set([new EventEmitter()]) })
  assert.throws(() => { app.sockets.adopt(server as never) }, { code: 'SOCKETS_ERR_CANNOT_ADOPT', message: /its sockets have no raw socket/ })
  assert.equal(app.sockets.size, 0)
})

test('an adopted server turns handshakes away while the app drains, and after', async (t) => {
  const app = await start(t)
  const { server, connect } = await startForeign(t)
  app.sockets.adopt(server)
  await app.sockets.drain()
  const refused = nextEvent(app, 'refused')
  await assert.rejects(connect('/late?token=secret'), /503/)
  assert.deepEqual((await refused)[0], { reason: 'draining', path: '/late', ip: '127.0.0.1' })
  assert.deepEqual(app.sockets.stats().refused, { draining: 1 })
})

test('what is adopted during a drain, or after it, is drained, too', async (t) => {
  const app = await start(t)
  const early = await startForeign(t)
  const late = await startForeign(t)
  const one = await early.connect()
  const two = await late.connect()
  let adopted = false
  app.sockets.on('draining', () => {
    if (adopted) return
    adopted = true
    app.sockets.adopt(early.server)
  })
  const { server, connect } = await startForeign(t)
  app.sockets.adopt(server)
  await connect()
  const report = await app.sockets.drain()
  assert.equal((await one.closed).code, 1012)
  assert.equal(report.connections.total, 2)
  app.sockets.adopt(late.server)
  assert.equal((await two.closed).code, 1012)
  await until(() => app.sockets.size === 0)
})

test("an adopted server's sockets are cleaned up before other plugins' onClose", async (t) => {
  const order: string[] = []
  const app = await start(t, {}, undefined, {
    before: (app) => { app.addHook('onClose', async () => { order.push('database') }) }
  })
  const { server, connect } = await startForeign(t)
  server.on('connection', (socket) => {
    app.sockets.of(socket).defer(async () => {
      await turn()
      order.push('cleanup')
    })
  })
  app.sockets.adopt(server)
  await connect()
  await app.close()
  assert.deepEqual(order, ['cleanup', 'database'])
})

test('a server that goes on from the callback of handleUpgrade, and never emits "connection", is adopted as well', async (t) => {
  const app = await start(t)
  const { server, http, connect } = await startForeign(t, { noServer: true })
  app.sockets.adopt(server)
  http.on('upgrade', (request, raw, head) => {
    server.handleUpgrade(request, raw, head, (socket) => { socket.send(String(app.sockets.of(socket).state)) })
  })
  const { socket, closed } = await connect()
  await until(() => app.sockets.size === 1)
  void app.sockets.drain()
  assert.equal((await closed).code, 1012)
  assert.equal(socket.readyState, socket.CLOSED)
})
