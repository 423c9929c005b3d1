/**
 * Mercurius with subscriptions; the client is graphql-ws's, as its documentation has it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { FastifyInstance } from 'fastify'
import mercurius from 'mercurius'
import type { MercuriusOptions, PubSub } from 'mercurius'
import type { WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import type { Connection } from '../../lib/index.ts'
import { connect, logged, reportOf, start, until } from '../helpers/server.ts'
import { checkBothHeartbeats, checkFramework, serve } from './checks.ts'
import type { Framework, Setting } from './checks.ts'
import { ask, connectGraphql } from './graphql-client.ts'

const schema = 'type Query { hello: String } type Mutation { tick: Boolean, slow: Boolean } type Subscription { ticks: Int }'

interface Context { pubsub: PubSub, connection: Connection }

let slow = { started: deferred<void>(), release: deferred<void>() }

const resolvers = {
  Query: { hello: () => 'world' },
  Mutation: {
    tick: async (_root: unknown, _args: unknown, { pubsub }: Context) => {
      await new Promise<void>((resolve) => { pubsub.publish({ topic: 'TICK', payload: { ticks: 1 } }, () => { resolve() }) })
      return true
    },
    slow: (_root: unknown, _args: unknown, { connection }: Context) => {
      slow.started.resolve()
      return connection.track(slow.release.promise.then(() => true))
    }
  },
  Subscription: {
    ticks: { subscribe: (_root: unknown, _args: unknown, { pubsub }: Context) => pubsub.subscribe('TICK') }
  }
}

async function setUp (app: FastifyInstance, subscription: MercuriusOptions['subscription'] = { fullWsTransport: true }): Promise<void> {
  await app.register(mercurius, { schema, resolvers: resolvers as never, subscription })
}

const framework: Framework = {
  route: '/graphql',
  headers: { 'Sec-WebSocket-Protocol': 'graphql-transport-ws' },
  setUp: (app) => setUp(app),
  connect: (t, url) => connectGraphql(t, `ws://${url}/graphql`, async (graphql) => {
    const ticks = graphql.iterate<{ ticks: number }>({ query: 'subscription { ticks }' })
    const first = ticks.next()
    // The server does not say when the subscription stands.
    const beat = setInterval(() => { ask(graphql, 'mutation { tick }').catch(() => {}) }, 10)
    const { value } = await first.finally(() => { clearInterval(beat) })
    assert.equal(value?.data?.ticks, 1)
    await ticks.return?.()
  }),
  comesBack: true
}

/** Its own period. */
const PERIOD = 500

checkFramework('mercurius', framework)
checkBothHeartbeats('mercurius', { ...framework, setUp: (app) => setUp(app, { fullWsTransport: true, keepAlive: PERIOD }) }, PERIOD)

test('mercurius: a drain waits for a mutation that is tracked, and its answer arrives before the close frame', async (t) => {
  slow = { started: deferred<void>(), release: deferred<void>() }
  const { app, url, close } = await serve(t, {
    ...framework,
    setUp: (app) => setUp(app, { fullWsTransport: true, context: async (socket) => ({ connection: app.sockets.of(socket as unknown as WebSocket) }) })
  })
  const { graphql, ended, stop } = await connectGraphql(t, `ws://${url}/graphql`, async () => {})
  const answer = ask<{ slow: boolean }>(graphql, 'mutation { slow }')
  await slow.started.promise
  const closing = close()
  await until(() => app.sockets.state === 'draining', 'the drain to begin')
  slow.release.resolve()
  assert.deepEqual({ ...await answer }, { slow: true })
  await closing
  assert.equal((await ended).code, 1012)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
  await stop()
})

test('mercurius: a live subscription does not hold the drain up, and goes on after the restart', async (t) => {
  const first = await serve(t, framework)
  const client = await connectGraphql(t, `ws://${first.url}/graphql`, async () => {})
  const ticks = client.graphql.iterate<{ ticks: number }>({ query: 'subscription { ticks }' })
  const publish = async ({ app }: Setting) => {
    await new Promise<void>((resolve) => { app.graphql.pubsub.publish({ topic: 'TICK', payload: { ticks: 1 } }, () => { resolve() }) })
  }
  // The server does not say when the subscription stands.
  const beat = (setting: Setting) => setInterval(() => { void publish(setting) }, 10)
  let beating = beat(first)
  t.after(() => { clearInterval(beating) })
  await ticks.next()
  clearInterval(beating)
  await first.close()
  assert.equal((await client.ended).code, 1012)
  assert.equal(reportOf(first.app).work.inFlight, 0)

  const second = await serve(t, framework, Number(first.url.split(':')[1]))
  await until(() => second.app.sockets.size === 1, 'the client to come back')
  beating = beat(second)
  await until(() => second.app.sockets.list()[0]!.messagesReceived >= 2, 'the client to subscribe')
  assert.equal((await ticks.next()).value?.data?.ticks, 1)
  await client.stop()
})

test('mercurius: after our plugin its own verifyClient and maxPayload have no effect, ours have', async (t) => {
  const asked: string[] = []
  const app = await start(t, {
    options: { maxPayload: 1_000, verifyClient: () => { asked.push('ours'); return true } }
  }, (app) => setUp(app, { verifyClient: () => { asked.push('its'); return true } }))
  const client = await connect(t, app, '/graphql', { protocols: ['graphql-transport-ws'] })
  assert.deepEqual(asked, ['ours'])
  client.socket.send(JSON.stringify({ type: 'connection_init', payload: 'x'.repeat(1_000) }))
  assert.equal((await client.closed).code, 1009)
})

test('mercurius: before our plugin its server is adopted at its first handshake, with a warning', async (t) => {
  const app = await start(t, { options: { maxPayload: 1_000 } }, undefined, { before: (app) => setUp(app) })
  assert.equal(logged(app, /another @fastify\/websocket was registered in a child context/).length, 1)
  const clients = [
    await connect(t, app, '/graphql', { protocols: ['graphql-transport-ws'] }),
    await connect(t, app, '/graphql', { protocols: ['graphql-transport-ws'] })
  ]
  assert.equal(app.sockets.count({ route: '/graphql' }), 2)
  // Its own options hold, not ours.
  clients[0]!.socket.send(JSON.stringify({ type: 'connection_init', payload: 'x'.repeat(1_000) }))
  assert.match(String(await clients[0]!.next()), /connection_ack/)
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
})
