/**
 * NestJS on Fastify with its ws adapter, which has ws servers of its own (and, pinned to a version, a ws of its own).
 *
 * Decorators are called by hand: this project's TypeScript is what Node can run by erasing types.
 */
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import { WsAdapter } from '@nestjs/platform-ws'
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import type { FastifyInstance } from 'fastify'
import { WebSocketServer as OurWebSocketServer } from 'ws'
import type { WebSocket, WebSocketServer } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import sockets from '../../lib/index.ts'
import type { DrainReport } from '../../lib/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { portOf, until } from '../helpers/server.ts'
import { checkFramework } from './checks.ts'
import type { Framework } from './checks.ts'
import { connectWs } from './ws-client.ts'

/** Hands every ws server that Nest makes to the tracker. */
class TrackedWsAdapter extends WsAdapter {
  readonly #app: NestFastifyApplication

  constructor (app: NestFastifyApplication) {
    super(app)
    this.#app = app
  }

  override create (...args: Parameters<WsAdapter['create']>): WebSocketServer {
    const server = super.create(...args) as WebSocketServer
    this.#app.getHttpAdapter().getInstance().sockets.adopt(server)
    return server
  }
}

/** Drains first of all: Nest then runs onModuleDestroy, and cuts off the clients that are left, before it closes Fastify. */
class DrainingFastifyAdapter extends FastifyAdapter {
  override async beforeClose (): Promise<void> {
    super.beforeClose()
    await this.getInstance().sockets.drain()
  }
}

/** What a gateway does with the socket of a new client. */
let onConnection: ((client: WebSocket) => void) | undefined
/** What it answers to `slow`. */
let onSlow: (client: WebSocket) => unknown

function gatewayAt (options: { path?: string }, port?: number): new () => object {
  class Gateway {
    handleConnection (client: WebSocket): void { onConnection?.(client) }
    echo (data: unknown): object { return { event: 'echo', data } }
    slow (client: WebSocket): unknown { return onSlow(client) }
  }
  const { prototype } = Gateway
  for (const event of ['echo', 'slow']) SubscribeMessage(event)(prototype, event, Object.getOwnPropertyDescriptor(prototype, event)!)
  MessageBody()(prototype, 'echo', 0)
  if (port === undefined) WebSocketGateway(options)(Gateway)
  else WebSocketGateway(port, options)(Gateway)
  return Gateway
}

function moduleOf (...providers: Array<new () => object>): new () => object {
  class AppModule {}
  Module({ providers })(AppModule)
  return AppModule
}

const connectEcho = (t: TestContext, url: string) =>
  connectWs(t, url, (data) => JSON.stringify({ event: 'echo', data }), (data) => JSON.stringify({ event: 'echo', data }))

const apps = new WeakMap<FastifyInstance, NestFastifyApplication>()

const framework: Framework = {
  route: '/gateway',
  setUp: async (app) => {
    const nest = await NestFactory.create<NestFastifyApplication>(
      moduleOf(gatewayAt({ path: '/gateway' })), new DrainingFastifyAdapter(app as never), { logger: false })
    nest.useWebSocketAdapter(new TrackedWsAdapter(nest))
    apps.set(app, nest)
  },
  listen: (app, port) => apps.get(app)!.listen(port, '127.0.0.1'),
  close: (app) => apps.get(app)!.close(),
  connect: (t, url) => connectEcho(t, `ws://${url}/gateway`),
  comesBack: false
}

checkFramework('NestJS', framework)

/** A Nest application as its documentation has it: Nest makes the Fastify instance. */
async function startNest (t: TestContext, module: new () => object, Adapter = DrainingFastifyAdapter, configure?: (app: FastifyInstance) => unknown): Promise<{ nest: NestFastifyApplication, app: FastifyInstance, reports: DrainReport[] }> {
  const nest = await NestFactory.create<NestFastifyApplication>(module, new Adapter(), { logger: false })
  t.after(() => nest.close())
  await nest.register(sockets as never, { drain: { timeout: 4_000 } })
  const app = nest.getHttpAdapter().getInstance() as unknown as FastifyInstance
  const reports: DrainReport[] = []
  app.sockets.on('drained', (report) => { reports.push(report) })
  nest.useWebSocketAdapter(new TrackedWsAdapter(nest))
  await configure?.(app)
  await nest.listen(0, '127.0.0.1')
  return { nest, app, reports }
}

test('NestJS: gateways on one path each and on a port of their own are tracked and drained alike', async (t) => {
  const port = await freePort()
  const { nest, app, reports } = await startNest(t, moduleOf(gatewayAt({ path: '/one' }), gatewayAt({ path: '/two' }), gatewayAt({}, port)))
  const clients = [
    await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/one`),
    await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/two`),
    await connectEcho(t, `ws://127.0.0.1:${port}/`)
  ]
  assert.deepEqual(app.sockets.list().map(({ route }) => route), ['/one', '/two', '/'])
  await nest.close()
  for (const { ended } of clients) assert.equal((await ended).code, 1012)
  assert.deepEqual(reports.map(({ connections: { clean } }) => clean), [3])
})

test('NestJS: the drain has ended before onModuleDestroy, where providers close their databases', async (t) => {
  const events: string[] = []
  class Database {
    onModuleDestroy (): void { events.push('onModuleDestroy') }
  }
  const { nest, app } = await startNest(t, moduleOf(gatewayAt({ path: '/gateway' }), Database))
  app.sockets.on('open', (connection) => {
    connection.defer(async () => {
      await new Promise((resolve) => { setImmediate(resolve) })
      events.push('cleaned up')
    })
  })
  await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/gateway`)
  await nest.close()
  assert.deepEqual(events, ['cleaned up', 'onModuleDestroy'])
})

test('NestJS: without a drain of its own first, Nest cuts its clients off', async (t) => {
  const { nest, app } = await startNest(t, moduleOf(gatewayAt({ path: '/gateway' })), FastifyAdapter as typeof DrainingFastifyAdapter)
  const { ended } = await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/gateway`)
  await nest.close()
  assert.equal((await ended).code, 1006)
  assert.equal(app.sockets.history[0]!.cause, 'application')
})

test('NestJS: a gateway finds the connection of its client', async (t) => {
  const { app } = await startNest(t, moduleOf(gatewayAt({ path: '/gateway' })))
  t.after(() => { onConnection = undefined })
  onConnection = (client) => { app.sockets.of(client).setOwner('ann') }
  await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/gateway`)
  const { ended } = await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/gateway`)
  assert.equal(app.sockets.disconnect({ owner: 'ann' }), 2)
  assert.equal((await ended).code, 3003)
})

test('NestJS: a drain waits for a handler that is tracked, and its answer arrives before the close frame', async (t) => {
  const { nest, app, reports } = await startNest(t, moduleOf(gatewayAt({ path: '/gateway' })))
  const started = deferred<void>()
  const release = deferred<object>()
  onSlow = (client) => {
    started.resolve()
    return app.sockets.of(client).track(release.promise)
  }
  const { socket, ended } = await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/gateway`)
  const answer = once(socket, 'message')
  socket.send('{"event":"slow"}')
  await started.promise
  const closing = nest.close()
  await until(() => app.sockets.state === 'draining', 'the drain to begin')
  release.resolve({ event: 'done' })
  assert.equal(String((await answer)[0]), '{"event":"done"}')
  await closing
  assert.equal((await ended).code, 1012)
  assert.deepEqual(reports.map(({ work }) => work), [{ inFlight: 1, finished: 1, abandoned: 0 }])
})

test('NestJS: WebSocket routes of Fastify work beside gateways on other ports, and not beside those on its own', async (t) => {
  for (const gateway of [gatewayAt({}, await freePort()), gatewayAt({ path: '/gateway' })]) {
    const { nest, app } = await startNest(t, moduleOf(gateway), DrainingFastifyAdapter, (app) => {
      app.get('/route', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    })
    const own = connectWs(t, `ws://127.0.0.1:${portOf(app)}/route`, (text) => text, (text) => text)
    if (app.server.listenerCount('upgrade') === 1) assert.equal(app.sockets.count({ route: (await own, '/route') }), 1)
    // Nest destroys every handshake that is for none of its gateways.
    else await assert.rejects(own, /socket hang up/)
    await nest.close()
  }
})

test('NestJS: its ws is another copy than ours, and adopted all the same', async (t) => {
  const require = createRequire(createRequire(import.meta.url).resolve('@nestjs/platform-ws'))
  assert.notEqual((require('ws') as { WebSocketServer: unknown }).WebSocketServer, OurWebSocketServer)
  const { app } = await startNest(t, moduleOf(gatewayAt({ path: '/gateway' })))
  await connectEcho(t, `ws://127.0.0.1:${portOf(app)}/gateway`)
  assert.equal(app.sockets.size, 1)
})
