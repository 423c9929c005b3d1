/**
 * Code of a connection runs in the async context of its own request or in none, whatever ends the connection and
 * wherever the end was asked for. And a context lives no longer than its connection.
 */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { Connection, LifecycleOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import { heapUsed } from '../performance/heap.ts'
import { connect, rawConnect, start, until } from '../helpers/server.ts'
import type { RawClient, TestApp, TestClient } from '../helpers/server.ts'

interface User { readonly name: string }

const users = new AsyncLocalStorage<User>()

/** What ran, for whom, and whose context it saw. */
type Seen = Array<{ of: string, what: string, context: string | undefined }>

/** A server on which each request runs in its user's context, and which writes down what every piece of code sees. */
async function serve (t: TestContext, options: LifecycleOptions = {}, configure?: (app: FastifyInstance) => unknown): Promise<{ app: TestApp, seen: Seen, stores: Map<string, WeakRef<User>> }> {
  const seen: Seen = []
  const stores = new Map<string, WeakRef<User>>()
  const note = (of: unknown, what: string) => { seen.push({ of: String(of), what, context: users.getStore()?.name }) }
  const userOf = (connection: Connection) => (connection.data as { user?: string }).user
  const app = await start(t, {
    data: ({ query }) => ({ user: (query as { u: string }).u }),
    onDrain: (connection) => { note(userOf(connection), 'onDrain') },
    ...options
  }, async (app) => {
    for (const event of ['draining', 'closing', 'closed'] as const) app.sockets.on(event, (...[connection]: [Connection, ...unknown[]]) => { note(userOf(connection), `event ${event}`) })
    app.sockets.on('error', (_error, connection) => { note(userOf(connection), 'event error') })
    app.addHook('onRequest', (request, _reply, done) => {
      const user = { name: (request.query as { u: string }).u }
      if (request.ws) stores.set(user.name, new WeakRef(user))
      users.run(user, done)
    })
    app.get('/', { websocket: true }, (socket, { query }) => {
      const { u } = query as { u: string }
      const connection = app.sockets.of(socket)
      for (const event of ['close', 'error'] as const) socket.on(event, () => { note(u, `${event} listener`) })
      connection.defer(() => { note(u, 'cleanup') })
      connection.defer(async () => {
        await Promise.resolve()
        note(u, 'async cleanup')
      })
      connection.signal.addEventListener('abort', () => { note(u, 'abort of signal') })
      connection.drainSignal.addEventListener('abort', () => { note(u, 'abort of drainSignal') })
      void connection.closed.then(() => { note(u, 'closed') })
    })
    await configure?.(app)
  })
  return { app, seen, stores }
}

function join (t: TestContext, app: TestApp, user: string): Promise<TestClient> {
  return connect(t, app, `/?u=${user}`)
}

/** A client that answers nothing. */
function joinRaw (t: TestContext, app: TestApp, user: string): Promise<RawClient> {
  return rawConnect(t, app, `/?u=${user}`)
}

/** Code of `user` ran, all of it in that user's context or in none. */
function check (seen: Seen, user: string, ...expected: string[]): void {
  const wrong = seen.filter(({ of, context }) => context !== undefined && context !== of)
  assert.deepEqual(wrong, [])
  const ran = seen.filter(({ of }) => of === user).map(({ what }) => what)
  for (const what of expected) assert.ok(ran.includes(what), `${what} did not run: ${ran.join(', ')}`)
}

const END = ['abort of signal', 'event closing', 'cleanup', 'async cleanup', 'close listener', 'event closed', 'closed']

test('a tick that alice has armed ends bob outside of alice\'s context', async (t) => {
  const clock = createClock()
  const { app, seen } = await serve(t, { clock, heartbeat: false, idleTimeout: 1_000, backpressure: false })
  const clients = [await join(t, app, 'alice'), await join(t, app, 'bob')]
  await passes(clock, 5_000)
  await Promise.all(clients.map(({ closed }) => closed))
  await until(() => app.sockets.size === 0)
  for (const user of ['alice', 'bob']) check(seen, user, ...END)
})

async function passes (clock: TestClock, time: number): Promise<void> { await users.run({ name: 'nobody' }, () => clock.tick(time)) }

test('real timers that alice has armed end bob outside of alice\'s context', async (t) => {
  const { app, seen } = await serve(t, { heartbeat: { interval: 100, maxMissed: 1 } })
  for (const user of ['alice', 'bob']) await joinRaw(t, app, user)
  await until(() => app.sockets.size === 0)
  for (const user of ['alice', 'bob']) check(seen, user, ...END)
  assert.deepEqual(app.sockets.history.map(({ cause }) => cause), ['heartbeat', 'heartbeat'])
})

test('an eviction runs outside of the context of the handshake that caused it', async (t) => {
  const { app, seen } = await serve(t, { owner: () => 'shared', limits: { perOwner: { max: 1, policy: 'evict-oldest' } } })
  const bob = await join(t, app, 'bob')
  await join(t, app, 'alice')
  assert.equal((await bob.closed).code, 4001)
  await until(() => app.sockets.size === 1)
  check(seen, 'bob', ...END)
})

/** Ways in which a request of alice ends the connection of bob. */
const WAYS: Record<string, (app: FastifyInstance) => void> = {
  disconnect: (app) => { app.sockets.disconnect({ where: ({ data }) => (data as { user: string }).user === 'bob' }) },
  'connection.close()': (app) => { void bobOf(app).close(4000) },
  'connection.terminate()': (app) => { void bobOf(app).terminate() },
  'socket.close()': (app) => { bobOf(app).socket.close(4000) },
  'socket.terminate()': (app) => { bobOf(app).socket.terminate() },
  'a cleanup': (app) => {
    bobOf(app).defer(() => { throw new Error('cleanup of alice') })
    void bobOf(app).close(4000)
  },
  'a broadcast': (app) => {
    bobOf(app).socket.send = () => { throw new Error('replaced') }
    void app.sockets.broadcast('x', 'all')
  },
  'a method that fails': (app) => {
    bobOf(app).socket.close = () => { throw new Error('replaced') }
    bobOf(app).socket.close(4000)
  },
  'an expiry': (app) => { bobOf(app).expiresAt = Date.now() - 1 }
}

function bobOf (app: FastifyInstance): Connection {
  return app.sockets.list({ where: ({ data }) => (data as { user: string }).user === 'bob' })[0]!
}

for (const [way, act] of Object.entries(WAYS)) {
  test(`${way} from a route of alice ends bob outside of alice's context`, async (t) => {
    const { app, seen } = await serve(t, {}, (app) => {
      app.get('/act', async () => { act(app); return 'done' })
    })
    await join(t, app, 'alice')
    const bob = await join(t, app, 'bob')
    await app.inject('/act?u=alice')
    await bob.closed
    await until(() => app.sockets.size === 1)
    check(seen, 'bob', ...END)
  })
}

test('a drain that a route of alice has started runs outside of alice\'s context', async (t) => {
  const { app, seen } = await serve(t, {}, (app) => {
    app.get('/drain', async () => { void app.sockets.drain(); return 'done' })
  })
  const bob = await join(t, app, 'bob')
  const silent = await joinRaw(t, app, 'carol')
  await app.inject('/drain?u=alice')
  await bob.closed
  await silent.closeFrame()
  silent.destroy()
  await until(() => app.sockets.size === 0)
  for (const user of ['bob', 'carol']) check(seen, user, 'onDrain', 'event draining', 'abort of drainSignal', ...END)
})

test('the context of a connection is not kept after it, nor is that of a request that has armed a timer', async (t) => {
  const { app, stores } = await serve(t, { heartbeat: { interval: 10_000 }, idleTimeout: 20_000, maxLifetime: 86_400_000, limits: { total: { max: 10 } } })
  const alice = await join(t, app, 'alice')
  await join(t, app, 'bob')
  void alice.close()
  await alice.closed
  await until(() => app.sockets.size === 1)
  await heapUsed()
  assert.equal(stores.get('alice')!.deref(), undefined)
})

test('a write of alice that fails at bob ends bob outside of alice\'s context', async (t) => {
  let raw: Socket | undefined
  const { app, seen } = await serve(t, {}, (app) => {
    app.server.once('connection', (socket) => { raw = socket })
    app.get('/write', async () => {
      // As a write that the kernel refuses.
      bobOf(app).socket.send('x')
      raw!.destroy(new Error('EPIPE'))
      return 'done'
    })
  })
  const bob = await joinRaw(t, app, 'bob')
  const gone = once(bob.socket, 'close')
  await app.inject('/write?u=alice')
  bob.destroy()
  await gone
  await until(() => app.sockets.size === 0)
  check(seen, 'bob', ...END)
})
