/**
 * Isolation and streams over a socket (`createWebSocketStream` of ws). Such a stream is an emitter of its own: its listeners
 * may throw while a message is delivered, or later, or reject; each is a fault of its own connection only.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import test from 'node:test'
import { createWebSocketStream } from 'ws'
import type { WebSocket } from 'ws'
import { ended } from '../helpers/ends.ts'
import { nextClosed, turn } from '../helpers/records.ts'
import { connect, logged, start, until, within } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const { push } = Readable.prototype

const boom = () => { throw new Error('boom') }
const reject = async () => { await Promise.resolve(); boom() }

const prepare = (t: Parameters<typeof start>[0], handler: (socket: WebSocket, app: TestApp) => unknown): Promise<TestApp> =>
  start(t, {}, (app) => { app.get('/', { websocket: true }, (socket) => handler(socket, app) as Promise<void>) })

test('a stream over a socket works as without us: echo, backpressure, end', async (t) => {
  const app = await prepare(t, (socket) => {
    const stream = createWebSocketStream(socket)
    stream.pipe(stream)
  })
  const client = await connect(t, app, '/')
  const large = Buffer.alloc(300_000, 'x')
  client.send(large)
  client.send('and more')
  assert.deepEqual(await client.next(), large)
  assert.deepEqual(await client.next(), Buffer.from('and more'))
  const record = nextClosed(app)
  await client.close()
  const { cause, clean } = await record
  assert.deepEqual({ cause, clean }, { cause: 'client', clean: true })
  assert.equal(app.sockets.stats().faults, 0)
})

test('a pipeline into a stream over a socket is done when the client has answered our close frame', async (t) => {
  let done!: Promise<void>
  const app = await prepare(t, (socket) => {
    const stream = createWebSocketStream(socket)
    stream.resume()
    done = pipeline(Readable.from(['a', 'b']), stream)
  })
  const client = await connect(t, app, '/')
  assert.equal((await ended(client)).code, 1005)
  assert.deepEqual(client.unread.map(String), ['a', 'b'])
  // ws waits for 'finish' of the raw socket.
  await within(5_000, done, 'the pipeline was never done')
})

test('a stream that is ended only after the client has answered our close frame finishes, too', async (t) => {
  let finished!: Promise<unknown>
  const app = await prepare(t, (socket) => {
    const stream = createWebSocketStream(socket)
    stream.resume()
    socket.on('close', () => { stream.end() })
    finished = once(stream, 'finish')
  })
  const client = await connect(t, app, '/')
  void app.sockets.list()[0]!.close()
  assert.equal((await ended(client)).code, 1000)
  await within(5_000, finished, 'the stream never finished')
})

test("after a 'data' listener has thrown its stream ends, as it does when a client leaves", async (t) => {
  const seen: string[] = []
  const app = await prepare(t, (socket) => {
    const stream = createWebSocketStream(socket)
    stream.on('data', boom)
    for (const event of ['end', 'close', 'error']) stream.on(event, () => { seen.push(event) })
  })
  const client = await connect(t, app, '/')
  client.send('go')
  assert.equal((await ended(client)).code, 1011)
  await until(() => seen.length > 0, 'the stream to end')
  assert.deepEqual(seen, ['end'])
})

// ——— faults that a stream would keep to itself, or hand to the process

/** Streams hand it to EventEmitter; their types do not know. */
const CAPTURE = { captureRejections: true } as object

for (const [what, install] of Object.entries<(socket: WebSocket) => void>({
  "a 'data' listener that throws": (socket) => { createWebSocketStream(socket).on('data', boom) },
  "a 'data' listener that rejects": (socket) => { createWebSocketStream(socket).on('data', reject) },
  "a once('data') that rejects": (socket) => { createWebSocketStream(socket).once('data', reject) },
  "captureRejections without an 'error' listener": (socket) => { createWebSocketStream(socket, CAPTURE).on('data', reject) },
  "captureRejections with an 'error' listener": (socket) => { createWebSocketStream(socket, CAPTURE).on('data', reject).on('error', () => {}) },
  "a 'data' listener that throws on what the stream had kept for it": (socket) => {
    const stream = createWebSocketStream(socket)
    socket.on('message', () => { stream.on('data', boom) })
  },
  "a 'readable' listener that throws": (socket) => { createWebSocketStream(socket).on('readable', boom) },
  "a 'readable' listener that rejects": (socket) => { createWebSocketStream(socket).on('readable', reject) }
})) {
  test(`a stream's fault ends its own connection, once, with its id: ${what}`, async (t) => {
    const app = await prepare(t, install)
    const client = await connect(t, app, '/')
    const neighbour = await connect(t, app, '/')
    const { id } = app.sockets.list()[0]!
    const record = nextClosed(app)
    client.send('go')
    assert.deepEqual(await ended(client), { code: 1011, reason: 'internal error' })
    const { cause, id: closed } = await record
    assert.deepEqual([cause, closed], ['error', id])
    await turn()
    assert.equal(app.sockets.stats().faults, 1)
    assert.deepEqual(logged(app, /handler or listener of a socket failed/).map(({ connection }) => connection), [id])
    assert.equal(neighbour.socket.readyState, neighbour.socket.OPEN)
    await neighbour.close()
  })
}

test("an 'end' listener of a stream that never had a message is isolated as well", async (t) => {
  const app = await prepare(t, (socket) => { createWebSocketStream(socket).on('end', reject).resume() })
  const client = await connect(t, app, '/')
  await client.close()
  await until(() => app.sockets.stats().faults === 1, 'the fault')
})

test('a stream that is destroyed with an error without a listener is a fault of its connection', async (t) => {
  const app = await prepare(t, (socket) => {
    const stream = createWebSocketStream(socket)
    stream.on('data', () => { stream.destroy(new Error('boom')) })
  })
  const client = await connect(t, app, '/')
  client.send('go')
  // The stream cuts its client off by itself.
  assert.equal((await ended(client)).code, 1006)
  await until(() => app.sockets.stats().faults === 1, 'the fault')
  assert.equal(logged(app, /handler or listener of a socket failed/).length, 1)
})

test('a listener of the application that looks like that of a stream is called as any other', async (t) => {
  const source = new Readable({ read () {} })
  const emit = source.emit
  const app = await prepare(t, (socket) => {
    socket.on('message', (data) => { if (!source.push(data as Buffer)) socket.pause() })
    socket.on('close', () => { source.push(null) })
  })
  const client = await connect(t, app, '/')
  client.send('one')
  client.send('two')
  await client.close()
  assert.equal(await text(source), 'onetwo')
  // Its errors are the application's, whichever connection they come from.
  assert.equal(source.emit, emit)
  assert.equal(Readable.prototype.push, push)
})

// ——— what to write instead

for (const [what, read] of Object.entries({
  'for await over a stream': async (socket: WebSocket) => {
    const stream = createWebSocketStream(socket)
    for await (const chunk of stream) await reject().finally(() => chunk)
  },
  'a pipeline': async (socket: WebSocket) => {
    await pipeline(createWebSocketStream(socket), async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) await reject().finally(() => chunk)
    })
  }
})) {
  test(`${what} that fails rejects its handler: reported once, and its client is cut off by the stream`, async (t) => {
    const app = await prepare(t, read)
    const client = await connect(t, app, '/')
    const { id } = app.sockets.list()[0]!
    const record = nextClosed(app)
    client.send('go')
    assert.equal((await ended(client)).code, 1006)
    assert.equal((await record).id, id)
    await until(() => app.sockets.stats().faults > 0, 'the fault')
    await turn()
    assert.equal(app.sockets.stats().faults, 1)
    assert.deepEqual(logged(app, /failed/).map(({ connection, err }) => [connection, (err as Error).message]), [[id, 'boom']])
  })
}

test('messages() instead of a stream ends its connection with the errorCode', async (t) => {
  const app = await prepare(t, async (socket, app) => {
    for await (const message of app.sockets.of(socket).messages()) await reject().finally(() => message)
  })
  const client = await connect(t, app, '/')
  const record = nextClosed(app)
  client.send('go')
  assert.deepEqual(await ended(client), { code: 1011, reason: 'internal error' })
  assert.equal((await record).cause, 'error')
})

test("a 'data' listener that hands its promise to track() is isolated: a drain waits for it, and its rejection is logged", async (t) => {
  const app = await prepare(t, (socket, app) => {
    const connection = app.sockets.of(socket)
    createWebSocketStream(socket).on('data', () => { void connection.track(reject()) })
  })
  const client = await connect(t, app, '/')
  client.send('go')
  await until(() => logged(app, /tracked work failed/).length === 1, 'the rejection')
  assert.equal(logged(app, /tracked work failed/)[0]!.connection, app.sockets.list()[0]!.id)
  assert.equal(app.sockets.size, 1)
  await client.close()
})
