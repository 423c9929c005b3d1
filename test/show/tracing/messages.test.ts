/** Which messages have a span, and what becomes of it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { trace } from '@opentelemetry/api'
import { WebSocketServer } from 'ws'
import tracing from '../../../lib/show/tracing/index.ts'
import type { TracingOptions } from '../../../lib/show/tracing/index.ts'
import type { LifecycleOptions } from '../../../lib/index.ts'
import { createJob } from '../../helpers/job.ts'
import { connect, connectTo, start, until } from '../../helpers/server.ts'
import type { TestApp } from '../../helpers/server.ts'
import { parentOf, query, recordSpans } from '../../helpers/spans.ts'

const spans = recordSpans()

/** Ends the listeners that hang. */
let release: () => void

/** What a listener does, by what the client sends. */
const LISTENERS: Record<string, () => unknown> = {
  throws: () => { throw new TypeError('secret') },
  rejects: async () => { throw new RangeError('secret') },

  // An error may have no name, or one that cannot be read.
  unnamed: async () => { throw Object.defineProperty(new Error('secret'), 'name', { get () { throw new Error('secret') } }) },
  numbered: async () => { throw Object.assign(new Error('secret'), { name: 1 }) },
  proxy: async () => { throw new Proxy({}, { getPrototypeOf () { throw new Error('secret') } }) },
  text: () => Promise.reject(Object.assign(Object.create(null), { secret: true })),
  hangs: () => new Promise<void>((resolve) => { release = resolve }),
  ends: () => {}
}

async function serve (t: TestContext, given: TracingOptions = {}, options: LifecycleOptions = {}): Promise<TestApp> {
  spans.reset()
  return start(t, options, async (app) => {
    await app.register(tracing, given)
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (data) => {
        query('listener')
        socket.send('heard')
        return LISTENERS[String(data)]?.()
      })
      app.sockets.of(socket).defer(() => { query('cleanup') })
    })
    app.get('/body', { websocket: true }, async (socket) => {
      for await (const message of app.sockets.of(socket).messages()) {
        query('body')
        socket.send('heard')
        await LISTENERS[String(message)]?.()
      }
    })
  })
}

/** Sends a message to a route, and closes when it was heard. */
async function send (t: TestContext, app: TestApp, path: string, message = 'ends'): Promise<void> {
  const client = await connect(t, app, path)
  client.socket.send(message)
  await client.next()
  await client.close(1000)
  await until(() => app.sockets.size === 0)
}

test("of a handshake that is not sampled nothing else is traced, and with 'all' its messages are", async (t) => {
  const app = await serve(t)
  spans.sample = (name) => name !== 'websocket.handshake'
  for (const path of ['/', '/body']) await send(t, app, path)
  assert.deepEqual(spans.ended.map(({ name }) => name).filter((name) => name.startsWith('websocket.')), [])

  const all = await serve(t, { messages: 'all' })
  spans.sample = (name) => name !== 'websocket.handshake'
  for (const [path, what] of [['/', 'listener'], ['/body', 'body']] as const) {
    spans.clear()
    await send(t, all, path)
    const receive = spans.one('websocket.receive')
    assert.equal(parentOf(spans.one(what)), receive.spanContext().spanId)
    assert.equal(receive.links[0]?.context.traceFlags, 0)
    assert.deepEqual(spans.named('websocket.closed'), [])
  }
})

test('with `messages: false` what listeners and bodies trace belongs to the handshake', async (t) => {
  const app = await serve(t, { messages: false })
  for (const [path, what] of [['/', 'listener'], ['/body', 'body']] as const) {
    spans.clear()
    await send(t, app, path)
    assert.deepEqual(spans.named('websocket.receive'), [])
    assert.equal(parentOf(spans.one(what)), spans.one('websocket.handshake').spanContext().spanId)
  }
})

test('the sampler is asked about each message with its attributes and its link', async (t) => {
  const app = await serve(t)
  spans.sample = (name, attributes) => name !== 'websocket.receive' || attributes['websocket.message.size'] === 4
  const client = await connect(t, app, '/')
  for (const message of ['long message', 'ends']) {
    client.socket.send(message)
    await client.next()
  }
  await client.close(1000)
  await until(() => app.sockets.size === 0)
  assert.equal(spans.one('websocket.receive').attributes['websocket.message.size'], 4)
  // The message that is not sampled is the parent of the other.
  assert.equal(spans.named('listener').length, 1)
})

test('a listener that throws or rejects fails the span of its message, which does not say with what', async (t) => {
  for (const [message, type] of [['throws', 'TypeError'], ['rejects', 'RangeError'], ['text', '_OTHER'], ['unnamed', '_OTHER'], ['numbered', '_OTHER'], ['proxy', '_OTHER']] as const) {
    const app = await serve(t)
    await send(t, app, '/', message)
    const receive = spans.one('websocket.receive')
    assert.equal(receive.attributes['error.type'], type)
    assert.deepEqual(spans.failed(), ['websocket.receive', 'websocket.closed'])
    assert.equal(spans.one('websocket.closed').attributes['error.type'], 'error')
    assert.doesNotMatch(JSON.stringify(spans.ended.map(({ attributes, status, events }) => [attributes, status, events])), /secret/)
  }
})

test('without isolation the span of a message ends before the error goes on', async (t) => {
  const app = await serve(t, {}, { isolation: false })
  const client = await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  assert.throws(() => socket.emit('message', Buffer.from('throws'), false), TypeError)
  assert.equal(spans.one('websocket.receive').attributes['error.type'], 'TypeError')
  await client.close(1000)
})

test('a message whose listener or body never ends has a span that ends with its connection', async (t) => {
  const app = await serve(t)
  for (const path of ['/', '/body']) {
    spans.clear()
    await send(t, app, path, 'hangs')
    assert.equal(spans.one('websocket.receive').attributes['websocket.message.unfinished'], true)
    assert.deepEqual([...spans.open], [])
    release()
  }
})

test('so does that of a listener which has emitted the close of its connection itself', async (t) => {
  const app = await serve(t)
  LISTENERS.emits = () => {
    app.sockets.list()[0]!.socket.emit('close', 1000, Buffer.alloc(0))
    return LISTENERS.hangs!()
  }
  const client = await connect(t, app, '/')
  client.socket.send('emits')
  await client.next()
  assert.equal(app.sockets.size, 0)
  assert.equal(spans.one('websocket.receive').attributes['websocket.message.unfinished'], true)
  assert.deepEqual([...spans.open], [])
  release()
  client.socket.terminate()
})

test('a message that messages() hands out after its connection has closed has no span', async (t) => {
  spans.reset()
  const [first, second] = [createJob(), createJob()]
  const app = await start(t, {}, async (app) => {
    await app.register(tracing, { messages: 'all' })
    app.get('/', { websocket: true }, async (socket) => {
      for await (const message of app.sockets.of(socket).messages()) {
        query(`body ${String(message)}`)
        await (String(message) === 'a' ? first : second).promise
      }
    })
  })
  const client = await connect(t, app, '/')
  const [connection] = app.sockets.list()
  for (const message of ['a', 'b']) client.socket.send(message)
  await until(() => spans.named('body a').length === 1)
  await client.close(1000)
  await until(() => connection!.state === 'closed')
  first.done()
  await until(() => spans.named('body b').length === 1)
  assert.equal(spans.named('websocket.receive').length, 1)
  assert.equal(parentOf(spans.one('body b')), spans.one('websocket.handshake').spanContext().spanId)
  assert.deepEqual([...spans.open], [])
  second.done()
})

test('a promise that settles after its connection has closed changes nothing in a span that has ended', async (t) => {
  const app = await serve(t)
  let reject!: (error: Error) => void
  LISTENERS.late = () => new Promise((_resolve, _reject) => { reject = _reject })
  await send(t, app, '/', 'late')
  const { attributes } = spans.one('websocket.receive')
  reject(new Error('late'))
  await new Promise((resolve) => { setImmediate(resolve) })
  assert.equal(attributes['error.type'], undefined)
  assert.equal(spans.started, spans.ended.length)
})

test('in the body of messages() the active span is that of the message', async (t) => {
  spans.reset()
  let link = {}
  const app = await start(t, {}, async (app) => {
    await app.register(tracing)
    app.get('/', { websocket: true }, async (socket) => {
      const active = trace.getActiveSpan()!
      const handshake = active.spanContext()
      assert.equal(active.isRecording(), false)
      for await (const message of app.sockets.of(socket).messages()) {
        assert.equal(trace.getActiveSpan(), active)
        assert.equal(active.isRecording(), true)
        active.setAttribute('a', String(message)).setAttributes({ b: 1 }).addEvent('event').setStatus({ code: 1 })
        active.addLink({ context: handshake }).addLinks([]).updateName('renamed')
        active.recordException(new Error('no'))
        active.end()
        assert.equal(active.isRecording(), true)
        link = handshake
        socket.send('heard')
      }
    })
  })
  await send(t, app, '/')
  const message = spans.one('renamed')
  assert.deepEqual([message.attributes.a, message.attributes.b, message.status.code, message.events.map(({ name }) => name)], ['ends', 1, 1, ['event', 'exception']])
  assert.deepEqual(message.links.map(({ context }) => context.spanId), Array.from({ length: 2 }, () => (link as { spanId: string }).spanId))
})

test('the path of an adopted server is in no span', async (t) => {
  const app = await serve(t)
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => { server.close() })
  await once(server, 'listening')
  app.sockets.adopt(server)
  server.on('connection', (socket) => { socket.on('message', () => { socket.send('heard') }) })
  const client = await connectTo(t, `ws://127.0.0.1:${(server.address() as AddressInfo).port}/secret`)
  client.socket.send('1')
  await client.next()
  await client.close(1000)
  await until(() => app.sockets.size === 0)
  const names = ['websocket.handshake', 'websocket.receive', 'websocket.closed']
  for (const name of names) assert.equal(spans.one(name).attributes['http.route'], undefined)
  assert.deepEqual([...spans.open], [])
})

test('a connection that is lost has its close listeners in the span of its close', async (t) => {
  const app = await serve(t)
  const client = await connect(t, app, '/')
  const connection = app.sockets.list()[0]!
  connection.socket.on('close', () => { query('close listener') })
  client.socket.terminate()
  await until(() => app.sockets.size === 0)
  const closed = spans.one('websocket.closed')
  for (const what of ['close listener', 'cleanup']) assert.equal(parentOf(spans.one(what)), closed.spanContext().spanId, what)
  assert.equal(closed.attributes['websocket.close.code'], 1006)
  // A cleanup that comes too late.
  connection.defer(() => { query('late') })
  assert.equal(parentOf(spans.one('late')), spans.one('websocket.handshake').spanContext().spanId)
})

test('an error listener of an open connection belongs to its handshake', async (t) => {
  const app = await serve(t)
  const client = await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  socket.on('error', () => { query('error listener') })
  socket.emit('error', new Error('no'))
  assert.equal((await client.closed).code, 1011)
  assert.equal(parentOf(spans.one('error listener')), spans.one('websocket.handshake').spanContext().spanId)
})

test('a span processor that throws ends no handshake, message or close', async (t) => {
  const app = await serve(t)
  t.after(() => { spans.onSpan = () => {} })
  spans.onSpan = (name) => { if (name.startsWith('websocket.')) throw new Error('no') }
  await send(t, app, '/')
  await send(t, app, '/body')
  assert.equal(app.sockets.stats().closed.client, 2)
  // It fails only later: the spans have begun.
  spans.onSpan = () => {}
  const client = await connect(t, app, '/')
  spans.onSpan = (name) => { if (name.startsWith('websocket.')) throw new Error('no') }
  client.socket.send('ends')
  await client.next()
  await client.close(1000)
  await until(() => app.sockets.size === 0)
  await app.close()
})
