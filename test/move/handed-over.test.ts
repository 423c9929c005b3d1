/**
 * Handovers over real sockets: across the restart of an application, a move, and whatever the store of states does.
 */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import { TICK } from '../../lib/base/deadlines.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { lifecycle } from '../../lib/client/index.ts'
import type { StandardSocket } from '../../lib/client/socket.ts'
import plugin from '../../lib/index.ts'
import type { Connection, LifecycleOptions } from '../../lib/index.ts'
import { sharedStore } from '../../lib/move/handover-store.ts'
import { createClock } from '../../lib/testing/clock.ts'
import type { ManagedTracker } from '../../lib/track/managed-tracker.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import { emptyStore, endOf, offering } from '../helpers/handovers.ts'
import { createJob } from '../helpers/job.ts'
import { asked, MOVED } from '../helpers/mover.ts'
import { connect, connectTo, logged, portOf, rawHandshake, start, until } from '../helpers/server.ts'
import type { StartOptions, TestApp, TestClient } from '../helpers/server.ts'

interface Served {
  app: TestApp
  /** A client of this user, which offers the id of its last connection. */
  come (user: string | undefined, id?: string): Promise<TestClient>
}

/** A server that tells each client what it was handed, and keeps the last message of the client for its next connection. */
async function serve (t: TestContext, options: LifecycleOptions = {}, how: StartOptions = {}): Promise<Served> {
  const app = await start(t, { owner: ({ headers }) => headers['x-user'] as string | undefined, ...options }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      socket.send(JSON.stringify({ handed: connection.handed ?? null }))
      socket.on('message', (message: Buffer) => {
        connection.handover(JSON.parse(message.toString()))
        socket.send('kept')
      })
    })
  }, how)
  return { app, come: (user, id) => connect(t, app, '/', offering(id, { headers: user === undefined ? {} : { 'x-user': user } })) }
}

/** Sends a state to be kept, and waits until it is. */
async function keep (client: TestClient, state: unknown): Promise<void> {
  await client.next()
  client.send(JSON.stringify(state))
  assert.equal(await client.next(), 'kept')
}

test('1,000 of 1,000 states arrive across a restart of the application in one process', async (t) => {
  const COUNT = 1_000
  const stateOf = (i: number) => ({ user: i, text: `état ${i} 😀`, more: [i, null, { deep: 'x'.repeat(i) }] })
  const inParts = async <T>(each: (i: number) => Promise<T>): Promise<T[]> => {
    const results: T[] = []
    for (let from = 0; from < COUNT; from += 50) results.push(...await Promise.all(Array.from({ length: 50 }, (_, i) => each(from + i))))
    return results
  }
  // Closes take as long as a busy machine needs, and states wait as long. A function: to a text the drain adds a delay of its own.
  const reason = 'retry=3600000'
  const before = await serve(t, { closeTimeout: 100_000, drain: { reason: () => reason, timeout: 600_000, spread: false } })
  const clients = await inParts(async (i) => {
    const client = await before.come(`user ${i}`)
    await keep(client, stateOf(i))
    return client
  })
  const port = portOf(before.app)
  const [ends] = await Promise.all([Promise.all(clients.map(endOf)), before.app.close()])
  assert.deepEqual(ends.filter(({ closed, rest }) => closed.code !== 1012 || closed.reason !== reason || rest.length > 0), [])
  assert.equal(new Set(ends.map(({ id }) => id)).size, COUNT)

  const after = await serve(t, {}, { listen: { port, host: '127.0.0.1' } })
  const arrived = await inParts(async (i) => JSON.parse(String(await (await after.come(`user ${i}`, ends[i]!.id)).next())) as { handed: unknown })
  for (const [i, { handed }] of arrived.entries()) assert.deepEqual(handed, stateOf(i))
  assert.equal(sharedStore().size, 0)
})

test('the state is there when the hooks run: for the option onOpen, listeners of "open" and the handler', async (t) => {
  const seen: unknown[] = []
  const { app, come } = await serve(t, { onOpen: ({ handed }) => { seen.push(handed) } })
  app.sockets.on('open', ({ handed }) => { seen.push(handed) })
  const client = await come('ada')
  await keep(client, { cursor: 7 })
  app.sockets.disconnect('all', { code: 1012 })
  const next = await come('ada', (await endOf(client)).id)
  assert.equal(await next.next(), '{"handed":{"cursor":7}}')
  assert.deepEqual(seen, [undefined, undefined, { cursor: 7 }, { cursor: 7 }])
})

test('a client that moves finds the state of its old connection, which is still open', async (t) => {
  const { app, come } = await serve(t)
  const client = await come('ada')
  await keep(client, 'before')
  const moving = app.sockets.list()[0]!.move()
  const { id } = asked(await client.next())
  client.send('"while it waits"')
  assert.equal(await client.next(), 'kept')
  const next = await come('ada', id)
  assert.equal(await next.next(), '{"handed":"while it waits"}')
  assert.equal(app.sockets.size, 2)
  client.send(MOVED)
  assert.equal(await moving, true)
  assert.deepEqual(await endOf(client), { id: undefined, closed: { code: 1012, reason: 'moved' }, rest: [] })
  assert.equal(sharedStore().size, 0)
})

test('what onDrain hands over reaches the server that takes over', async (t) => {
  const onDrain = (connection: Connection) => { connection.handover('given in onDrain') }
  const first = await serve(t, { drain: { terminationGracePeriod: 30_000 }, onDrain })
  const second = await serve(t)
  const client = await first.come('ada')
  await keep(client, 'before')
  const closed = first.app.close()
  const { id } = asked(await client.next())
  assert.equal(await (await second.come('ada', id)).next(), '{"handed":"given in onDrain"}')
  client.send(MOVED)
  assert.deepEqual(await endOf(client), { id: undefined, closed: { code: 1012, reason: 'moved' }, rest: [] })
  await closed
  assert.equal(sharedStore().size, 0)
})

test('a client that is asked to move and stays is handed over when it is closed', async (t) => {
  const { app, come } = await serve(t)
  const client = await come('ada')
  await keep(client, 'kept')
  void app.sockets.list()[0]!.move()
  const { id } = asked(await client.next())
  app.sockets.disconnect('all', { code: 1012 })
  const end = await endOf(client)
  assert.notEqual(end.id, id)
  assert.equal(await (await come('ada', id)).next(), '{"handed":null}')
  assert.equal(await (await come('ada', end.id)).next(), '{"handed":"kept"}')
})

test('a handshake that is refused does not use up the id', async (t) => {
  const served = await serve(t, { limits: { perOwner: { max: 1 } } }, {
    before: (app) => { app.addHook('onRequest', async ({ headers }, reply) => headers['x-token'] === 'expired' ? reply.code(401).send() : undefined) }
  })
  const id = await leave(served, 'kept')
  await assert.rejects(connect(t, served.app, '/', offering(id, { headers: { 'x-user': 'ada', 'x-token': 'expired' } })), { status: 401 })
  const other = await served.come('ada')
  await assert.rejects(served.come('ada', id), { status: 429 })
  await other.close()
  await until(() => served.app.sockets.size === 0, 'room')
  assert.equal(await (await served.come('ada', id)).next(), '{"handed":"kept"}')
})

test('with drain: { move: false } states are handed over all the same', async (t) => {
  const served = await serve(t, { drain: { move: false } })
  const id = await leave(served, 'kept')
  assert.equal(await (await served.come('ada', id)).next(), '{"handed":"kept"}')
})

test('an owner that the first message names is given the state with it, and another owner is not', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const connection = app.sockets.of(socket)
      for await (const message of connection.messages()) {
        connection.setOwner(String(message))
        socket.send(`${String(message)} was handed ${String(connection.handed)}`)
        connection.handover(`the state of ${String(message)}`)
      }
    })
  })
  const visit = async (user: string, id?: string): Promise<{ told: unknown, id: string }> => {
    const client = await connect(t, app, '/', offering(id))
    client.send(user)
    const told = await client.next()
    app.sockets.disconnect('all', { code: 1012 })
    return { told, id: (await endOf(client)).id! }
  }
  const first = await visit('ada')
  const second = await visit('ada', first.id)
  const thief = await visit('bob', second.id)
  assert.deepEqual([first.told, second.told, thief.told], ['ada was handed undefined', 'ada was handed the state of ada', 'bob was handed undefined'])
  emptyStore()
})

test('the next application on the same HTTP server takes the states of the one before, while that drains', async (t) => {
  const server = http.createServer((request, response) => { handle(request, response) })
  let handle: http.RequestListener = () => {}
  const make = async (name: string) => {
    const app = Fastify({ serverFactory: (given: http.RequestListener) => { handle = given; return server } }) as unknown as FastifyInstance
    await app.register(plugin)
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      socket.send(`${name} was handed ${String(connection.handed)}`)
      connection.handover(`the state of ${name}`)
    })
    t.after(async () => {
      await app.close()
      emptyStore()
    })
    await app.ready()
    return app
  }
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => { server.close(); server.closeAllConnections() })
  const come = (id?: string) => connectTo(t, `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, offering(id))
  const first = await make('first')
  const [a, b] = [await come(), await come()]
  for (const client of [a, b]) assert.equal(await client.next(), 'first was handed undefined')
  await make('second')
  void first.sockets.list()[0]!.close(1012)
  const work = createJob()
  void first.sockets.list()[1]!.track(work.promise)
  const closed = first.close()
  const next = await come((await endOf(a)).id)
  assert.equal(await next.next(), 'second was handed the state of first')
  work.done()
  await closed
  assert.equal(await (await come((await endOf(b)).id)).next(), 'second was handed the state of first')
})

test('a ws server that was adopted hands over, too', async (t) => {
  const { server, url } = await startForeign(t)
  const app = await start(t, {}, (app) => { app.sockets.adopt(server) })
  server.on('connection', (socket) => {
    const connection = app.sockets.of(socket)
    socket.send(String(connection.handed))
    connection.handover('kept')
  })
  const client = await connectTo(t, url, offering())
  assert.equal(await client.next(), 'undefined')
  app.sockets.disconnect('all', { code: 1012 })
  const next = await connectTo(t, url, offering((await endOf(client)).id))
  assert.equal(await next.next(), 'kept')
  await next.close()
})

// ——— the class of the client

/** A server on which each path is the page of a user, who is told what was handed over, and how often. */
async function serveVisits (t: TestContext, listen: StartOptions['listen'] = {}): Promise<TestApp> {
  return await start(t, { owner: ({ params }) => (params as { user: string }).user, closeTimeout: 100_000, drain: { timeout: 600_000 } }, (app) => {
    app.get('/:user', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      const { visits } = (connection.handed ?? { visits: 0 }) as { visits: number }
      socket.send(`${connection.owner} ${visits}`)
      connection.handover({ visits: visits + 1 })
    })
  }, { listen })
}

test('the class brings the state back by itself: after a restart, after a move, and after both', async (t) => {
  const USERS = Array.from({ length: 20 }, (_, i) => `user${i}`)
  const Socket = lifecycle(WebSocket)
  let app = await serveVisits(t)
  const port = portOf(app)
  const restart = async (): Promise<void> => {
    await app.close()
    app = await serveVisits(t, { port, host: '127.0.0.1' })
  }
  const told: string[] = []
  const sockets = new Map<string, StandardSocket>()
  const visit = (user: string): void => {
    const socket = new Socket(`ws://127.0.0.1:${port}/${user}`) as unknown as StandardSocket
    sockets.set(user, socket)
    socket.onmessage = ({ data }: { data: string }) => { told.push(data) }
    // 1006: on a busy machine the new server may not listen yet when the delay of the close frame is over.
    socket.onclose = ({ code }: { code: number }) => { if (code === 1012 || code === 1006) visit(user) }
  }
  const expected: string[] = []
  const all = async (visits: number): Promise<void> => {
    expected.push(...USERS.map((user) => `${user} ${visits}`))
    await until(() => told.length >= expected.length, `what each user is told at visit ${visits}`)
    assert.deepEqual(told.toSorted(), expected.toSorted())
  }
  USERS.forEach(visit)
  await all(0)
  await restart()
  await all(1)
  assert.deepEqual(await Promise.all(app.sockets.list().map((connection) => connection.move())), USERS.map(() => true))
  await all(2)
  await restart()
  await all(3)
  for (const socket of sockets.values()) socket.close()
  await until(() => app.sockets.size === 0, 'the end of all connections')
  emptyStore()
})

// ——— stores

/** A closed connection with this state; returns what `come` needs to take it. */
async function leave ({ app, come }: Served, state: unknown): Promise<string> {
  const client = await come('ada')
  await keep(client, state)
  app.sockets.disconnect('all', { code: 1012 })
  return (await endOf(client)).id!
}

test('a handshake waits for a store that answers later, and goes on in its own async context', async (t) => {
  const served = await serve(t)
  const id = await leave(served, 'late')
  const store = sharedStore()
  const take = store.take.bind(store)
  t.mock.method(store, 'take', async (of: string) => { await new Promise((resolve) => { setTimeout(resolve, 50) }); return take(of) })
  const storage = new AsyncLocalStorage<string>()
  let context: string | undefined
  served.app.sockets.on('open', () => { context = storage.getStore() })
  served.app.server.prependListener('upgrade', () => { storage.enterWith('of the request') })
  assert.equal(await (await served.come('ada', id)).next(), '{"handed":"late"}')
  assert.equal(context, 'of the request')
})

for (const [name, take] of [
  ['never answers', () => new Promise(() => {})],
  ['throws', () => { throw new Error('SECRET') }],
  ['rejects', () => Promise.reject(new Error('SECRET'))],
  ['gives nonsense', () => '{"SECRET'],
  ['answers with nonsense', async () => Promise.resolve(5)]
] as const) {
  test(`a store that ${name} leaves the handshake as it would be without a state`, async (t) => {
    const served = await serve(t)
    const id = await leave(served, 'lost')
    const { mock } = t.mock.method(sharedStore(), 'take', take)
    assert.equal(await (await served.come('ada', id)).next(), '{"handed":null}')
    assert.equal(mock.callCount(), 1)
    mock.restore()
    emptyStore()
    const lines = logged(served.app, /store of handed-over states/)
    assert.deepEqual(lines.map(({ level }) => level), ['throws', 'rejects', 'gives nonsense'].includes(name) ? [50] : [])
    assert.doesNotMatch(JSON.stringify(served.app.logs), /SECRET/)
  })
}

test('the deadline of a handshake is later than that of the store', async (t) => {
  const clock = createClock()
  const served = await serve(t, { clock, limits: { handshakes: { timeout: 20 * TICK } } })
  const id = await leave(served, 'lost')
  const asked = deferred<void>()
  const { mock } = t.mock.method(sharedStore(), 'take', () => { asked.resolve(); return new Promise(() => {}) })
  const coming = served.come('ada', id)
  await asked.promise
  await clock.tick(19 * TICK)
  assert.equal(await (await coming).next(), '{"handed":null}')
  mock.restore()
  emptyStore()
})

test('a client that leaves while its handshake waits for the store leaves nothing behind', async (t) => {
  const served = await serve(t)
  const id = await leave(served, 'lost')
  const asked = deferred<void>()
  const { mock } = t.mock.method(sharedStore(), 'take', () => { asked.resolve(); return new Promise(() => {}) })
  const client = await rawHandshake(t, served.app, '/', { 'Sec-WebSocket-Protocol': `lifecycle.v1, lifecycle.v1.${id}` })
  await asked.promise
  client.reset()
  await until(() => served.app.sockets.stats().opened === 1 && (served.app.sockets as ManagedTracker).leftovers === 0, 'the end of the handshake')
  mock.restore()
  emptyStore()
  assert.equal(served.app.sockets.stats().opened, 1)
})

test('a drain does not wait for the store, and refuses the handshakes that do', async (t) => {
  const served = await serve(t)
  const client = await served.come('ada')
  await keep(client, 'lost')
  const asked = deferred<void>()
  const store = sharedStore()
  for (const method of ['put', 'take'] as const) t.mock.method(store, method, () => { asked.resolve(); return new Promise(() => {}) })
  const waiting = rawHandshake(t, served.app, '/', { 'Sec-WebSocket-Protocol': `lifecycle.v1, lifecycle.v1.${'A'.repeat(22)}` })
  await asked.promise
  await served.app.close()
  assert.equal((await (await waiting).answer).status, 503)
  assert.equal((await endOf(client)).closed.code, 1012)
})
