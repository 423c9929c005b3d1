/**
 * graphql-ws with its own adapter for Fastify.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { buildSchema } from 'graphql'
import { makeHandler } from 'graphql-ws/use/@fastify/websocket'
import type { Extra } from 'graphql-ws/use/@fastify/websocket'
import { deferred } from '../../lib/base/deferred.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { connect, reportOf, start, until } from '../helpers/server.ts'
import { checkBothHeartbeats, checkFramework, serve } from './checks.ts'
import type { Framework } from './checks.ts'
import { ask, connectGraphql } from './graphql-client.ts'

const schema = buildSchema('type Query { hello: String } type Subscription { ticks: Int, patient: Int, stubborn: Int }')

interface Context { extra: Extra }

const pause = () => new Promise((resolve) => { setTimeout(resolve, 5) })

/** What subscriptions have done at their end, in order. */
const ends: string[] = []

async function tidyUp (): Promise<void> {
  for (let i = 0; i < 10; i++) await pause()
  ends.push('unsubscribed')
}

const roots = (app: FastifyInstance) => ({
  query: { hello: () => 'world' },
  subscription: {
    async * ticks () {
      for (let tick = 0; ; tick++) {
        yield { ticks: tick }
        await pause()
      }
    },
    /** Ends with the drain, and tidies up. */
    async * patient (_args: unknown, { extra }: Context) {
      const { drainSignal } = app.sockets.of(extra.socket)
      try {
        for (let tick = 0; !drainSignal.aborted; tick++) {
          yield { patient: tick }
          await pause()
        }
      } finally {
        await tidyUp()
      }
    },
    /** Goes on until its client is gone, and has the drain wait for its tidying up. */
    async * stubborn (_args: unknown, { extra }: Context) {
      const tidied = deferred<void>()
      app.sockets.of(extra.socket).defer(() => tidied.promise)
      try {
        for (let tick = 0; ; tick++) {
          yield { stubborn: tick }
          await pause()
        }
      } finally {
        await tidyUp()
        tidied.resolve()
      }
    }
  }
})

/** `keepAlive` is the period of its own pings, milliseconds. */
const setUp = (app: FastifyInstance, keepAlive?: number): void => {
  app.get('/graphql', { websocket: true }, makeHandler({
    schema,
    roots: roots(app),
    context: (context) => context,
    // A client that never says a word is for our heartbeat to find.
    connectionInitWaitTimeout: 60_000
  }, keepAlive))
}

const framework: Framework = {
  route: '/graphql',
  headers: { 'Sec-WebSocket-Protocol': 'graphql-transport-ws' },
  setUp: (app) => { setUp(app) },
  connect: (t, url) => connectGraphql(t, `ws://${url}/graphql`, async (graphql) => {
    assert.equal((await ask<{ ticks: number }>(graphql, 'subscription { ticks }')).ticks, 0)
  }),
  comesBack: true
}

/** Its own period; it cuts off who has not answered within another. */
const PERIOD = 1_500

checkFramework('graphql-ws', framework)
checkBothHeartbeats('graphql-ws', { ...framework, setUp: (app) => { setUp(app, PERIOD) } }, PERIOD)

test('graphql-ws: a live subscription is work, waited for until grace ends, and goes on after the restart', async (t) => {
  const short = { ...framework, options: { drain: { timeout: 1_500 } } }
  const first = await serve(t, short)
  const client = await connectGraphql(t, `ws://${first.url}/graphql`, async () => {})
  const ticks = client.graphql.iterate<{ ticks: number }>({ query: 'subscription { ticks }' })
  await ticks.next()
  await first.close()
  assert.equal((await client.ended).code, 1012)
  const { work, phases, connections } = reportOf(first.app)
  assert.deepEqual(work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.ok(phases.grace >= first.app.sockets.plan().grace - 5)
  assert.equal(connections.clean, 1)

  const second = await serve(t, short, Number(first.url.split(':')[1]))
  while ((await ticks.next()).value?.data?.ticks !== 0);
  assert.equal(second.app.sockets.size, 1)
  await client.stop()
})

test('graphql-ws: a subscription that ends with drainSignal is finished work, and has tidied up before other plugins close', async (t) => {
  const { app, client, results, close } = await subscribed(t, 'patient')
  await close()
  assert.equal((await client.ended).code, 1012)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.deepEqual(ends, ['unsubscribed', 'onClose'])
  // Its client was told that the subscription is complete: it does not resume it.
  while (!(await results.next()).done);
  await client.stop()
})

test('graphql-ws: a subscription that was cut short has tidied up before other plugins close, if that is deferred', async (t) => {
  const { app, client, close } = await subscribed(t, 'stubborn', { timeout: 1_500 })
  await close()
  assert.equal((await client.ended).code, 1012)
  assert.deepEqual(reportOf(app).cleanups.abandoned, [])
  assert.deepEqual(ends, ['unsubscribed', 'onClose'])
  await client.stop()
})

/** A client with a live subscription, on a server with a plugin that notes its end in `ends`. */
async function subscribed (t: TestContext, field: string, drain: LifecycleOptions['drain'] = {}) {
  ends.length = 0
  const { app, url, close } = await serve(t, {
    ...framework,
    options: { drain },
    setUp: (app) => {
      framework.setUp!(app)
      app.addHook('onClose', async () => { ends.push('onClose') })
    }
  })
  const client = await connectGraphql(t, `ws://${url}/graphql`, async () => {})
  const results = client.graphql.iterate({ query: `subscription { ${field} }` })
  await results.next()
  return { app, client, results, close }
}

test('graphql-ws: it finds a real ws server: subprotocols and clients', async (t) => {
  const app = await start(t, {}, (app) => { framework.setUp!(app) })
  for (let i = 1; i <= 2; i++) {
    const { socket } = await connect(t, app, '/graphql', { protocols: ['graphql-transport-ws', 'other'] })
    assert.equal(socket.protocol, 'graphql-transport-ws')
    assert.equal(app.websocketServer.clients.size, i)
  }
  assert.equal(typeof app.websocketServer.options.handleProtocols, 'function')
  // Its own close codes stay as they are.
  const other = await connect(t, app, '/graphql', { protocols: ['other', 'graphql-transport-ws-legacy'] }).catch((error: Error) => error)
  assert.match(String(other), /Server sent no subprotocol/)
  await until(() => app.sockets.history.length === 1, 'the other client to leave')
  assert.equal(app.sockets.history[0]!.code, 4406)
  assert.equal(app.sockets.history[0]!.cause, 'application')
})
