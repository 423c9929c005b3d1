/**
 * Broadcasts over real TCP: to whom, as what, in which order, and what becomes of those who read too slowly.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { WebSocket } from 'ws'
import { makeCertificate } from '../helpers/certificate.ts'
import { plain } from '../helpers/routes.ts'
import { connect, Opcode, rawConnect, start, until } from '../helpers/server.ts'
import type { RawClient, TestClient } from '../helpers/server.ts'
import { turn } from '../helpers/records.ts'
import { deaf, fill, FRAME, KIB, pending, serve, stalled } from './slow-rig.ts'

const CROWD = 2_000
/** Handshakes at once, fewer than the backlog of a listener. */
const WIDTH = 100

/** Messages of a raw client, as text. */
const texts = ({ frames }: RawClient) => frames.filter(({ opcode }) => opcode === Opcode.Text).map(({ payload }) => payload.toString())

test('policy drop: frames of a broadcast are skipped for a slow reader and counted, others get all of them, and no connection is closed', async (t) => {
  const app = await serve(t, { maxBufferedBytes: 256 * KIB, policy: 'drop', maxStallTime: false })
  const client = await connect(t, app, '/')
  const { raw, connection } = await deaf(t, app)
  const count = 300
  let sent = 0
  let dropped = 0
  for (let i = 0; i < count; i++) {
    const result = await app.sockets.broadcast(Buffer.alloc(FRAME, i), 'all')
    assert.equal(result.sent + result.queued + result.dropped, 2)
    sent += result.sent + result.queued
    dropped += result.dropped
    await until(() => client.unread.length === i + 1)
  }
  assert.ok(dropped > 0, 'nothing was dropped')
  assert.equal(sent, 2 * count - dropped)
  assert.ok(pending(connection) <= 256 * KIB + FRAME + 100)
  assert.equal(app.sockets.size, 2)
  // Whole frames are skipped: what it reads in the end is whole.
  raw.resume()
  await until(() => raw.frames.length === count - dropped)
  assert.ok(raw.frames.every(({ opcode, payload }) => opcode === Opcode.Binary && payload.length === FRAME))
  assert.deepEqual(await app.sockets.broadcast('again', 'all'), { sent: 2, queued: 0, dropped: 0 })
})

test('policy close: a broadcast over the cap closes the slow reader only', async (t) => {
  const app = await serve(t, { maxBufferedBytes: 256 * KIB })
  const client = await connect(t, app, '/')
  const { connection } = await deaf(t, app)
  let waits = 0
  for (let i = 0; connection.state === 'open'; i++) {
    const { sent, queued, dropped } = await app.sockets.broadcast(Buffer.alloc(FRAME), 'all')
    assert.deepEqual({ sent, dropped }, { sent: 2 - queued, dropped: 0 })
    waits = queued
    await until(() => client.unread.length === i + 1)
  }
  assert.equal(waits, 1)
  assert.equal((await connection.closed).cause, 'slow')
  assert.deepEqual(await app.sockets.broadcast('left', 'all'), { sent: 1, queued: 0, dropped: 0 })
})

test('a broadcast goes to the connections that match: text as text, bytes as binary, not to later ones, closing ones dropped', async (t) => {
  const app = await serve(t, {})
  const clients = [await connect(t, app, '/'), await connect(t, app, '/'), await connect(t, app, '/other')]
  const [a, b, c] = clients as [typeof clients[0], typeof clients[0], typeof clients[0]]
  app.sockets.list()[0]!.tag('lobby')
  assert.deepEqual(await app.sockets.broadcast('grüße', 'all'), { sent: 3, queued: 0, dropped: 0 })
  assert.deepEqual(await app.sockets.broadcast(new Uint8Array([1, 2]), { route: '/' }), { sent: 2, queued: 0, dropped: 0 })
  assert.deepEqual(await app.sockets.broadcast('lobby', { tag: 'lobby' }), { sent: 1, queued: 0, dropped: 0 })
  assert.deepEqual(await app.sockets.broadcast('nobody', { tag: 'cellar' }), { sent: 0, queued: 0, dropped: 0 })
  assert.deepEqual(await app.sockets.broadcast('', 'all'), { sent: 3, queued: 0, dropped: 0 })
  const late = await connect(t, app, '/')
  assert.deepEqual([await a.next(), await a.next(), await a.next(), await a.next()], ['grüße', Buffer.from([1, 2]), 'lobby', ''])
  assert.deepEqual([await b.next(), await b.next(), await b.next()], ['grüße', Buffer.from([1, 2]), ''])
  assert.deepEqual([await c.next(), await c.next()], ['grüße', ''])
  void app.sockets.list()[1]!.close()
  assert.deepEqual(await app.sockets.broadcast('x', 'all'), { sent: 3, queued: 0, dropped: 1 })
  assert.equal(await late.next(), 'x')
  assert.throws(() => app.sockets.broadcast(42 as never, 'all'), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  assert.throws(() => app.sockets.broadcast('x', undefined as never), { code: 'SOCKETS_ERR_INVALID_FILTER' })
  assert.throws(() => app.sockets.broadcast('x', { where: () => { throw new Error('mine') } }), /mine/)
})

test('a filter of the application that closes connections during a broadcast breaks nothing', async (t) => {
  const app = await serve(t, {})
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(t, app, '/')))
  const { sent, dropped } = await app.sockets.broadcast('x', { where: (connection) => { void connection.close(); return true } })
  assert.deepEqual({ sent, dropped }, { sent: 0, dropped: 5 })
  for (const client of clients) assert.equal((await client.closed).code, 1000)
})

test(`${CROWD} clients get overlapping broadcasts and what is sent to each alone in the order of the calls; a slow reader and compressing ones, too`, async (t) => {
  const app = await start(t, {
    heartbeat: false,
    backpressure: false,
    owner: ({ headers }) => headers['x-user'] as string,
    options: { perMessageDeflate: { threshold: 0 } }
  }, plain)
  const clients: RawClient[] = []
  while (clients.length < CROWD) {
    clients.push(...await Promise.all(Array.from({ length: WIDTH }, (_, i) => rawConnect(t, app, '/', { 'x-user': `${clients.length + i}` }))))
  }
  const compressing: TestClient[] = []
  for (let i = CROWD; i < CROWD + 10; i++) compressing.push(await connect(t, app, '/', { perMessageDeflate: true, headers: { 'x-user': `${i}` } }))
  const everybody = app.sockets.count()
  assert.equal(everybody, CROWD + 10)
  const of = (i: number) => app.sockets.list({ owner: `${i}` })[0]!
  const slow = 1_234
  clients[slow]!.pause()
  fill(of(slow))
  await stalled(of(slow))

  const expected: string[][] = Array.from({ length: everybody }, () => [])
  const broadcast = (text: string) => {
    for (const list of expected) list.push(text)
    return app.sockets.broadcast(text, 'all')
  }
  const send = (i: number, text: string) => {
    expected[i]!.push(text)
    of(i).socket.send(text)
  }
  const ended: string[] = []
  const results = ['a', 'b', 'c'].map((name) => {
    const result = broadcast(`${name} ${'x'.repeat(100)}`)
    void result.then(() => { ended.push(name) })
    // From behind: those that it has not come to.
    for (let i = everybody - 1; i >= 0; i -= i > CROWD - 20 ? 1 : 13) send(i, `to ${i} after ${name}`)
    send(slow, `to the slow one after ${name}`)
    return result
  })
  assert.deepEqual(ended, [])
  await turn()
  assert.deepEqual(ended, [], 'nothing overlapped')
  send(CROWD - 1, 'in the middle')
  const sums = await Promise.all(results)
  assert.deepEqual(ended, ['a', 'b', 'c'])
  for (const { sent, queued, dropped } of sums) {
    assert.equal(sent + queued + dropped, everybody)
    assert.ok(queued >= 1 && queued <= 20, `${queued} wait`)
    assert.equal(dropped, 0)
  }

  clients[slow]!.resume()
  await until(() => clients.every((client, i) => texts(client).length === expected[i]!.length), 'all messages')
  await until(() => compressing.every(({ unread }, i) => unread.length === expected[CROWD + i]!.length), 'all compressed messages')
  for (const [i, client] of clients.entries()) assert.deepEqual(texts(client), expected[i])
  for (const [i, { unread }] of compressing.entries()) assert.deepEqual(unread, expected[CROWD + i])
})

test('during a large broadcast the event loop has its turns, and a connection that is closed meanwhile gets the message first', async (t) => {
  const app = await serve(t, false)
  const clients: RawClient[] = []
  while (clients.length < 1_000) clients.push(...await Promise.all(Array.from({ length: WIDTH }, () => rawConnect(t, app, '/other'))))
  const [byServer, bySocket, byFilter] = [await rawConnect(t, app, '/'), await rawConnect(t, app, '/'), await rawConnect(t, app, '/')]
  const last = app.sockets.list({ route: '/' })
  last[2]!.tag('leaving')
  const underWay = new Set(['the broadcast'])
  const result = app.sockets.broadcast('x'.repeat(1_000), 'all')
  void result.then(() => { underWay.clear() })
  void last[0]!.close(4_000)
  last[1]!.socket.close(4_001)
  app.sockets.disconnect({ tag: 'leaving' }, { code: 4_002 })
  let turns = 0
  for (; underWay.size > 0; turns++) await turn()
  assert.ok(turns > 1, 'it took one turn')
  assert.deepEqual(await result, { sent: 1_003, queued: 0, dropped: 0 })
  for (const [i, raw] of [byServer, bySocket, byFilter].entries()) {
    assert.equal((await raw.frame()).payload.length, 1_000)
    assert.deepEqual(await raw.closeFrame(), { code: 4_000 + i, reason: '' })
  }
})

test('broadcasts wait for the end of a fragmented message, and the peer reads all of them whole', async (t) => {
  const app = await serve(t, false)
  const client = await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  socket.send('one, ', { fin: false })
  assert.deepEqual(await app.sockets.broadcast('first', 'all'), { sent: 0, queued: 1, dropped: 0 })
  socket.send('two, ', { fin: false })
  assert.deepEqual(await app.sockets.broadcast(Buffer.from('second'), 'all'), { sent: 0, queued: 1, dropped: 0 })
  socket.send('three', { fin: true })
  socket.send('mine')
  assert.deepEqual([await client.next(), await client.next(), await client.next(), await client.next()], ['one, two, three', 'first', Buffer.from('second'), 'mine'])
  assert.deepEqual(await app.sockets.broadcast('third', 'all'), { sent: 1, queued: 0, dropped: 0 })
})

test('a socket whose `send` was replaced in the handler is sent to by that; one that throws harms no other connection', async (t) => {
  const calls: string[] = []
  const app = await start(t, { heartbeat: false }, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/kept', { websocket: true }, (socket) => {
      const { send } = socket
      socket.send = ((...args: never[]) => {
        calls.push(String(args[0]))
        Reflect.apply(send, socket, args)
      }) as typeof send
    })
    app.get('/broken', { websocket: true }, (socket) => { socket.send = () => { throw new Error('on purpose') } })
  })
  const clients = [await connect(t, app, '/'), await connect(t, app, '/broken'), await connect(t, app, '/kept'), await connect(t, app, '/')]
  const { sent } = await app.sockets.broadcast('hello', 'all')
  assert.equal(sent, 3)
  assert.deepEqual(calls, ['hello'])
  assert.equal((await clients[1]!.closed).code, 1011)
  for (const i of [0, 2, 3]) assert.equal(await clients[i]!.next(), 'hello')
  assert.equal(app.sockets.stats().faults, 1)
})

test('over TLS and on an injected socket it arrives like over TCP', async (t) => {
  const app = await start(t, { heartbeat: false }, plain, { fastify: { https: makeCertificate() } })
  const secure = await connect(t, app, '/')
  const injected = await app.injectWS('/')
  const got = new Promise((resolve) => { injected.once('message', (data) => { resolve(String(data)) }) })
  const { sent, queued, dropped } = await app.sockets.broadcast('hello', 'all')
  assert.deepEqual([sent + queued, dropped], [2, 0])
  assert.deepEqual([await secure.next(), await got], ['hello', 'hello'])
  injected.terminate()
})

test('a peer that has ended TCP and still has bytes to take is sent nothing more, and counts as dropped', async (t) => {
  const app = await serve(t, { maxStallTime: false })
  const { raw, connection } = await deaf(t, app)
  fill(connection)
  await stalled(connection)
  raw.end()
  await until(() => connection.socket.readyState === connection.socket.CLOSING)
  const before = pending(connection)
  assert.deepEqual(await app.sockets.broadcast('late', 'all'), { sent: 0, queued: 0, dropped: 1 })
  assert.ok(pending(connection) <= before)
})

test('a WebSocket class of the application with a `send` of its own is broadcast to through it', async (t) => {
  class Upper extends WebSocket {
    override send (data: never, ...rest: never[]): void { Reflect.apply(WebSocket.prototype.send, this, [String(data).toUpperCase(), ...rest]) }
  }
  const app = await start(t, { options: { WebSocket: Upper as never } }, plain)
  const client = await connect(t, app, '/')
  assert.deepEqual(await app.sockets.broadcast('quiet', 'all'), { sent: 1, queued: 0, dropped: 0 })
  assert.equal(String(await client.next()), 'QUIET')
})
