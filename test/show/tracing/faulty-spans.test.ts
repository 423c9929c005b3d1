/** Spans and tracers of the application may throw, reject or return anything: handshakes, messages and closes are as without them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { trace } from '@opentelemetry/api'
import type { ProxyTracerProvider, Span } from '@opentelemetry/api'
import tracing from '../../../lib/show/tracing/index.ts'
import { connect, rawHandshake, start, until } from '../../helpers/server.ts'
import { recordSpans } from '../../helpers/spans.ts'

const spans = recordSpans()

const METHODS = ['setAttribute', 'setAttributes', 'setStatus', 'isRecording', 'spanContext', 'end'] as const

function no (): never { throw new Error('no') }

/** Makes a span faulty, or replaces it. */
type Fault = (span: Span) => unknown

/** A fault of these methods. */
const broken = (methods: readonly string[]): Fault => (span) => Object.assign(span, Object.fromEntries(methods.map((method) => [method, no])))

const FAULTS: Record<string, Fault> = {
  ...Object.fromEntries(METHODS.map((method) => [`${method}() throws`, broken([method])])),
  'all methods throw': broken(METHODS),
  'end() rejects': (span) => {
    const end = span.end.bind(span)
    return Object.assign(span, { async end () { end(); no() } })
  },
  'setters return nothing': (span) => {
    const { setAttribute, setAttributes } = span
    return Object.assign(span, {
      setAttribute (...args: Parameters<Span['setAttribute']>) { setAttribute.apply(span, args) },
      setAttributes (...args: Parameters<Span['setAttributes']>) { setAttributes.apply(span, args) }
    })
  },
  'spanContext() returns nothing': (span) => Object.assign(span, { spanContext () {} }),
  'a context is no text': (span) => Object.assign(span, { spanContext: () => ({ traceId: 1, spanId: {}, traceFlags: 'no' }) }),
  'the tracer returns null': () => null,
  'the tracer throws': no
}

/** Has the tracer of the plugin return faulty spans. */
function breakSpans (t: TestContext, fault: Fault): void {
  const tracer = (trace.getTracerProvider() as ProxyTracerProvider).getDelegate().getTracer('fastify-websocket-lifecycle')
  const { startSpan } = tracer
  t.mock.method(tracer, 'startSpan', (...args: Parameters<typeof startSpan>) => fault(startSpan.apply(tracer, args)))
}

for (const [what, fault] of Object.entries(FAULTS)) {
  test(`faulty spans change nothing: ${what}`, async (t) => {
    spans.reset()
    const app = await start(t, { limits: { perAddress: { max: 2 } } }, async (app) => {
      await app.register(tracing, { messages: 'all' })
      app.get('/', { websocket: true }, (socket) => {
        socket.on('message', async (data) => {
          socket.send('heard')
          if (String(data) === 'rejects') throw new Error('rejects')
        })
      })
      app.get('/body', { websocket: true }, async (socket) => {
        for await (const message of app.sockets.of(socket).messages()) socket.send(message)
      })
      app.get('/http', () => 'http')
      app.get('/denied', { websocket: true, onRequest: async (_request, reply) => reply.code(401).send('no') }, () => {})
    })
    breakSpans(t, fault)

    const client = await connect(t, app, '/')
    client.socket.send('one')
    assert.equal(await client.next(), 'heard')
    const reader = await connect(t, app, '/body')
    reader.socket.send('two')
    assert.equal(await reader.next(), 'two')
    await assert.rejects(connect(t, app, '/'), { status: 429 })
    await reader.close(1000)
    client.socket.send('rejects')
    assert.equal((await client.closed).code, 1011)
    await until(() => app.sockets.size === 0)

    await assert.rejects(connect(t, app, '/denied'), { status: 401 })
    assert.equal((await (await rawHandshake(t, app, '/', { 'Sec-WebSocket-Key': 'short' })).answer).status, 400)
    assert.equal((await (await connect(t, app, '/http')).closed).code, 1005)
    await until(() => app.sockets.size === 0)
    assert.equal((await app.sockets.drain()).connections.total, 0)
    await assert.rejects(connect(t, app, '/'), { status: 503 })
    // What can end has ended.
    if (!/^(end\(\) throws|all|the tracer)/.test(what)) assert.deepEqual([...spans.open], [])
  })
}
