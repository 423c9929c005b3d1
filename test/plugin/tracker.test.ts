// The tracker over real sockets; its rules, on fakes, are in test/tracker.test.ts.
import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import test from 'node:test'
import { CHANNELS } from '../../lib/index.ts'
import { ended } from '../helpers/ends.ts'
import { nextClosed, recordEvents, turn } from '../helpers/records.ts'
import { connect, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const rooms = (app: TestApp) => {
  app.get('/rooms/:id', { websocket: true }, (socket, request) => { app.sockets.of(socket).tag((request.params as { id: string }).id, 'room') })
  app.get('/', { websocket: true }, () => {})
}

test('owner and data come from the request, before open is emitted', async (t) => {
  const seen: unknown[] = []
  const app = await start(t, {
    owner: (request) => request.headers.authorization,
    data: (request) => ({ userId: `u-${String(request.headers.authorization)}` }) as never,
    onOpen: (connection) => { seen.push(connection.owner, connection.data) }
  }, rooms)
  await connect(t, app, '/', { headers: { authorization: 'ann' } })
  assert.deepEqual(seen, ['ann', { userId: 'u-ann' }])
  assert.equal(app.sockets.count({ owner: 'ann' }), 1)
  await connect(t, app, '/')
  assert.equal(app.sockets.list()[1]!.owner, undefined)
})

for (const [what, options] of [
  ['owner that throws', { owner: () => { throw new Error('boom') } }],
  ['owner that is no string', { owner: (() => 42) as never }],
  ['owner that is a promise', { owner: (async () => 'late') as never }],
  ['data that throws', { data: () => { throw new Error('boom') } }]
] as const) {
  test(`an ${what} ends its connection with 1011, after it was announced`, async (t) => {
    let handled = 0
    const app = await start(t, options, (app) => { app.get('/', { websocket: true }, () => { handled++ }) })
    const events = recordEvents(app)
    assert.equal((await ended(await connect(t, app, '/'))).code, 1011)
    await until(() => app.sockets.size === 0)
    assert.deepEqual(events, ['open', 'error', 'closing', 'closed'])
    assert.equal(handled, 0)
  })
}

test('list, count, get and of over owners, tags, routes and states', async (t) => {
  const app = await start(t, { owner: (request) => (request.query as { o?: string }).o }, rooms)
  await connect(t, app, '/rooms/a?o=ann')
  await connect(t, app, '/rooms/b?o=ann')
  await connect(t, app, '/?o=bob')
  const { sockets } = app
  assert.equal(sockets.size, 3)
  assert.deepEqual(sockets.list({ owner: 'ann' }).map(({ route }) => route), ['/rooms/:id', '/rooms/:id'])
  assert.equal(sockets.count({ tag: 'room' }), 2)
  assert.equal(sockets.count({ tag: 'room', owner: 'bob' }), 0)
  assert.equal(sockets.count({ route: '/' }), 1)
  assert.equal(sockets.count({ state: 'open', where: ({ tags }) => tags.has('b') }), 1)
  const [first] = sockets.list()
  assert.equal(sockets.get(first!.id), first)
  assert.equal(sockets.of(first!.socket), first)
  first!.setOwner('bob')
  assert.deepEqual([sockets.count({ owner: 'ann' }), sockets.count({ owner: 'bob' })], [1, 2])
  first!.untag('a')
  assert.equal(sockets.count({ tag: 'a' }), 0)
})

test('disconnect closes the connections it names, and no others', async (t) => {
  const app = await start(t, { owner: (request) => (request.query as { o?: string }).o }, rooms)
  const ann = [await connect(t, app, '/rooms/a?o=ann'), await connect(t, app, '/?o=ann')]
  const bob = await connect(t, app, '/rooms/a?o=bob')
  const record = nextClosed(app)
  assert.equal(app.sockets.disconnect({ owner: 'ann' }, { code: 4003, reason: 'account closed' }), 2)
  assert.equal(app.sockets.disconnect({ owner: 'ann' }), 0, 'they are closing')
  for (const client of ann) assert.deepEqual(await ended(client), { code: 4003, reason: 'account closed' })
  assert.equal((await record).cause, 'disconnected')
  await until(() => app.sockets.size === 1)
  for (const filter of [{}, { owner: undefined }, { name: 'x' }, undefined]) {
    assert.throws(() => app.sockets.disconnect(filter as never), { code: 'SOCKETS_ERR_INVALID_FILTER' })
  }
  assert.equal(bob.socket.readyState, bob.socket.OPEN)
  assert.equal(app.sockets.disconnect('all'), 1)
  assert.equal((await ended(bob)).code, 3003)
})

test('the history keeps plain records of the last ones, without owner and address', async (t) => {
  const app = await start(t, { history: 2, owner: () => 'ann' }, rooms)
  for (const code of [4001, 4002, 4003]) {
    const client = await connect(t, app, '/rooms/a?token=secret')
    client.socket.send('hello')
    client.socket.close(code, `bye ${code}`)
    await ended(client)
    await until(() => app.sockets.size === 0)
  }
  const { history } = app.sockets
  assert.deepEqual(history.map(({ code, reason, cause, route, messages, clean }) => ({ code, reason, cause, route, messages, clean })), [
    { code: 4002, reason: 'bye 4002', cause: 'client', route: '/rooms/:id', messages: 1, clean: true },
    { code: 4003, reason: 'bye 4003', cause: 'client', route: '/rooms/:id', messages: 1, clean: true }
  ])
  for (const { duration, bytesReceived, bytesSent, openedAt } of history) {
    assert.ok(duration >= 0 && bytesReceived > 0 && bytesSent > 0 && openedAt > 1e12)
  }
  assert.deepEqual(JSON.parse(JSON.stringify(history)), history)
  assert.equal(/ann|secret|127\.0\.0\.1/.test(JSON.stringify(history)), false)
})

test('events come in order: open → draining → closing → closed, and the drain around them', async (t) => {
  const app = await start(t, {}, rooms)
  const events = recordEvents(app)
  const client = await connect(t, app, '/')
  await app.close()
  await ended(client)
  assert.deepEqual(events, ['open', 'drain', 'draining', 'closing', 'closed', 'drained'])
})

test('a client that leaves skips draining', async (t) => {
  const app = await start(t, {}, rooms)
  const events = recordEvents(app)
  const client = await connect(t, app, '/')
  client.socket.close()
  await ended(client)
  await until(() => app.sockets.size === 0)
  assert.deepEqual(events, ['open', 'closing', 'closed'])
})

test('diagnostics channels carry every event with its tracker', async (t) => {
  const seen: Array<{ name: string, tracker: unknown }> = []
  const listen = (message: unknown, name: string | symbol) => {
    seen.push({ name: String(name), tracker: (message as { tracker: unknown }).tracker })
  }
  for (const name of Object.values(CHANNELS)) diagnostics.subscribe(name, listen)
  t.after(() => { for (const name of Object.values(CHANNELS)) diagnostics.unsubscribe(name, listen) })
  const one = await start(t, {}, rooms)
  const two = await start(t, {}, rooms)
  await connect(t, one, '/')
  await one.sockets.drain()
  await connect(t, two, '/')
  const of = (app: TestApp) => seen.filter(({ tracker }) => tracker === app.sockets).map(({ name }) => name)
  const without = of(one).filter((name) => name !== CHANNELS.progress)
  assert.deepEqual(without, [CHANNELS.open, CHANNELS.audit, CHANNELS.drain, CHANNELS.draining, CHANNELS.closing, CHANNELS.closed, CHANNELS.drained])
  assert.deepEqual(of(two), [CHANNELS.open])
})

test('signal, cleanups and `closed` over a real close', async (t) => {
  const order: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      connection.signal.addEventListener('abort', () => {
        const { code, closeCause, closeCode } = connection.signal.reason as { code: string, closeCause: string, closeCode: number }
        order.push(`signal ${code} ${closeCause} ${closeCode}`)
      })
      connection.defer(() => { order.push('first') })
      connection.defer(async () => { await turn(); order.push('second') })
    })
  })
  const client = await connect(t, app, '/')
  const { closed } = app.sockets.list()[0]!
  client.socket.close(4001)
  const { cause } = await closed
  order.push(`closed ${cause}`)
  assert.deepEqual(order, ['signal SOCKETS_ERR_CLOSED client 4001', 'second', 'first', 'closed client'])
})

test('an event listener that throws breaks nothing', async (t) => {
  const app = await start(t, {}, rooms)
  app.sockets.on('open', () => { throw new Error('boom') })
  app.sockets.on('open', async () => { throw new Error('async boom') })
  const client = await connect(t, app, '/')
  await turn()
  assert.equal(app.sockets.size, 1)
  client.socket.close()
  await ended(client)
  assert.equal(app.logs.filter(({ msg }) => msg === 'listener of "open" failed').length, 2)
})
