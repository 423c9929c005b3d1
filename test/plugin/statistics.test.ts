/**
 * `stats()` over real sockets: routes, refusals, messages both ways, handshakes. What needs no socket: test/track/statistics.test.ts.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { WebSocket } from 'ws'
import { createClock } from '../../lib/testing/clock.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import { gate } from '../helpers/gate.ts'
import { connect, maskedFrame, Opcode, rawConnect, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const opened = (app: TestApp) => Object.fromEntries(Object.entries(app.sockets.stats().routes).map(([route, { opened }]) => [route, opened]))

test('connections are counted by the pattern of their route; paths, plain routes and refusals have no names of their own', async (t) => {
  const app = await start(t, { refusal: 'close', limits: { total: { max: 4 } } }, (app) => {
    app.get('/rooms/:id', { websocket: true }, () => {})
    app.get('/quick', { websocket: true, config: { sockets: { heartbeat: false } } }, () => {})
    app.get('/plain', () => 'plain')
  })
  assert.deepEqual(opened(app), { '/rooms/:id': 0, '/quick': 0 })
  for (const path of ['/rooms/1', '/rooms/2', '/quick']) await connect(t, app, path)
  await (await connect(t, app, '/plain')).closed
  await until(() => app.sockets.size === 3)
  assert.deepEqual(opened(app), { '/rooms/:id': 2, '/quick': 1, none: 1 })
  const foreign = await startForeign(t)
  app.sockets.adopt(foreign.server)
  await foreign.connect('/some/path')
  assert.equal((await (await connect(t, app, '/quick')).closed).code, 1013)
  await until(() => app.sockets.size === 4)
  assert.deepEqual(opened(app), { '/rooms/:id': 2, '/quick': 1, none: 2, adopted: 1 })
  assert.deepEqual(app.sockets.stats().refused, { 'not a websocket route': 1, total: 1 })
})

/** What the handler sends → messages and bytes that are counted. */
const SENT: Array<[what: string, send: (socket: WebSocket, app: TestApp) => unknown, messages: number, bytes: number]> = [
  ['text', (socket) => { socket.send('hé') }, 1, 3],
  ['bytes', (socket) => { socket.send(Buffer.alloc(70_000), () => {}) }, 1, 70_000],
  ['an ArrayBuffer', (socket) => { socket.send(new ArrayBuffer(5)) }, 1, 5],
  ['a Blob', (socket) => { socket.send(new Blob(['hé']) as never) }, 1, 3],
  ['a number', (socket) => { socket.send(1234 as never) }, 1, 4],
  ['what ws makes an empty message of', (socket) => { for (const nothing of [undefined, null, false, '']) socket.send(nothing as never) }, 4, 0],
  ['an array of bytes', (socket) => { socket.send([1, 2, 300] as never) }, 1, 3],
  ['fragments of one message', (socket) => { socket.send('ab', { fin: false }); socket.send('cde', { fin: true }) }, 1, 5],
  ['nothing on a socket that closes', (socket) => { socket.close(); socket.send('late') }, 0, 0],
  ['a broadcast', (_socket, app) => app.sockets.broadcast('hé', 'all'), 1, 3],
  ['a broadcast inside of a fragmented message', (socket, app) => {
    socket.send('ab', { fin: false })
    void app.sockets.broadcast('hé', 'all')
    socket.send('cde')
  }, 2, 8]
]

for (const deflate of [false, true]) {
  for (const [what, send, messages, bytes] of SENT) {
    test(`what is sent is counted once, with its payload: ${what}${deflate ? ', compressed' : ''}`, async (t) => {
      const app = await start(t, { options: { perMessageDeflate: deflate && { threshold: 0 } } }, (app) => {
        app.get('/', { websocket: true }, async (socket) => { await send(socket, app) })
      })
      const client = await connect(t, app, '/', { perMessageDeflate: deflate })
      const stats = () => app.sockets.stats().routes['/']!
      if (messages === 0) await client.closed
      await until(() => stats().messages.sent === messages)
      assert.deepEqual([stats().messages.sent, stats().bytes.sent], [messages, bytes])
    })
  }
}

test('what arrives is counted in messages, not in frames, with its payload', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, (socket) => { socket.on('message', () => {}) }) })
  const client = await rawConnect(t, app, '/')
  client.write(maskedFrame(Opcode.Text, 'hé', { fin: false }))
  client.write(maskedFrame(Opcode.Ping))
  client.write(maskedFrame(Opcode.Continuation, 'llo'))
  client.write(maskedFrame(Opcode.Binary, Buffer.alloc(200)))
  const stats = () => app.sockets.stats().routes['/']!
  await until(() => stats().messages.received === 2)
  assert.equal(stats().bytes.received, 206)
})

test('a handshake takes from the upgrade request to the open socket; one that is refused is not measured', async (t) => {
  const clock = createClock()
  const hook = gate()
  const app = await start(t, { clock, limits: { total: { max: 1 } } }, (app) => {
    app.get('/', { websocket: true, preHandler: hook.wait }, () => {})
  })
  const client = connect(t, app, '/')
  await hook.arrived
  clock.stall(30)
  hook.open()
  await client
  const { handshakes } = app.sockets.stats()
  assert.deepEqual([handshakes.count, handshakes.sum], [1, 30])
  await assert.rejects(connect(t, app, '/'), { status: 503 })
  assert.equal(app.sockets.stats().handshakes.count, 1)
})

test('messages that the application emits by itself count with the bytes that they have, whatever they are', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      for (const message of [[], [undefined, true], [null, true], [{ a: 1 }], [{ a: 1 }, true], [['x'], true], ['héé'], [Buffer.from('ab'), true]]) socket.emit('message', ...message)
    })
  })
  await connect(t, app, '/')
  await until(() => app.sockets.stats().routes['/']!.messages.received === 8)
  assert.equal(app.sockets.stats().routes['/']!.bytes.received, 1 + 3 + 2)
})

test('sockets that are opened only to be refused are in neither histogram', async (t) => {
  const app = await start(t, { refusal: 'close', limits: { total: { max: 1 } } }, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/plain', () => 'plain')
  })
  for (let i = 0; i < 5; i++) await (await connect(t, app, '/plain')).closed
  await until(() => app.sockets.size === 0)
  const client = await connect(t, app, '/')
  assert.equal((await (await connect(t, app, '/')).closed).code, 1013)
  client.socket.close()
  await until(() => app.sockets.size === 0)
  const { handshakes, durations } = app.sockets.stats()
  assert.deepEqual([opened(app), handshakes.count, durations.count], [{ '/': 1, none: 6 }, 1, 1])
})
