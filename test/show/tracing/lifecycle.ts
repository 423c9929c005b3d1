/**
 * The life of connections under OpenTelemetry, the same for each set of instrumentations: every span is whole and has ended, and what
 * code of a connection traces has the right parent.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import type { FastifyInstance } from 'fastify'
import tracing from '../../../lib/show/tracing/index.ts'
import { connect, rawHandshake, start, until } from '../../helpers/server.ts'
import { parentOf, query } from '../../helpers/spans.ts'
import type { SpanLog } from '../../helpers/spans.ts'

/** Names of the spans that instrumentations of others make of one handshake, besides ours. */
export interface Instrumentation {
  name: string
  /** Runs before the plugin is registered. */
  before?: (app: FastifyInstance) => unknown
  /** Spans of a handshake beside ours. */
  others: string[]
  /** The span in which the handler is called. */
  handler: string
}

export function testLifecycle (spans: SpanLog, { name, before, others, handler }: Instrumentation): void {
  test(`${name}: every span is whole and has ended, and what code of a connection traces has its parent`, async (t) => {
    spans.reset()
    const app = await start(t, {}, async (app) => {
      await app.register(tracing)
      app.sockets.on('closed', () => { query('event closed') })
      app.get('/listener/:room', { websocket: true }, function room (socket) {
        query('handler')
        const connection = app.sockets.of(socket)
        socket.on('message', () => { query('listener') })
        socket.on('message', async () => {
          await Promise.resolve()
          query('async listener')
          socket.send('done')
        })
        socket.on('close', () => { query('close listener') })
        connection.signal.addEventListener('abort', () => { query('abort listener') })
        connection.defer(() => { query('cleanup') })
        connection.defer(async () => {
          await Promise.resolve()
          query('async cleanup')
        })
      })
      app.get('/body', { websocket: true, config: { otel: { instrumentHandler: false } } as object }, async (socket) => {
        for await (const message of app.sockets.of(socket).messages()) {
          query(`body ${String(message)}`)
          await Promise.resolve()
          query(`body ${String(message)}, later`)
          socket.send('done')
        }
        query('after the last message')
      })
      app.get('/refused', { websocket: true, preValidation: async (_request, reply) => reply.code(401).send() }, () => {})
    }, before === undefined ? {} : { before })

    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const listener = await connect(t, app, '/listener/42?token=secret', { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } })
    const [connection] = app.sockets.list()
    const { traceContext } = connection!
    const handshake = spans.one('websocket.handshake')
    assert.deepEqual(traceContext, { traceId: handshake.spanContext().traceId, spanId: handshake.spanContext().spanId, traceFlags: 1 })
    assert.equal(traceContext?.traceId, traceId)
    assert.equal(parentOf(handshake), 'b7ad6b7169203331')
    assert.equal(handshake.kind, 1)
    assert.deepEqual(handshake.attributes, {
      'http.request.method': 'GET',
      'http.response.status_code': 101,
      'http.route': '/listener/:room',
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'websocket.connection.id': connection!.id
    })
    // Those of others, too.
    assert.deepEqual([...spans.open], [])
    assert.deepEqual([...new Set(others)].filter((other) => spans.named(other).length === 0), [])
    for (const other of others) assert.equal(spans.one(other).spanContext().traceId, traceId)
    assert.equal(parentOf(spans.one('handler')), idOf(spans.one(handler)))

    listener.socket.send('1')
    await listener.next()
    listener.socket.send(Buffer.from('22'), { binary: true })
    await listener.next()
    await until(() => spans.named('websocket.receive').length === 2)
    const receives = spans.named('websocket.receive')
    for (const receive of receives) {
      assert.equal(parentOf(receive), undefined)
      assert.notEqual(receive.spanContext().traceId, traceId)
      assert.equal(receive.links[0]?.context.spanId, handshake.spanContext().spanId)
    }
    assert.deepEqual(receives.map(({ attributes }) => [attributes['http.route'], attributes['websocket.message.type'], attributes['websocket.message.size']]), [['/listener/:room', 'text', 1], ['/listener/:room', 'binary', 2]])
    for (const what of ['listener', 'async listener']) assert.deepEqual(spans.named(what).map(parentOf), receives.map(idOf))

    await listener.close(1000)
    await until(() => app.sockets.size === 0)
    const closed = spans.one('websocket.closed')
    assert.equal(parentOf(closed), undefined)
    assert.equal(closed.links[0]?.context.spanId, handshake.spanContext().spanId)
    assert.equal(closed.attributes['websocket.close.cause'], 'client')
    assert.equal(closed.attributes['websocket.close.code'], 1000)
    for (const what of ['cleanup', 'async cleanup', 'close listener', 'abort listener', 'event closed']) assert.equal(parentOf(spans.one(what)), idOf(closed), what)
    assert.deepEqual(connection!.traceContext, traceContext)

    spans.clear()
    const body = await connect(t, app, '/body')
    for (const message of ['1', '2']) {
      body.socket.send(message)
      await body.next()
    }
    await until(() => spans.named('body 2, later').length === 1)
    await body.close(1000)
    await until(() => app.sockets.size === 0)
    const bodies = spans.named('websocket.receive')
    assert.equal(bodies.length, 2)
    for (const i of [0, 1]) {
      for (const what of [`body ${i + 1}`, `body ${i + 1}, later`]) assert.equal(parentOf(spans.one(what)), idOf(bodies[i]!), what)
    }
    await until(() => spans.named('after the last message').length === 1)
    assert.equal(parentOf(spans.one('after the last message')), idOf(spans.one('websocket.handshake')))

    spans.clear()
    await assert.rejects(connect(t, app, '/refused'))
    await until(() => spans.named('websocket.handshake').length === 1)
    const refused = spans.one('websocket.handshake')
    assert.equal(refused.attributes['http.response.status_code'], 401)
    assert.equal(refused.attributes['http.route'], '/refused')

    // Fastify answers 404.
    spans.clear()
    const raw = await rawHandshake(t, app, '/none?token=secret')
    assert.equal((await raw.answer).status, 404)
    await raw.ended
    await until(() => spans.named('websocket.handshake').length === 1)
    assert.equal(spans.one('websocket.handshake').attributes['http.route'], undefined)

    const last = await connect(t, app, '/listener/42')
    await app.close()
    await last.closed
    const drain = spans.one('websocket.drain')
    assert.equal(drain.attributes['websocket.drain.trigger'], 'close')
    assert.equal(drain.attributes['websocket.drain.connections'], 1)
    assert.deepEqual([...spans.open], [])
    const ours = spans.ended.filter(({ name }) => name.startsWith('websocket.'))
    assert.doesNotMatch(JSON.stringify(ours.map(({ attributes, status }) => [attributes, status])), /secret|42/)
  })
}

function idOf (span: ReadableSpan): string { return span.spanContext().spanId }
