/**
 * HTTP requests before, during and after a drain of the sockets beside them.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import plugin from '../../lib/index.ts'
import { connectBusy } from '../helpers/busy.ts'
import { tcpEnded } from '../helpers/ends.ts'
import { gate } from '../helpers/gate.ts'
import { nextEvent } from '../helpers/records.ts'
import { connectTo, create, portOf, rawTcp, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

const routes = (app: TestApp) => {
  app.get('/', { websocket: true }, () => {})
  app.get('/http', async () => 'yes')
  app.get('/fails', async () => { throw new Error('no') })
}

test('before a drain answers keep their connection', async (t) => {
  const app = await start(t, {}, routes)
  const raw = await rawTcp(t, app)
  raw.write(GET('/http'))
  assert.equal((await raw.answer).headers.get('connection'), 'keep-alive')
  raw.destroy()
})

for (const [path, status] of [['/http', 200], ['/fails', 500], ['/nowhere', 404]] as const) {
  test(`Connection: close stands on answers from the first moment of a drain: ${status}`, async (t) => {
    const app = await start(t, { drain: { settleDelay: 5_000, timeout: 10_000 } }, routes)
    const { finish } = await connectBusy(t, app)
    const drained = app.sockets.drain()
    const raw = await rawTcp(t, app)
    raw.write(GET(path))
    const answer = await raw.answer
    assert.equal(answer.status, status)
    assert.equal(answer.headers.get('connection'), 'close')
    await tcpEnded(raw)
    // The close cuts the settling short.
    const closing = app.close()
    finish()
    await drained
    await closing
  })
}

test('after a bare drain() HTTP goes on: the listener stays open', async (t) => {
  const app = await start(t, {}, routes)
  await app.sockets.drain()
  for (let i = 0; i < 2; i++) {
    const response = await fetch(`http://127.0.0.1:${portOf(app)}/http`)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('connection'), 'close')
    assert.equal(await response.text(), 'yes')
  }
  assert.equal(app.server.listening, true)
})

test('requests in flight finish, and app.close() waits for them', async (t) => {
  const { open: answer, arrived, wait } = gate()
  const app = await start(t, {}, (app) => {
    routes(app)
    app.get('/slow', async () => { await wait(); return 'done' })
  })
  const raw = await rawTcp(t, app)
  raw.write(GET('/slow'))
  await arrived
  const closing = app.close()
  await nextEvent(app, 'drained')
  answer()
  assert.equal((await raw.answer).status, 200)
  await tcpEnded(raw)
  assert.ok(raw.body.endsWith('done'))
  await closing
})

test('on a close the listener is shut while sockets are still being drained', async (t) => {
  const app = await start(t, {}, routes)
  const port = portOf(app)
  const { client, finish } = await connectBusy(t, app)
  const closing = app.close()
  await until(() => !app.server.listening)
  assert.equal(client.socket.readyState, client.socket.OPEN)
  await assert.rejects(connectTo(t, `ws://127.0.0.1:${port}/`), { code: 'ECONNREFUSED' })
  finish()
  await closing
  assert.equal((await client.closed).code, 1012)
})

test('an answer over HTTP/2 gets no Connection header, which HTTP/2 forbids', async (t) => {
  const { connect: connectHttp2 } = await import('node:http2')
  const app = await start(t, {}, routes, { fastify: { http2: true } })
  await app.sockets.drain()
  const session = connectHttp2(`http://127.0.0.1:${portOf(app)}`)
  const stream = session.request({ ':path': '/http' })
  const headers = await new Promise<Record<string, unknown>>((resolve) => { stream.once('response', resolve) })
  assert.equal(headers[':status'], 200)
  assert.equal('connection' in headers, false)
  stream.resume()
  await new Promise((resolve) => { stream.once('close', resolve) })
  session.close()
  await new Promise((resolve) => { session.once('close', resolve) })
})

for (const listening of [true, false]) {
  test(`in the tick after app.close() Fastify answers as a closing app, ${listening ? 'listening' : 'or one that does not listen'}`, async (t) => {
    const app = await start(t, {}, routes, listening ? {} : { listen: false })
    await app.ready()
    const closed = app.close()
    const injected = new Promise((resolve) => { process.nextTick(() => { resolve(app.inject('/http')) }) })
    await assert.rejects(injected, { code: 'FST_ERR_REOPENED_CLOSE_SERVER' })
    await closed
  })
}

for (const withPlugin of [false, true]) {
  test(`an application without WebSocket routes answers while it closes as Fastify does: ${withPlugin ? 'with' : 'without'} the plugin`, async (t) => {
    const { open: answer, arrived, wait } = gate()
    const app = create(t, { forceCloseConnections: false })
    if (withPlugin) await app.register(plugin)
    app.get('/slow', async () => { await wait(); return 'late' })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.after(() => { agent.destroy() })
    const ask = async () => {
      const [response] = await once(http.get({ port: portOf(app), host: '127.0.0.1', path: '/slow', agent }), 'response') as [http.IncomingMessage]
      return { status: response.statusCode, connection: response.headers.connection, body: await text(response) }
    }
    // The second waits for the connection of the first.
    const first = ask()
    const second = ask()
    await arrived
    const closing = app.close()
    await until(() => !app.server.listening)
    answer()
    assert.deepEqual(await first, { status: 200, connection: 'keep-alive', body: 'late' })
    const { status, connection } = await second
    assert.deepEqual({ status, connection }, { status: 503, connection: 'close' })
    await closing
  })

  test(`reply.send() of a payload that cannot be sent throws: ${withPlugin ? 'with' : 'without'} the plugin`, async (t) => {
    const app = create(t)
    if (withPlugin) await app.register(plugin)
    app.get('/ws', { websocket: true }, () => {})
    let thrown: unknown
    app.get('/', {
      handler (_request, reply) {
        try { reply.type('text/html').send({}) } catch (error) { thrown = error }
        reply.send('said otherwise')
      }
    })
    await app.ready()
    assert.equal((await app.inject('/')).body, 'said otherwise')
    assert.equal((thrown as { code?: string }).code, 'FST_ERR_REP_INVALID_PAYLOAD_TYPE')
  })
}
