/**
 * `app.close()` cuts no request that is under way, over any version of HTTP, and closes what carries none. Each request is
 * made on an app without the plugin, too: the answers are equal.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { Readable } from 'node:stream'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import type { TestContext } from 'node:test'
import tls from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { deferred } from '../../lib/base/deferred.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { gate } from '../helpers/gate.ts'
import { create, portOf, rawTcp, start, until, within } from '../helpers/server.ts'
import type { RawClient, StartOptions, TestApp } from '../helpers/server.ts'

/** A request that a test may still write to, and what comes of it. */
interface Exchange { request: Duplex | http.ClientRequest, answer: Promise<{ status: unknown, body: string, trailers: Record<string, unknown> }> }

/** A client that keeps one connection. */
interface Client {
  ask (method: string, path: string, headers?: Record<string, string>): Exchange
  end (): void
}

const PATIENCE = 10_000

function http1 (module: typeof http | typeof https) {
  return (port: number): Client => {
    const agent = new module.Agent({ keepAlive: true, maxSockets: 1 })
    return {
      ask (method, path, headers) {
        const request = module.request({ port, host: '127.0.0.1', method, path, headers, agent, rejectUnauthorized: false } as https.RequestOptions)
        const answer = (async () => {
          const [response] = await once(request, 'response') as [http.IncomingMessage]
          const body = await text(response)
          return { status: response.statusCode, body, trailers: response.trailers }
        })()
        return { request, answer }
      },
      end () { agent.destroy() }
    }
  }
}

function http2Client (scheme: 'http' | 'https') {
  return (port: number): Client => {
    const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
    session.on('error', () => {})
    return {
      ask (method, path, headers) {
        const request = session.request({ ':method': method, ':path': path, ...headers }, { endStream: method === 'GET' })
        let trailers: Record<string, unknown> = {}
        request.on('trailers', (given: object) => { trailers = { ...given } })
        const answer = (async () => {
          const [head] = await once(request, 'response') as [Record<string, unknown>]
          return { status: head[':status'], body: await text(request), trailers }
        })()
        return { request, answer }
      },
      end () { session.destroy() }
    }
  }
}

const https1 = { https: makeCertificate() }
const KINDS: Record<string, { fastify: StartOptions['fastify'], client: (port: number) => Client }> = {
  'HTTP/1.1': { fastify: {}, client: http1(http) },
  'HTTP/1.1 over TLS': { fastify: https1, client: http1(https) },
  'HTTP/1.1 of an HTTP/2 server': { fastify: { http2: true, https: { ...makeCertificate(), allowHTTP1: true } }, client: http1(https) },
  'HTTP/2': { fastify: { http2: true, https: makeCertificate() }, client: http2Client('https') },
  'HTTP/2 without TLS': { fastify: { http2: true }, client: http2Client('http') }
}

/** Makes the app, without the plugin or with it. */
async function serve (t: TestContext, withPlugin: boolean, fastify: StartOptions['fastify'], configure: (app: FastifyInstance) => void): Promise<TestApp> {
  if (withPlugin) {
    return start(t, {}, (app) => {
      app.get('/ws', { websocket: true }, () => {})
      configure(app)
    }, { fastify })
  }
  const app = create(t, fastify)
  configure(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

/** Begins to close; returns when an unused connection is closed, which is done last. */
async function closeUnused (t: TestContext, app: TestApp, withPlugin: boolean): Promise<{ closed: Promise<void> }> {
  if (!withPlugin) {
    const closed = app.close()
    await until(() => !app.server.listening)
    return { closed }
  }
  const accepted = once(app.server, 'connection')
  const unused = net.connect(portOf(app), '127.0.0.1')
  t.after(() => { unused.destroy() })
  await accepted
  const gone = once(unused.resume(), 'close')
  const closed = app.close()
  await within(PATIENCE, gone, 'the unused connection was left open')
  return { closed }
}

/** One request that is under way when the app closes: `begin` makes it, `finish` lets it come to its end. */
interface Scene {
  configure (app: FastifyInstance): void
  begin (client: Client): Promise<Exchange>
  finish (exchange: Exchange): void
}

const SCENES: Record<string, () => Scene> = {
  'a slow answer' () {
    const { open, arrived, wait } = gate()
    return {
      configure (app) { app.get('/', async () => { await wait(); return 'answer' }) },
      async begin (client) { const exchange = client.ask('GET', '/'); exchange.request.end(); await arrived; return exchange },
      finish: open
    }
  },
  'a slow answer to the second request of a connection' () {
    const scene = SCENES['a slow answer']!()
    return {
      ...scene,
      configure (app) { scene.configure(app); app.get('/quick', async () => 'quick') },
      async begin (client) {
        const first = client.ask('GET', '/quick')
        first.request.end()
        assert.equal((await first.answer).body, 'quick')
        return scene.begin(client)
      }
    }
  },
  'a slow upload' () {
    const { promise: arrived, resolve: begun } = deferred<void>()
    return {
      configure (app) {
        app.addHook('preParsing', async (_request, _reply, payload) => { begun(); return payload })
        app.post('/', async (request) => `got ${String(request.body)}`)
      },
      async begin (client) {
        const exchange = client.ask('POST', '/', { 'content-type': 'text/plain' })
        exchange.request.write('half, ')
        await arrived
        return exchange
      },
      finish ({ request }) { request.end('and half') }
    }
  },
  'an answer that was begun before, as of server-sent events' () {
    const source = new Readable({ read () {} })
    return {
      configure (app) { app.get('/', async (_request, reply) => { source.push('data: 1\n\n'); return reply.type('text/event-stream').send(source) }) },
      async begin (client) {
        const exchange = client.ask('GET', '/')
        exchange.request.end()
        await once(exchange.request, 'response')
        return exchange
      },
      finish () { source.push('data: 2\n\n'); source.push(null) }
    }
  },
  trailers () {
    const { open, arrived, wait } = gate()
    return {
      configure (app) {
        app.get('/', async (_request, reply) => {
          reply.trailer('x-sum', async () => { await wait(); return '42' })
          return reply.send(Readable.from(['body']))
        })
      },
      async begin (client) { const exchange = client.ask('GET', '/', { te: 'trailers' }); exchange.request.end(); await arrived; return exchange },
      finish: open
    }
  }
}

for (const [kind, { fastify, client: connect }] of Object.entries(KINDS)) {
  for (const [what, make] of Object.entries(SCENES)) {
    test(`${kind}: ${what} under way is not cut by app.close()`, async (t) => {
      const answers = []
      for (const withPlugin of [false, true]) {
        const scene = make()
        const app = await serve(t, withPlugin, fastify, scene.configure)
        const client = connect(portOf(app))
        t.after(() => { client.end() })
        const exchange = await scene.begin(client)
        const { closed } = await closeUnused(t, app, withPlugin)
        scene.finish(exchange)
        answers.push(await within(PATIENCE, exchange.answer, 'there was no answer'))
        // With the plugin the client may keep its connection open: it does not hold the close.
        if (!withPlugin) client.end()
        await within(PATIENCE, closed, `app.close() did not end with${withPlugin ? '' : 'out'} the plugin`)
      }
      assert.equal(answers[1]!.status, 200)
      assert.deepEqual(answers[1], answers[0])
    })
  }
}

// ——— what Node answers past 'request'

const POST = 'POST /raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n'

/** A raw client whose request is with a listener of the server's. */
async function asking (t: TestContext, app: TestApp, bytes: string, event: string): Promise<RawClient> {
  const client = await rawTcp(t, app)
  const arrived = once(app.server, event)
  client.write(bytes)
  await arrived
  return client
}

for (const [event, expectation] of [['checkContinue', '100-continue'], ['checkExpectation', 'patience']] as const) {
  test(`a request that a '${event}' listener answers is not cut`, async (t) => {
    const { open, wait } = gate()
    const app = await serve(t, true, {}, (app) => {
      app.server.on(event, (request: http.IncomingMessage, response: http.ServerResponse) => {
        void wait().then(() => { response.writeContinue(); return text(request) }).then((body) => { response.end(`got ${body}`) })
      })
    })
    const client = await asking(t, app, `${POST}Expect: ${expectation}\r\n\r\n`, event)
    const { closed } = await closeUnused(t, app, true)
    open()
    assert.equal((await client.answer).status, 100)
    client.write('body')
    await until(() => client.body.includes('got body'))
    await within(PATIENCE, closed, 'app.close() did not end')
  })
}

test('what a clientErrorHandler writes in its own time is not cut', async (t) => {
  const { open, wait } = gate()
  const app = await serve(t, true, {
    clientErrorHandler (_error: Error, socket: net.Socket) { void wait().then(() => { socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n') }) }
  }, () => {})
  const client = await asking(t, app, 'no HTTP at all\r\n\r\n', 'clientError')
  const { closed } = await closeUnused(t, app, true)
  open()
  assert.equal((await client.answer).status, 400)
  client.end()
  await within(PATIENCE, closed, 'app.close() did not end')
})

test('a tunnel that a \'connect\' listener has opened is not cut', async (t) => {
  let tunnel!: Duplex
  const app = await serve(t, true, {}, (app) => { app.server.on('connect', (_request, socket: Duplex) => { tunnel = socket }) })
  const client = await asking(t, app, 'CONNECT elsewhere:1 HTTP/1.1\r\nHost: elsewhere\r\n\r\n', 'connect')
  const { closed } = await closeUnused(t, app, true)
  tunnel.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  assert.equal((await client.answer).status, 200)
  client.end()
  await within(PATIENCE, closed, 'app.close() did not end')
})

test('an upload that was answered early is not cut, and does not keep its connection', async (t) => {
  const app = await serve(t, true, {}, (app) => {
    app.post('/raw', { onRequest: async (_request, reply) => reply.send('early') }, async () => {})
  })
  const client = await asking(t, app, `${POST}\r\nbo`, 'request')
  assert.equal((await client.answer).status, 200)
  const { closed } = await closeUnused(t, app, true)
  assert.equal(client.socket.destroyed || client.socket.readableEnded, false)
  client.write('dy')
  await within(PATIENCE, closed, 'app.close() did not end')
  assert.equal(await client.ended, undefined)
})

// ——— what carries no request

const quick = (app: FastifyInstance) => { app.get('/quick', async () => 'quick') }
const GET = 'GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n'

test('half a request head after an answered request does not hold app.close()', async (t) => {
  const app = await serve(t, true, {}, quick)
  const client = await rawTcp(t, app)
  client.write(GET)
  assert.equal((await client.answer).status, 200)
  client.write(GET.slice(0, 20))
  await within(PATIENCE, app.close(), 'app.close() did not end')
  await client.ended
})

test('an HTTP/1.1 connection kept alive with an HTTP/2 server does not hold app.close()', async (t) => {
  const app = await serve(t, true, KINDS['HTTP/1.1 of an HTTP/2 server']!.fastify, quick)
  const client = await rawTcp(t, app)
  client.write(GET)
  assert.equal((await client.answer).status, 200)
  await within(PATIENCE, app.close(), 'app.close() did not end')
  await client.ended
})

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

for (const [what, bytes] of [['nothing', ''], ['half a preface', PREFACE.slice(0, 10)], ['a preface and no request', PREFACE]] as const) {
  for (const secure of [false, true]) {
    test(`HTTP/2${secure ? '' : ' without TLS'}: a client that has sent ${what} does not hold app.close()`, async (t) => {
      const app = await serve(t, true, KINDS[secure ? 'HTTP/2' : 'HTTP/2 without TLS']!.fastify, quick)
      const session = once(app.server, 'session')
      const socket = secure
        ? tls.connect({ port: portOf(app), host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
        : net.connect(portOf(app), '127.0.0.1')
      t.after(() => { socket.destroy() })
      socket.write(bytes)
      await session
      const gone = once(socket.resume(), 'close')
      await within(PATIENCE, app.close(), 'app.close() did not end')
      await gone
    })
  }
}

test('HTTP/2: an idle session is told to go, and does not hold app.close()', async (t) => {
  const app = await serve(t, true, KINDS['HTTP/2']!.fastify, quick)
  const session = http2.connect(`https://127.0.0.1:${portOf(app)}`, { rejectUnauthorized: false })
  t.after(() => { session.destroy() })
  const stream = session.request({ ':path': '/quick' })
  assert.equal(await text(stream), 'quick')
  const goaway = once(session, 'goaway')
  await within(PATIENCE, app.close(), 'app.close() did not end')
  assert.equal((await goaway)[0], http2.constants.NGHTTP2_NO_ERROR)
})
