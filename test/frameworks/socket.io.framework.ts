/**
 * Socket.IO on Fastify's HTTP server, with its own client. Its engine makes a new ws server when the HTTP server listens.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { Server } from 'socket.io'
import type { ServerOptions } from 'socket.io'
import { io } from 'socket.io-client'
import type { WebSocketServer } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import { connectTo, logged, portOf, start, until } from '../helpers/server.ts'
import type { Closed } from '../helpers/server.ts'
import { checkBothHeartbeats, checkFramework, FAULT, serve } from './checks.ts'
import type { Client, Framework } from './checks.ts'

/** Its ws server as it is now. */
const wsServerOf = (server: Server) => (server.engine as unknown as { ws: WebSocketServer }).ws

function attach (app: FastifyInstance, options: Partial<ServerOptions> = {}): Server {
  const server = new Server(app.server, { transports: ['websocket'], ...options })
  server.on('connection', (socket) => { socket.on('ask', (text: string, answer: (text: string) => void) => { answer(`echo ${text}`) }) })
  return server
}

function setUp (app: FastifyInstance, options: Partial<ServerOptions> = {}): void {
  const server = attach(app, options)
  app.addHook('onListen', async () => { app.sockets.adopt(wsServerOf(server)) })
}

async function connect (t: TestContext, url: string): Promise<Client> {
  const ended = deferred<Closed>()
  const client = io(`http://${url}`, { transports: ['websocket'], forceNew: true, reconnectionDelay: 20, randomizationFactor: 0 })
  const stop = () => { client.disconnect() }
  t.after(stop)
  client.io.once('close', (_reason, details) => {
    // Undefined where the client itself has ended it.
    const event = (details as { context: Closed } | undefined)?.context
    if (event !== undefined) ended.resolve({ code: event.code, reason: event.reason })
  })
  const works = async () => {
    await until(() => client.connected, 'the client to connect')
    const text = String(Math.random())
    assert.equal(await client.emitWithAck('ask', text), `echo ${text}`)
  }
  await works()
  return { ended: ended.promise, works, provoke: () => { client.emit('ask', FAULT) }, stop }
}

const framework: Framework = { route: '/socket.io/', query: '?EIO=4&transport=websocket', setUp: (app) => { setUp(app) }, connect, comesBack: true }

checkFramework('socket.io, attached after', framework)
checkFramework('socket.io, attached before', { ...framework, before: framework.setUp!, setUp: () => {} })
checkBothHeartbeats('socket.io', { ...framework, setUp: (app) => { setUp(app, { pingInterval: 1_000, pingTimeout: 60_000 }) } }, 1_000)

test('socket.io: adopted before the app listens, its server is replaced, and a warning says so', async (t) => {
  const app = await start(t, {}, (app) => { app.sockets.adopt(wsServerOf(attach(app))) })
  await until(() => logged(app, /was closed before this app listened \(engine\.io and Socket\.IO make a new one/).length === 1, 'a warning')
})

test('socket.io: adopted in an onListen hook, it is tracked without a warning', async (t) => {
  const { app, url } = await serve(t, framework)
  const client = await connect(t, url)
  await client.works()
  assert.deepEqual([app.sockets.size, logged(app, /was closed before/).length], [1, 0])
  await client.stop()
  await until(() => app.sockets.size === 0, 'the client to leave')
})

test('socket.io: its engine ends a handshake for a route that takes longer than it waits, unless destroyUpgrade is false', async (t) => {
  for (const destroyUpgrade of [true, false]) {
    const app = await start(t, {}, (app) => {
      attach(app, { destroyUpgrade, destroyUpgradeTimeout: 1 })
      const hook = async () => { await new Promise((resolve) => { setTimeout(resolve, 100) }) }
      app.get('/slow', { websocket: true, preHandler: hook }, (socket) => { socket.send('open') })
    })
    const client = connectTo(t, `ws://127.0.0.1:${portOf(app)}/slow`)
    if (destroyUpgrade) await assert.rejects(client)
    else assert.equal(await (await client).next(), 'open')
  }
})
