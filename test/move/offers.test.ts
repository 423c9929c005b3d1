/**
 * Offers of `lifecycle.v1` on every way in which a handshake comes: the application sees what it would see without the protocol.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import websocket from '@fastify/websocket'
import { WebSocketServer } from 'ws'
import { createClock } from '../../lib/testing/clock.ts'
import { connect, connectTo, create, handshake, logged, portOf, rawHandshake, rawTcp, start } from '../helpers/server.ts'
import type { StartOptions, TestApp } from '../helpers/server.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import plugin from '../../lib/index.ts'
import { asked, controlFrame, MOVED } from '../helpers/mover.ts'

const ID = 'AAAAAAAAAAAAAAAAAAAAAA'
const OFFER = ['lifecycle.v1', `lifecycle.v1.${ID}`]

/** What the application has seen of the header of each handshake. */
async function serve (t: TestContext, options = {}, how: StartOptions = {}): Promise<{ app: TestApp, seen: unknown[] }> {
  const seen: unknown[] = []
  const app = await start(t, { clock: createClock(), ...options }, (app) => {
    app.addHook('onRequest', async ({ headers, log, raw }) => {
      log.info({ headers, raw: raw.rawHeaders }, 'headers')
      seen.push(headers['sec-websocket-protocol'], raw.rawHeaders?.filter((_, i, all) => i % 2 === 1 && /protocol/i.test(all[i - 1]!)).join())
    })
    app.get('/', { websocket: true }, (socket, request) => {
      seen.push(request.headers['sec-websocket-protocol'], socket.protocol)
      socket.on('message', (message) => { socket.send(`heard ${String(message)}`) })
    })
  }, how)
  return { app, seen }
}

/** Checks that a client's control frames are taken out, and that it can be moved. */
async function speaks (app: TestApp, client: { next (): Promise<string | Buffer>, send (data: string): void, closed: Promise<unknown> }): Promise<void> {
  const connection = app.sockets.list()[0]!
  client.send(controlFrame({ type: 'nothing' }))
  client.send('hello')
  assert.equal(await client.next(), 'heard hello')
  const moving = connection.move()
  assert.equal(asked(await client.next()).in, 0)
  client.send(MOVED)
  assert.equal(await moving, true)
  assert.deepEqual(await client.closed, { code: 1012, reason: 'moved' })
}

test('hooks, handlers and ws see no offer, and the answer selects the protocol if nothing else was offered', async (t) => {
  const { app, seen } = await serve(t)
  const client = await connect(t, app, '/', { protocols: OFFER })
  assert.equal(client.socket.protocol, 'lifecycle.v1')
  assert.deepEqual(seen, [undefined, '', undefined, ''])
  await speaks(app, client)
})

test('beside the subprotocols of the application it is not selected', async (t) => {
  const { app, seen } = await serve(t)
  const client = await connect(t, app, '/', { protocols: ['chat', ...OFFER] })
  assert.equal(client.socket.protocol, 'chat')
  assert.deepEqual(seen, ['chat', 'chat', 'chat', 'chat'])
  await speaks(app, client)
})

test('handleProtocols and verifyClient see no offer', async (t) => {
  const offered: string[][] = []
  const { app } = await serve(t, {
    options: {
      handleProtocols: (protocols: Set<string>) => { offered.push([...protocols]); return 'superchat' },
      verifyClient: ({ req }: { req: IncomingMessage }) => { offered.push([String(req.headers['sec-websocket-protocol'])]); return true }
    }
  })
  const client = await connect(t, app, '/', { protocols: ['chat', ...OFFER, 'superchat'] })
  assert.deepEqual(offered, [['chat, superchat'], ['chat', 'superchat']])
  assert.equal(client.socket.protocol, 'superchat')
})

test('no line of the log has an id', async (t) => {
  const { app } = await serve(t)
  await connect(t, app, '/', { protocols: OFFER })
  await assert.rejects(connect(t, app, '/missing', { protocols: OFFER }), { status: 404 })
  assert.ok(logged(app, /^headers$/).length === 2)
  assert.ok(!JSON.stringify(app.logs).includes(ID))
})

test('a pipelined handshake is answered, too', async (t) => {
  const { app, seen } = await serve(t)
  const client = await rawTcp(t, app)
  client.write(`GET /missing HTTP/1.1\r\nHost: localhost\r\n\r\n${handshake('/', { 'Sec-WebSocket-Protocol': OFFER.join(', ') })}`)
  await client.answer
  while (!client.body.includes('101 Switching')) await once(client.socket, 'data')
  assert.match(client.body, /Sec-WebSocket-Protocol: lifecycle\.v1\r\n/)
  assert.deepEqual(seen.slice(-2), [undefined, ''])
})

test('a server on another address of localhost, too', async (t) => {
  const { app, seen } = await serve(t, {}, { listen: { host: 'localhost' } })
  for (const { address } of app.addresses() as AddressInfo[]) {
    const client = await connect(t, app, '/', { protocols: OFFER, to: address.includes(':') ? `[${address}]` : address })
    assert.equal(client.socket.protocol, 'lifecycle.v1')
    await speaks(app, client)
  }
  assert.ok(seen.every((header) => header === undefined || header === ''), JSON.stringify(seen))
})

test('injectWS takes an offer, too', async (t) => {
  const { app, seen } = await serve(t)
  const client = await app.injectWS('/', { headers: { 'sec-websocket-protocol': OFFER.join(', ') } })
  assert.deepEqual(seen, [undefined, undefined, undefined, ''])
  const moving = app.sockets.list()[0]!.move()
  const [message] = await once(client, 'message') as [Buffer]
  asked(message)
  client.send(MOVED)
  assert.equal(await moving, true)
  client.terminate()
})

test('a registered @fastify/websocket is adopted with its offers', async (t) => {
  const app = create(t)
  await app.register(websocket)
  await app.register(plugin, {})
  app.get('/', { websocket: true }, (socket) => { socket.on('message', (message) => { socket.send(`heard ${String(message)}`) }) })
  const client = await connect(t, app, '/', { protocols: OFFER })
  await speaks(app, client)
})

test('an adopted ws server on the same HTTP server answers offers', async (t) => {
  const { app } = await serve(t)
  const server = new WebSocketServer({ server: app.server, path: '/adopted' })
  app.sockets.adopt(server)
  const protocols: unknown[] = []
  server.on('connection', (socket, { headers }) => {
    protocols.push(headers['sec-websocket-protocol'], socket.protocol)
    socket.on('message', (message) => { socket.send(`heard ${String(message)}`) })
  })
  const client = await connect(t, app, '/adopted', { protocols: OFFER })
  assert.equal(client.socket.protocol, 'lifecycle.v1')
  assert.deepEqual(protocols, [undefined, ''])
  await speaks(app, client)
})

test('an adopted ws server on another HTTP server answers offers', async (t) => {
  const { app } = await serve(t)
  const foreign = await startForeign(t)
  app.sockets.adopt(foreign.server)
  foreign.server.on('connection', (socket) => { socket.on('message', (message) => { socket.send(`heard ${String(message)}`) }) })
  const client = await connectTo(t, foreign.url, { protocols: ['chat', ...OFFER] })
  assert.equal(client.socket.protocol, 'chat')
  await speaks(app, client)
})

test('a ws server that is not adopted gets the offer as it was made: it must answer it itself', async (t) => {
  const { app } = await serve(t)
  const server = new WebSocketServer({ noServer: true })
  const listener = (request: IncomingMessage, raw: Duplex, head: Buffer): void => {
    if (request.url === '/foreign') server.handleUpgrade(request, raw, head, (socket) => { socket.send(socket.protocol) })
  }
  app.server.prependListener('upgrade', listener)
  const client = await connectTo(t, `ws://127.0.0.1:${portOf(app)}/foreign`, { protocols: OFFER })
  assert.equal(await client.next(), 'lifecycle.v1')
  await client.close()
})

test('an offer that is refused gets its status', async (t) => {
  const { app } = await serve(t, { limits: { total: { max: 1 } } })
  await connect(t, app, '/', { protocols: OFFER })
  await assert.rejects(connect(t, app, '/', { protocols: OFFER }), { status: 503 })
})

test('a handshake that opens only to be refused selects the protocol, too: browsers see no code otherwise', async (t) => {
  const { app } = await serve(t, { limits: { total: { max: 1 } }, refusal: 'close' })
  await connect(t, app, '/')
  const client = await connect(t, app, '/', { protocols: OFFER })
  assert.equal(client.socket.protocol, 'lifecycle.v1')
  assert.equal((await client.closed).code, 1013)
})

test('a malformed header is refused as without an offer', async (t) => {
  const { app } = await serve(t)
  const client = await rawHandshake(t, app, '/', { 'Sec-WebSocket-Protocol': 'chat,,lifecycle.v1' })
  assert.equal((await client.answer).status, 400)
})
