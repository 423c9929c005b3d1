/**
 * Messages over real sockets, more than a client may send: closed, or held back by TCP until they are paid for.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { createWebSocketStream } from 'ws'
import type { Connection, LifecycleOptions, RouteSocketOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import { connect, logged, maskedFrame, Opcode, rawConnect, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

interface Served { app: TestApp, clock: TestClock, seen: string[] }

async function serve (t: TestContext, options: LifecycleOptions, route: RouteSocketOptions = {}): Promise<Served> {
  const clock = createClock()
  const seen: string[] = []
  const app = await start(t, { ...options, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { seen.push(String(data)) }) })
    app.get('/other', { websocket: true, config: { sockets: route } }, (socket) => { socket.on('message', (data) => { seen.push(String(data)) }) })
    app.get('/loop', { websocket: true }, async (socket) => {
      for await (const message of app.sockets.of(socket).messages()) seen.push(String(message))
    })
    app.get('/pausing', { websocket: true }, (socket) => {
      socket.on('message', (data) => {
        seen.push(String(data))
        socket.pause()
        setImmediate(() => { socket.resume() })
      })
    })
    app.get('/stream', { websocket: true }, (socket) => {
      createWebSocketStream(socket, { readableHighWaterMark: 1 }).on('data', (data: Buffer) => { seen.push(String(data)) })
    })
    app.get('/held', { websocket: true, config: { sockets: { holdMessages: true } } }, async (socket) => {
      await new Promise<void>((resolve) => { clock.setTimeout(resolve, 500) })
      socket.on('message', (data) => { seen.push(String(data)) })
    })
  })
  return { app, clock, seen }
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => String(from + i))

/** Frames in one segment. */
const frames = (texts: string[]) => Buffer.concat(texts.map((text) => maskedFrame(Opcode.Text, text)))

test('close: what is within the burst is delivered, the first above it closes with 1008, the rest is dropped and counted', async (t) => {
  const { app, seen } = await serve(t, { messageRate: { max: 5 } })
  const raw = await rawConnect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  raw.write(frames(numbers(8)))
  assert.deepEqual(await raw.closeFrame(), { code: 1008, reason: 'too many messages' })
  raw.sendClose(1008)
  raw.end()
  const { cause, code, messages, dropped, clean } = await connection.closed
  assert.deepEqual({ cause, code, messages, dropped, clean }, { cause: 'rate', code: 1008, messages: 5, dropped: 3, clean: true })
  assert.deepEqual(seen, numbers(5))
  assert.deepEqual(logged(app, /sends too much/).map(({ level, route }) => ({ level, route })), [{ level: 40, route: '/' }])
})

test('close: a client that keeps to max per window is never closed, and a burst may be smaller or larger than max', async (t) => {
  const { app, clock, seen } = await serve(t, { messageRate: { max: 10, timeWindow: 1_000, burst: 2 } })
  const client = await connect(t, app, '/')
  for (let i = 0; i < 40; i++) {
    client.send(String(i))
    await until(() => seen.length === i + 1)
    await clock.tick(100)
  }
  for (let i = 0; i < 3; i++) client.send('too much')
  assert.equal((await client.closed).code, 1008)
  assert.equal(seen.length, 42)
})

test('close: control frames and fragments are no messages', async (t) => {
  const { app, seen } = await serve(t, { messageRate: { max: 1, timeWindow: 60_000 } })
  const raw = await rawConnect(t, app, '/')
  for (let i = 0; i < 5; i++) raw.send(Opcode.Pong, 'x')
  raw.send(Opcode.Ping, 'x')
  raw.send(Opcode.Text, 'a', { fin: false })
  for (let i = 0; i < 5; i++) raw.send(Opcode.Continuation, 'b', { fin: false })
  raw.send(Opcode.Continuation, 'c')
  await until(() => seen.length === 1)
  assert.equal(app.sockets.count({ state: 'open' }), 1)
})

test('a route may have another rate, or none', async (t) => {
  const { app, seen } = await serve(t, { messageRate: { max: 2 } }, { messageRate: false })
  const free = await connect(t, app, '/other')
  for (const text of numbers(50)) free.send(text)
  await until(() => seen.length === 50)
  const bound = await connect(t, app, '/')
  for (const text of numbers(3)) bound.send(text)
  assert.equal((await bound.closed).code, 1008)
  await until(() => app.sockets.size === 1)
})

for (const path of ['/', '/loop', '/held']) {
  test(`pause on ${path}: everything arrives, in order, and no faster than the rate`, async (t) => {
    const { app, clock, seen } = await serve(t, { messageRate: { max: 100, timeWindow: 1_000, burst: 10, policy: 'pause' } })
    const client = await connect(t, app, path)
    const count = 200
    // So large that few are in one read: the chunk being parsed is delivered all the same.
    const texts = numbers(count).map((text) => text.padEnd(60_000))
    for (const text of texts) client.send(text)
    // The kernel is faster than the clock, which stands still.
    if (path === '/held') await clock.tick(500)
    await until(() => seen.length >= 10)
    await new Promise((resolve) => { setTimeout(resolve, 100) })
    assert.ok(seen.length < 30, `${seen.length} at once`)
    let time = 0
    while (seen.length < count) {
      await clock.tick(100)
      time += 100
      await new Promise((resolve) => { setTimeout(resolve, 2) })
    }
    assert.deepEqual(seen, texts)
    assert.ok(time >= 1_500, `${count} in ${time} ms`)
    assert.equal(app.sockets.count({ state: 'open' }), 1)
    client.send('after')
    await until(() => seen.at(-1) === 'after')
  })
}

test('pause: TCP holds the client back', async (t) => {
  const { app, seen } = await serve(t, { messageRate: { max: 1, timeWindow: 60_000, policy: 'pause' } })
  const client = await connect(t, app, '/')
  for (let i = 0; i < 400; i++) client.send('x'.repeat(64 * 1_024))
  await until(() => seen.length >= 1)
  const [connection] = app.sockets.list() as [Connection]
  await until(() => connection.socket.isPaused || seen.length > 1)
  await new Promise((resolve) => { setTimeout(resolve, 200) })
  assert.ok(client.socket.bufferedAmount > 64 * 1_024, `${client.socket.bufferedAmount} wait at the client`)
  assert.ok(seen.length < 10, `${seen.length}`)
})

test('pause: the heartbeat kills no peer whose pongs the pause has kept from being read', async (t) => {
  const { app, clock } = await serve(t, { heartbeat: { interval: 1_000, maxMissed: 1 }, messageRate: { max: 1, timeWindow: 30_000, policy: 'pause' } })
  const client = await connect(t, app, '/')
  for (const text of numbers(3)) client.send(text)
  const [connection] = app.sockets.list() as [Connection]
  await until(() => connection.messagesReceived === 3)
  await clock.tick(55_000)
  assert.equal(connection.state, 'open')
  await clock.tick(30_000)
  assert.equal(connection.state, 'open')
  client.send('paid')
  await until(() => connection.messagesReceived === 4)
})

test('pause: a drain ends in time, with the close frames exchanged', async (t) => {
  const { app, clock } = await serve(t, { messageRate: { max: 1, timeWindow: 3_600_000, policy: 'pause' }, drain: { timeout: 5_000 } })
  const client = await connect(t, app, '/')
  for (const text of numbers(5)) client.send(text)
  const [connection] = app.sockets.list() as [Connection]
  await until(() => connection.messagesReceived >= 2)
  const drain = app.sockets.drain()
  await until(() => connection.state === 'closing' || connection.state === 'closed')
  assert.equal((await client.closed).code, 1012)
  await clock.tick(5_000)
  const report = await drain
  assert.deepEqual([report.connections.clean, report.connections.causes], [1, { drain: 1 }])
})

test('pause: a client that leaves while it is held back is seen to leave once it is read again', async (t) => {
  const { app, clock, seen } = await serve(t, { messageRate: { max: 1, timeWindow: 1_000, policy: 'pause' } })
  const client = await connect(t, app, '/')
  for (const text of numbers(3)) client.send(text)
  await until(() => seen.length === 3)
  const closed = client.close(4_000, 'bye')
  await clock.tick(10_000)
  assert.equal((await closed).code, 4_000)
  await until(() => app.sockets.size === 0)
  assert.deepEqual(app.sockets.history.map(({ cause }) => cause), ['client'])
})

for (const [route, how] of [['/pausing', 'a handler that pauses and resumes the socket itself'], ['/stream', 'a stream over the socket']] as const) {
  test(`pause: ${how} does not end it`, async (t) => {
    const { app, clock, seen } = await serve(t, { messageRate: { max: 2, policy: 'pause' } })
    const raw = await rawConnect(t, app, route)
    raw.write(frames(numbers(4)))
    await until(() => seen.length === 4)
    for (let i = 0; i < 20; i++) await new Promise((resolve) => { setImmediate(resolve) })
    raw.write(frames(numbers(1, 4)))
    for (let i = 0; i < 50; i++) await new Promise((resolve) => { setTimeout(resolve, 1) })
    assert.equal(seen.length, 4)
    await clock.tick(1_100)
    await until(() => seen.length === 5)
    raw.end()
  })
}
