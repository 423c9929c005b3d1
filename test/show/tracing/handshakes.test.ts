/** The span of a handshake ends in every case, and so does that which @fastify/otel has begun. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { propagation } from '@opentelemetry/api'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import plugin from '../../../lib/index.ts'
import tracing from '../../../lib/show/tracing/index.ts'
import type { LifecycleOptions } from '../../../lib/index.ts'
import { createClock } from '../../../lib/testing/index.ts'
import { connect, create, handshake, rawHandshake, rawTcp, start, until } from '../../helpers/server.ts'
import type { TestApp } from '../../helpers/server.ts'
import { parentOf, recordSpans } from '../../helpers/spans.ts'

const spans = recordSpans()
const otel = new FastifyOtelInstrumentation({ instrumentHooks: false })

/** A server with a route whose hook never calls back, and others. */
async function serve (t: TestContext, options: LifecycleOptions = {}): Promise<TestApp> {
  spans.reset()
  return start(t, options, async (app) => {
    await app.register(tracing)
    app.get('/', { websocket: true }, () => {})
    app.get('/http', () => 'http')
    app.post('/plain', async () => 'no')
    app.get('/hangs', { websocket: true, onRequest: () => {} }, () => {})
    app.get('/leaves', { websocket: true, onRequest: (request) => { setImmediate(() => { request.raw.socket.destroy() }) } }, () => {})
    app.get('/hijacks', { websocket: true, onRequest: (_request, reply) => { void reply.hijack().raw.writeHead(418).end() } }, () => {})
    app.get('/throws', { websocket: true, onRequest: async () => { throw new Error('no') } }, () => {})
  }, { before: async (app) => { await app.register(otel.plugin()) } })
}

/** What the span of the only handshake says of its end. */
async function end (): Promise<{ status: unknown, refused: unknown, error: unknown }> {
  await until(() => spans.named('websocket.handshake').length === 1)
  const { attributes } = spans.one('websocket.handshake')
  assert.deepEqual([...spans.open], [])
  return { status: attributes['http.response.status_code'], refused: attributes['websocket.refused'], error: attributes['error.type'] }
}

test('refused because the server drains: 503, also while a hook waits', async (t) => {
  const app = await serve(t)
  const raw = await rawHandshake(t, app, '/hangs')
  await until(() => spans.started === 2)
  await app.sockets.drain()
  assert.equal((await raw.answer).status, 503)
  assert.deepEqual(await end(), { status: 503, refused: 'draining', error: '503' })
  assert.equal(spans.one('request').attributes['http.response.status_code'], 503)
  spans.clear()
  await assert.rejects(connect(t, app, '/'))
  assert.deepEqual(await end(), { status: 503, refused: 'draining', error: '503' })
})

test('refused because its time is over: 503', async (t) => {
  const clock = createClock()
  const app = await serve(t, { clock, limits: { handshakes: { timeout: 1_000 } } })
  const raw = await rawHandshake(t, app, '/hangs')
  await until(() => spans.started === 2)
  await clock.tick(2_000)
  assert.equal((await raw.answer).status, 503)
  assert.deepEqual(await end(), { status: 503, refused: 'handshake timeout', error: '503' })
})

test('the TCP connection ends while a hook waits', async (t) => {
  const app = await serve(t)
  await assert.rejects(connect(t, app, '/leaves'))
  assert.deepEqual(await end(), { status: undefined, refused: undefined, error: 'connection_closed' })
  assert.equal(spans.one('request').attributes['http.response.status_code'], undefined)
})

test('refused by a limit: 503, or a socket that is closed at once', async (t) => {
  const app = await serve(t, { limits: { total: { max: 1 } } })
  await connect(t, app, '/')
  spans.clear()
  await assert.rejects(connect(t, app, '/'))
  assert.deepEqual(await end(), { status: 503, refused: 'total', error: '503' })

  const closing = await serve(t, { limits: { total: { max: 1 } }, refusal: 'close' })
  await connect(t, closing, '/')
  spans.clear()
  const client = await connect(t, closing, '/')
  assert.equal((await client.closed).code, 1013)
  assert.deepEqual(await end(), { status: 101, refused: 'total', error: undefined })
})

test('refused because of its origin: 403', async (t) => {
  const app = await serve(t, { allowedOrigins: ['https://example.com'] })
  await assert.rejects(connect(t, app, '/', { headers: { origin: 'https://example.org' } }))
  assert.deepEqual(await end(), { status: 403, refused: 'origin', error: undefined })
})

test('an answer of a hook past Fastify, an error of a hook, and one of verifyClient', async (t) => {
  const app = await serve(t, { options: { verifyClient: ({ req }: { req: { url: string } }) => { if (req.url === '/?verify') throw new Error('no'); return true } } as never })
  for (const [path, status] of [['/hijacks', 418], ['/throws', 500], ['/?verify', 500]] as const) {
    spans.clear()
    await assert.rejects(connect(t, app, path))
    assert.deepEqual(await end(), { status, refused: undefined, error: status === 500 ? '500' : undefined }, path)
  }
})

test('refused by ws: for its method, for a header, or by verifyClient', async (t) => {
  const app = await serve(t)
  const refused = async (status: number, on: TestApp, text: string) => {
    spans.clear()
    const raw = await rawTcp(t, on)
    raw.write(text)
    assert.equal((await raw.answer).status, status)
    await raw.ended
    const error = status >= 500 ? String(status) : undefined
    assert.deepEqual(await end(), { status, refused: undefined, error })
    assert.equal(spans.one('request').attributes['http.response.status_code'], status)
  }
  await refused(400, app, handshake('/', { 'Sec-WebSocket-Key': 'short' }))
  await refused(400, app, handshake('/', { 'Sec-WebSocket-Version': '7' }))
  await refused(405, app, handshake('/plain').replace('GET', 'POST'))
  assert.equal(spans.one('websocket.handshake').attributes['http.request.method'], 'POST')
  await refused(401, await serve(t, { options: { verifyClient: (_info: object) => false } }), handshake('/'))
  for (const [code, status] of [[undefined, 401], [429, 429], [503, 503]] as const) {
    const verifyClient = (_info: object, done: (verified: boolean, code?: number) => void) => { setImmediate(done, false, code) }
    await refused(status, await serve(t, { options: { verifyClient } }), handshake('/'))
  }
})

test('what a listener of wsClientError answers is not known', async (t) => {
  const app = await serve(t)
  app.websocketServer.on('wsClientError', (_error, raw) => { raw.end('HTTP/1.1 418 Teapot\r\n\r\n', () => { raw.destroy() }) })
  const raw = await rawHandshake(t, app, '/', { 'Sec-WebSocket-Key': 'short' })
  assert.equal((await raw.answer).status, 418)
  await raw.ended
  assert.deepEqual(await end(), { status: undefined, refused: undefined, error: 'connection_closed' })
})

test('refused because their route has no WebSockets: a plain route, one that was declared too early, one outside of the context', async (t) => {
  const app = await serve(t)
  const client = await connect(t, app, '/http')
  await client.closed
  await until(() => app.sockets.size === 0)
  assert.deepEqual(await end(), { status: 101, refused: 'not a websocket route', error: undefined })
  for (const path of ['/early', '/outside']) {
    spans.reset()
    const refusing = path === '/early'
      ? await start(t, {}, async (app) => { await app.register(tracing) }, { before: (app) => { app.get('/early', () => 'http') } })
      : await startInContext(t)
    await assert.rejects(connect(t, refusing, path), { status: 404 })
    assert.deepEqual(await end(), { status: 404, refused: 'not a websocket route', error: undefined }, path)
  }
})

/** A server with the plugin in a child context, and a route beside it. */
async function startInContext (t: TestContext): Promise<TestApp> {
  const app = create(t)
  await app.register(async (child) => {
    await child.register(plugin)
    await child.register(tracing)
  })
  app.get('/outside', () => 'http')
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

test('a propagator that throws ends no handshake: its span is a root', async (t) => {
  const app = await serve(t)
  const { mock } = t.mock.method(propagation, 'extract', () => { throw new Error('no') })
  await connect(t, app, '/')
  assert.equal(mock.callCount(), 1)
  assert.deepEqual(await end(), { status: 101, refused: undefined, error: undefined })
  assert.equal(parentOf(spans.one('websocket.handshake')), undefined)
})

test('a span of @fastify/otel that cannot be read or ended leaves the handshake as it is', async (t) => {
  spans.reset()
  const app = await start(t, {}, async (app) => {
    await app.register(tracing)
    app.decorateRequest('opentelemetry', () => ({ span: { isRecording () { throw new Error('no') } } }) as never)
    app.get('/', { websocket: true }, () => {})
  })
  await connect(t, app, '/')
  assert.deepEqual(await end(), { status: 101, refused: undefined, error: undefined })
})

for (const [options, message] of [
  [{ mesages: 'all' }, 'unknown option "mesages"; did you mean "messages"?'],
  [{ messages: true }, "messages must be 'inherit', 'all' or false, got true"]
] as const) {
  test(`tracing refuses options: ${message}`, async (t) => {
    await assert.rejects(start(t, {}, async (app) => { await app.register(tracing, options as never) }), { code: 'SOCKETS_ERR_INVALID_OPTION', message })
  })
}

test('a traced handshake is not kept by its request', async (t) => {
  spans.reset()
  const app = await start(t, {}, async (app) => {
    await app.register(tracing)
    app.get('/', { websocket: true, config: { sockets: { keepRequest: true } } }, () => {})
  })
  await connect(t, app, '/')
  const { raw } = app.sockets.list()[0]!.request!
  const [handshake] = Object.getOwnPropertySymbols(raw).filter(({ description }) => description === 'fastify-websocket-lifecycle.handshake').map((key) => (raw as never as Record<symbol, { trace: unknown }>)[key])
  assert.equal(handshake?.trace, null)
})
