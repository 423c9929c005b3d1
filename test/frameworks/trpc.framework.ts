/**
 * tRPC with its own adapter for Fastify and its own wsLink.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client'
import type { TRPCClient } from '@trpc/client'
import { initTRPC } from '@trpc/server'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import type { CreateFastifyContextOptions, FastifyTRPCPluginOptions } from '@trpc/server/adapters/fastify'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import type { Connection } from '../../lib/index.ts'
import { reportOf, until } from '../helpers/server.ts'
import type { Closed } from '../helpers/server.ts'
import { checkBothHeartbeats, checkFramework, FAULT, serve } from './checks.ts'
import type { Client, Framework } from './checks.ts'

/** What procedures get; `socket` is the WebSocket, over HTTP it would be the reply. */
interface Context { connection: Connection }

const { procedure, router } = initTRPC.context<Context>().create()

/** Procedures a drain waits for; a subscription's promise is that of its start only. */
const tracked = procedure.use(({ ctx, next }) => ctx.connection.track(next()))

const slow = { started: deferred<void>(), release: deferred<void>() }

async function work (): Promise<string> {
  slow.started.resolve()
  await slow.release.promise
  return 'done'
}

const ends: string[] = []

const routes = router({
  echo: procedure.input((value) => String(value)).query(({ input }) => input),
  untracked: procedure.mutation(work),
  tracked: tracked.mutation(work),
  ticks: tracked.subscription(async function * ({ signal }) {
    try {
      for (let tick = 0; !signal!.aborted; tick++) {
        yield tick
        await new Promise((resolve) => { setTimeout(resolve, 5) })
      }
    } finally {
      ends.push('unsubscribed')
    }
  })
})

type Routes = typeof routes

interface TrpcTestClient extends Client {
  trpc: TRPCClient<Routes>
}

async function connect (t: TestContext, url: string): Promise<TrpcTestClient> {
  const ended = deferred<Closed>()
  const client = createWSClient({
    url: `ws://${url}/trpc`,
    WebSocket: WebSocket as never,
    retryDelayMs: () => 20,
    onClose: (event) => {
      const { code = 1006, reason = '' } = (event ?? {}) as Partial<Closed>
      ended.resolve({ code, reason })
    }
  })
  t.after(() => client.close())
  const trpc = createTRPCClient<Routes>({ links: [wsLink({ client })] })
  const works = async () => { assert.equal(await trpc.echo.query('hello'), 'hello') }
  await works()
  return {
    trpc,
    ended: ended.promise,
    works,
    provoke: () => { trpc.echo.query(FAULT).catch(() => {}) },
    stop: () => client.close()
  }
}

async function setUp (app: FastifyInstance, keepAlive?: { enabled: boolean, pingMs: number, pongWaitMs: number }): Promise<void> {
  const createContext = ({ res }: CreateFastifyContextOptions): Context => ({ connection: app.sockets.of(res as unknown as WebSocket) })
  await app.register(fastifyTRPCPlugin, {
    prefix: '/trpc',
    useWSS: true,
    trpcOptions: { router: routes, createContext, ...(keepAlive && { keepAlive }) }
  } satisfies FastifyTRPCPluginOptions<Routes>)
}

const framework: Framework = {
  route: '/trpc',
  setUp: (app) => setUp(app),
  connect,
  comesBack: true
}

/** Its own period; longer than ours, or no client would ever be silent long enough for ours to ping. */
const PERIOD = 500

checkFramework('tRPC', framework)
checkBothHeartbeats('tRPC', { ...framework, setUp: (app) => setUp(app, { enabled: true, pingMs: PERIOD, pongWaitMs: 60_000 }) }, PERIOD)

test('tRPC: a drain waits for procedures that a middleware tracks, and the answer arrives before the close frame', async (t) => {
  Object.assign(slow, { started: deferred<void>(), release: deferred<void>() })
  const { app, url, close } = await serve(t, framework)
  const { trpc, ended, stop } = await connect(t, url)
  const answer = trpc.tracked.mutate()
  await slow.started.promise
  const closing = close()
  await until(() => app.sockets.state === 'draining', 'the drain to begin')
  slow.release.resolve()
  assert.equal(await answer, 'done')
  await closing
  assert.equal((await ended).code, 1012)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
  await stop()
})

test('tRPC: a drain does not know of procedures that are not tracked', async (t) => {
  Object.assign(slow, { started: deferred<void>(), release: deferred<void>() })
  const { app, url, close } = await serve(t, framework)
  const { trpc, stop } = await connect(t, url)
  const answer = trpc.untracked.mutate()
  await slow.started.promise
  await Promise.all([assert.rejects(answer, { name: 'TRPCClientError' }), close()])
  slow.release.resolve()
  assert.equal(reportOf(app).work.inFlight, 0)
  await stop()
})

test('tRPC: a live subscription does not hold the drain up, ends with it, and goes on after the restart', async (t) => {
  ends.length = 0
  const first = await serve(t, framework)
  const { trpc, ended, stop } = await connect(t, first.url)
  let ticks: number[] = []
  const subscription = trpc.ticks.subscribe(undefined, { onData: (tick) => { ticks.push(tick) } })
  await until(() => ticks.length > 2, 'ticks')
  await first.close()
  assert.equal((await ended).code, 1012)
  assert.equal(reportOf(first.app).work.inFlight, 0)
  await until(() => ends.length === 1, 'the generator to end')

  ticks = []
  await serve(t, framework, Number(first.url.split(':')[1]))
  await until(() => ticks.length > 2, 'ticks of the next server')
  assert.equal(ticks[0], 0)
  subscription.unsubscribe()
  await stop()
})
