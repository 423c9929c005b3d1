/**
 * Servers of every kind (TLS, HTTP/2, a factory's, on localhost, on a unix socket, run by other code) and HTTP beside the
 * sockets: the drain is the same on all, and the app closes.
 */
import assert from 'node:assert/strict'
import dns from 'node:dns'
import { once } from 'node:events'
import http from 'node:http'
import type { RequestListener } from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import plugin from '../../lib/index.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { createClock } from '../../lib/testing/clock.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { gate } from '../helpers/gate.ts'
import {
  assertBounded, assertClean, connect, create, handshake, logged, passUntilClosed, portOf, rawConnect, rawHandshake, rawTcp, reportOf, start, until, within
} from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** For drains with peers that do not answer. Where answers count as well, the clock is the test's. */
const QUICK = { closeTimeout: 200, drain: { timeout: 1_000 } }
/** For drains that end by themselves: no deadline decides, however slow the machine is. */
const PATIENT = { closeTimeout: 60_000, drain: { timeout: 90_000 } }
/** Far above every budget here; below the times in which ws or Node would cut a connection off by itself. */
const PATIENCE = 25_000

function echo (app: TestApp): void {
  app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  app.get('/http', async () => 'fine')
}

async function exchange (t: Parameters<typeof connect>[0], app: TestApp, options: Parameters<typeof connect>[3] = {}) {
  const client = await connect(t, app, '/', options)
  client.socket.send('hello')
  assert.equal(await client.next(), 'hello')
  return client
}

const closeWithin = (app: TestApp) => within(PATIENCE, app.close(), 'app.close() did not end')

// ——— localhost

/** Whether 'localhost' can be two addresses here. */
const ipv6 = await new Promise<boolean>((resolve) => {
  const probe = net.createServer().once('error', () => { resolve(false) })
  probe.listen(0, '::1', () => { probe.close(() => { resolve(true) }) })
})

/** Makes localhost mean both addresses, whatever the machine's hosts file says. */
function mockLocalhost (t: TestContext): void {
  const { lookup } = dns
  const both = [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }]
  t.mock.method(dns, 'lookup', (host: string, options: { all?: boolean }, callback: (...args: unknown[]) => void) => {
    if (host !== 'localhost') return Reflect.apply(lookup, dns, [host, options, callback])
    // A server asks without options for the one address it is to listen on.
    if (typeof options === 'function') return process.nextTick(options as never, null, '127.0.0.1', 4)
    if (options.all) return process.nextTick(callback, null, both)
    return process.nextTick(callback, null, '127.0.0.1', 4)
  })
}

async function startOnLocalhost (t: TestContext, configure: (app: TestApp) => void, options: LifecycleOptions = QUICK): Promise<TestApp> {
  mockLocalhost(t)
  const app = await start(t, options, configure, { listen: { host: 'localhost' } })
  assert.equal(app.addresses().length, 2)
  return app
}

test('app.close() with host \'localhost\' drains the sockets of both its servers', { skip: !ipv6 && 'no ::1' }, async (t) => {
  const clock = createClock()
  const app = await startOnLocalhost(t, echo, { ...QUICK, clock })
  const clients = await Promise.all(['127.0.0.1', '[::1]'].map((to) => exchange(t, app, { to })))
  const cleaned: number[] = []
  for (const connection of app.sockets.list()) {
    connection.defer(async () => {
      await sleep(20)
      cleaned.push(connection.id)
    })
  }
  const silent = await Promise.all(['127.0.0.1', '::1'].map(async (to) => {
    const peer = await rawTcp(t, app, to)
    peer.write(handshake('/'))
    assert.equal((await peer.answer).status, 101)
    return peer
  }))
  const closing = closeWithin(app)
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  await until(() => app.sockets.size === silent.length)
  await clock.tick(QUICK.closeTimeout)
  await closing
  for (const peer of silent) {
    assert.equal((await peer.closeFrame()).code, 1012)
    await peer.ended
  }
  const report = reportOf(app)
  assert.ok(report.duration <= report.timeout, `took ${report.duration} ms`)
  assert.equal(report.connections.total, 4)
  assert.equal(report.connections.clean, 2)
  assert.equal(report.connections.terminated, 2)
  assert.equal(cleaned.length, 2)
  await assertClean(app)
})

test('a hanging handshake and a connection kept alive on the second server of \'localhost\' end, too', { skip: !ipv6 && 'no ::1' }, async (t) => {
  const app = await startOnLocalhost(t, (app) => {
    echo(app)
    app.get('/hangs', { websocket: true, preHandler: () => new Promise(() => {}) }, () => {})
  })
  const [hanging, idle] = await Promise.all([rawTcp(t, app, '::1'), rawTcp(t, app, '::1')])
  hanging.write(handshake('/hangs'))
  idle.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.equal((await idle.answer).status, 200)
  await closeWithin(app)
  assert.equal((await hanging.answer).status, 503)
  await within(PATIENCE, hanging.ended, 'the hanging handshake was left open')
  await within(PATIENCE, idle.ended, 'the idle connection was left open')
})

test('a connection on which nothing was asked, on the second server of \'localhost\', ends', { skip: !ipv6 && 'no ::1' }, async (t) => {
  const app = await startOnLocalhost(t, echo)
  const mute = await rawTcp(t, app, '::1')
  await closeWithin(app)
  await within(PATIENCE, mute.ended, 'it was left open')
})

test('it ends, too, where the plugin is registered in a child context', { skip: !ipv6 && 'no ::1' }, async (t) => {
  mockLocalhost(t)
  const app = create(t)
  await app.register(async (child) => {
    await child.register(plugin, QUICK)
    child.get('/', { websocket: true }, () => {})
  })
  await app.listen({ port: 0, host: 'localhost' })
  const mute = await rawTcp(t, app, '::1')
  await closeWithin(app)
  await within(PATIENCE, mute.ended, 'it was left open')
})

// ——— TLS and HTTP/2

test('a TLS server drains as any other: polite, silent and hanging peers', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, (app) => {
    echo(app)
    app.get('/hangs', { websocket: true, preHandler: () => new Promise(() => {}) }, () => {})
  }, { fastify: { https: makeCertificate() } })
  const polite = await exchange(t, app)
  const silent = await rawConnect(t, app, '/')
  const hanging = await rawHandshake(t, app, '/hangs')
  await until(() => app.logs.some(({ req }) => (req as { url?: string } | undefined)?.url === '/hangs'))
  const closing = closeWithin(app)
  assert.equal((await polite.closed).code, 1012)
  assert.equal((await silent.closeFrame()).code, 1012)
  await until(() => app.sockets.size === 1)
  await passUntilClosed(clock, closing)
  assert.equal((await hanging.answer).status, 503)
  const report = reportOf(app)
  assert.ok(report.duration <= report.timeout, `took ${report.duration} ms`)
  assert.deepEqual(report.connections, { total: 2, clean: 1, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: { drain: 2 } })
  await assertClean(app)
})

test('a TLS peer that never reads 32 MB is cut off', async (t) => {
  const app = await start(t, QUICK, (app) => {
    app.get('/', { websocket: true }, (socket) => { for (let i = 0; i < 32; i++) socket.send(Buffer.alloc(2 ** 20, i)) })
  }, { fastify: { https: makeCertificate() } })
  const peer = await rawConnect(t, app, '/')
  peer.pause()
  await closeWithin(app)
  const report = reportOf(app)
  assertBounded(report)
  assert.equal(report.connections.terminated, 1)
})

test('a TCP connection on which TLS never began does not hold up the close', async (t) => {
  const app = await start(t, QUICK, echo, { fastify: { https: makeCertificate() } })
  const mute = net.connect(portOf(app), '127.0.0.1')
  t.after(() => { mute.destroy() })
  mute.on('error', () => {})
  const half = net.connect(portOf(app), '127.0.0.1')
  t.after(() => { half.destroy() })
  half.on('error', () => {})
  await Promise.all([once(mute, 'connect'), once(half, 'connect')])
  half.write(Buffer.from([0x16, 3, 1, 0x02]))
  const client = await exchange(t, app)
  try {
    await closeWithin(app)
  } finally {
    mute.destroy()
    half.destroy()
  }
  assert.equal((await client.closed).code, 1012)
})

test('a TLS connection on which nothing was asked, and one kept alive, do not hold up the close', async (t) => {
  const app = await start(t, QUICK, echo, { fastify: { https: makeCertificate() } })
  const mute = await rawTcp(t, app)
  const idle = await rawTcp(t, app)
  idle.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.equal((await idle.answer).status, 200)
  const client = await exchange(t, app)
  await closeWithin(app)
  assert.equal((await client.closed).code, 1012)
  await Promise.all([mute.ended, idle.ended])
})

test('an HTTP/2 server says plainly what it cannot do, serves clients that fall back to HTTP/1.1, and drains them', async (t) => {
  const app = await start(t, QUICK, echo, { fastify: { http2: true, https: { ...makeCertificate(), allowHTTP1: true } } })
  assert.equal(logged(app, /HTTP\/2 server: WebSockets over HTTP\/2 \(RFC 8441\) are not supported/).length, 1)
  const client = await exchange(t, app)
  const silent = await rawConnect(t, app, '/')
  await closeWithin(app)
  assert.equal((await client.closed).code, 1012)
  assert.equal((await silent.closeFrame()).code, 1012)
  assertBounded(reportOf(app))
  assert.equal(reportOf(app).connections.total, 2)
})

test('an HTTP/2 server without sessions, and one with an idle session, close', async (t) => {
  const empty = await start(t, QUICK, echo, { fastify: { http2: true, https: makeCertificate() } })
  await closeWithin(empty)

  const app = await start(t, QUICK, echo, { fastify: { http2: true, https: { ...makeCertificate(), allowHTTP1: true }, forceCloseConnections: true } })
  const session = http2.connect(`https://127.0.0.1:${portOf(app)}`, { rejectUnauthorized: false })
  t.after(() => { session.destroy() })
  session.on('error', () => {})
  const stream = session.request({ ':path': '/http' })
  const [headers] = await once(stream, 'response') as [Record<string, unknown>]
  assert.equal(headers[':status'], 200)
  stream.resume()
  await once(stream, 'close')
  const client = await exchange(t, app)
  await closeWithin(app)
  assert.equal((await client.closed).code, 1012)
})

test('HTTP/2 answers during a drain carry no Connection header', async (t) => {
  const app = await start(t, QUICK, echo, { fastify: { http2: true, https: { ...makeCertificate(), allowHTTP1: true } } })
  await app.sockets.drain()
  const session = http2.connect(`https://127.0.0.1:${portOf(app)}`, { rejectUnauthorized: false })
  t.after(() => { session.destroy() })
  const stream = session.request({ ':path': '/http' })
  const [headers] = await once(stream, 'response') as [Record<string, unknown>]
  assert.equal(headers[':status'], 200)
  assert.equal('connection' in headers, false)
  stream.resume()
  await once(stream, 'close')
  session.close()
  await once(session, 'close')
})

// ——— servers of other makes

test('a server of a serverFactory is drained as any other', async (t) => {
  const app = await start(t, QUICK, echo, {
    fastify: { serverFactory: (handler: RequestListener) => http.createServer(handler) }
  })
  const polite = await exchange(t, app)
  const silent = await rawConnect(t, app, '/')
  const mute = await rawTcp(t, app)
  await closeWithin(app)
  assert.equal((await polite.closed).code, 1012)
  assert.equal((await silent.closeFrame()).code, 1012)
  await mute.ended
  assertBounded(reportOf(app))
  assert.equal(reportOf(app).connections.total, 2)
})

test('a serverFactory\'s server that other code makes listen and closes is drained before the last onClose', async (t) => {
  const order: string[] = []
  const server = http.createServer()
  const app = await start(t, QUICK, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      app.sockets.of(socket).defer(async () => { await sleep(50); order.push('cleanup') })
    })
  }, {
    listen: false,
    before: (app) => { app.addHook('onClose', async () => { order.push('database closed') }) },
    fastify: {
      serverFactory: (handler: RequestListener) => {
        server.on('request', handler)
        return server
      }
    }
  })
  await app.ready()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = await connect(t, app, '/')
  await closeWithin(app)
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(order, ['cleanup', 'database closed'])
  assertBounded(reportOf(app))
  if (server.listening) await new Promise((resolve) => { server.close(resolve) })
})

test('a server on a unix socket is drained as any other', { skip: process.platform === 'win32' && 'no unix sockets' }, async (t) => {
  const path = join(tmpdir(), `sockets-${process.pid}-${Math.random().toString(36).slice(2)}.sock`)
  const app = await start(t, PATIENT, echo, { listen: { path } })
  const socket = new WebSocket(`ws+unix:${path}:/`)
  const closed = once(socket, 'close')
  await once(socket, 'open')
  await app.close()
  assert.equal((await closed)[0], 1012)
  assert.equal(reportOf(app).connections.clean, 1)
})

test('sockets of another HTTP server (@fastify/websocket\'s `server`) are drained with the app', async (t) => {
  const server = http.createServer().listen(0, '127.0.0.1')
  t.after(() => { server.close(); server.closeAllConnections() })
  await once(server, 'listening')
  const app = await start(t, { ...PATIENT, options: { server } }, echo)
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as net.AddressInfo).port}/`)
  const closed = once(socket, 'close')
  await once(socket, 'open')
  assert.equal(app.sockets.size, 1)
  await closeWithin(app)
  assert.equal((await closed)[0], 1012)
  assert.equal(reportOf(app).connections.clean, 1)
})

test('sockets of an adopted ws server are tracked, drained and closed', async (t) => {
  const other = new WebSocketServer({ noServer: true })
  let otherServer!: http.Server
  const app = await start(t, PATIENT, (app) => {
    echo(app)
    app.sockets.adopt(other)
    other.on('connection', (socket) => { socket.on('message', (data) => { socket.send(`other ${String(data)}`) }) })
    const server = otherServer = http.createServer().listen(0, '127.0.0.1')
    server.on('upgrade', (request, socket, head) => {
      other.handleUpgrade(request, socket, head, (ws) => { other.emit('connection', ws, request) })
    })
    app.addHook('onClose', async () => { server.close() })
  })
  const own = await exchange(t, app)
  const socket = new WebSocket(`ws://127.0.0.1:${(otherServer.address() as net.AddressInfo).port}/elsewhere?token=secret`)
  const closed = once(socket, 'close')
  await once(socket, 'open')
  socket.send('hi')
  assert.equal(String((await once(socket, 'message'))[0]), 'other hi')
  assert.deepEqual(app.sockets.list().map(({ route }) => route), ['/', '/elsewhere'])
  await closeWithin(app)
  assert.equal((await closed)[0], 1012)
  assert.equal((await own.closed).code, 1012)
  assert.equal(reportOf(app).connections.clean, 2)
})

test('a ws server without a list of its clients, or with a class of its own, is drained as any other', async (t) => {
  class Own extends WebSocket { get mine () { return true } }
  let mine: unknown
  for (const options of [{ clientTracking: false }, { WebSocket: Own }] as const) {
    const app = await start(t, { ...QUICK, options: options as LifecycleOptions['options'] }, (app) => {
      app.get('/', { websocket: true }, (socket) => {
        mine = (socket as Own).mine
        socket.on('message', (data) => { socket.send(String(data)) })
      })
    })
    const polite = await exchange(t, app)
    const silent = await rawConnect(t, app, '/')
    await closeWithin(app)
    assert.equal((await polite.closed).code, 1012)
    assert.equal((await silent.closeFrame()).code, 1012)
    assert.equal(reportOf(app).connections.total, 2)
  }
  assert.equal(mine, true)
})

// ——— injectWS

test('injectWS clients are tracked, served, told the code and gone at once', async (t) => {
  for (const listen of [{}, false] as const) {
    const app = await start(t, { ...QUICK, clock: createClock() }, echo, { listen })
    await app.ready()
    const client = await app.injectWS('/')
    client.send('hi')
    assert.equal(String((await once(client, 'message'))[0]), 'hi')
    assert.equal(app.sockets.size, 1)
    const closed = once(client, 'close')
    await closeWithin(app)
    const report = reportOf(app)
    assert.equal(report.connections.total, 1)
    assert.equal(report.connections.unfinished, 0)
    assert.equal(report.duration, 0, 'the drain waits for a stream that cannot answer')
    client.terminate()
    const [code] = await within(PATIENCE, closed, 'the injected client saw no end') as [number]
    assert.ok([1012, 1006].includes(code))
    await assertClean(app)
  }
})

test('injectWS during a drain is refused', async (t) => {
  const app = await start(t, QUICK, echo)
  await app.sockets.drain()
  await assert.rejects(within(PATIENCE, app.injectWS('/'), 'the injected client got no answer'), /503/)
})

test('an injectWS client that closes by itself leaves nothing for long', async (t) => {
  const app = await start(t, QUICK, echo)
  const client = await app.injectWS('/')
  client.close(1000, 'bye')
  await until(() => app.sockets.size === 0)
  assert.equal(app.sockets.history[0]!.cause, 'client')
  client.terminate()
  await assertClean(app)
})

// ——— HTTP beside

test('connections kept alive, and such on which nothing was ever asked, do not hold up the close', async (t) => {
  const app = await start(t, QUICK, echo)
  const mute = await Promise.all(Array.from({ length: 5 }, () => rawTcp(t, app)))
  const idle = await rawTcp(t, app)
  idle.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.equal((await idle.answer).status, 200)
  const client = await exchange(t, app)
  await closeWithin(app)
  assert.equal((await client.closed).code, 1012)
  for (const peer of [...mute, idle]) await peer.ended
  await assertClean(app)
})

test('they do not hold up the close of an app without sockets either', async (t) => {
  const app = await start(t, QUICK, echo)
  const mute = await rawTcp(t, app)
  await closeWithin(app)
  await mute.ended
})

test('a request under way when the drain starts gets its answer, with Connection: close', async (t) => {
  const { open: answer, arrived, wait } = gate()
  const app = await start(t, QUICK, (app) => {
    echo(app)
    app.get('/slow', async () => { await wait(); return 'late but here' })
  })
  const peer = await rawTcp(t, app)
  peer.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const client = await exchange(t, app)
  await arrived
  const closing = app.close()
  assert.equal((await client.closed).code, 1012)
  await until(() => app.reports.length === 1)
  answer()
  await within(PATIENCE, closing, 'app.close() did not end')
  const { status, headers } = await peer.answer
  assert.equal(status, 200)
  assert.equal(headers.get('connection'), 'close')
  await peer.ended
  assert.equal(peer.body, 'late but here')
})

test('pipelined requests under way when the drain starts are all answered, the last with Connection: close', async (t) => {
  const answers: Array<() => void> = []
  const app = await start(t, QUICK, (app) => {
    echo(app)
    app.get('/:name', async (request) => {
      await new Promise<void>((resolve) => { answers.push(resolve) })
      return (request.params as { name: string }).name
    })
  })
  const peer = await rawTcp(t, app)
  peer.write('GET /first HTTP/1.1\r\nHost: localhost\r\n\r\nGET /second HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => answers.length === 2)
  const closing = app.close()
  await until(() => app.sockets.state !== 'running')
  answers[0]!()
  const { headers } = await peer.answer
  assert.equal(headers.get('connection'), 'keep-alive')
  answers[1]!()
  await peer.ended
  assert.match(peer.body, /^firstHTTP\/1\.1 200 OK\r\n[^]*^connection: close\r\n[^]*\r\n\r\nsecond$/im)
  await within(PATIENCE, closing, 'app.close() did not end')
})

test('requests on kept-alive connections during the drain are answered, and then closed', async (t) => {
  const app = await start(t, { drain: { terminationGracePeriod: 60_000, settleDelay: 30_000 } }, echo)
  await exchange(t, app)
  const peer = await rawTcp(t, app)
  const draining = app.sockets.drain()
  peer.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const { status, headers } = await peer.answer
  assert.equal(status, 200)
  assert.equal(headers.get('connection'), 'close')
  await peer.ended
  await app.close()
  await draining
})

test('a connection that sent half a request does not hold up the drain', async (t) => {
  const app = await start(t, QUICK, echo)
  const half = await rawTcp(t, app)
  half.write('GET /http HTTP/1.1\r\nHost: loc')
  const client = await exchange(t, app)
  const report = await app.sockets.drain()
  assert.equal((await client.closed).code, 1012)
  assertBounded(report)
  half.destroy()
})

test('half a request, and half a handshake, do not hold up the close for ever', async (t) => {
  const app = await start(t, QUICK, echo)
  const half = await Promise.all([rawTcp(t, app), rawTcp(t, app)])
  half[0]!.write('GET /http HTTP/1.1\r\nHost: loc')
  half[1]!.write(handshake('/').slice(0, 60))
  const client = await exchange(t, app)
  try {
    await closeWithin(app)
  } finally {
    for (const peer of half) peer.destroy()
  }
  assert.equal((await client.closed).code, 1012)
})

test('forceCloseConnections takes no client\'s close code', async (t) => {
  for (const forceCloseConnections of [true, false, 'idle'] as const) {
    const app = await start(t, QUICK, echo, { fastify: { forceCloseConnections } })
    const client = await exchange(t, app)
    const idle = await rawTcp(t, app)
    idle.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.equal((await idle.answer).status, 200)
    await closeWithin(app)
    assert.equal((await client.closed).code, 1012)
    await idle.ended
  }
})

test('readiness answers 200, then 503 from the first moment of the drain until the listener is gone', async (t) => {
  const { promise: work, resolve: finish } = deferred<void>()
  const app = await start(t, { drain: { timeout: 10_000 }, readiness: '/ready' }, (app) => {
    app.get('/', { websocket: true }, (socket) => { void app.sockets.of(socket).track(work) })
  })
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${portOf(app)}/ready`)
    return { status: response.status, body: await response.json() as unknown }
  }
  await connect(t, app, '/')
  assert.deepEqual(await ask(), { status: 200, body: { state: 'running', connections: 1 } })
  const draining = app.sockets.drain()
  assert.deepEqual(await ask(), { status: 503, body: { state: 'draining', connections: 1 } })
  finish()
  await draining
  assert.deepEqual(await ask(), { status: 503, body: { state: 'drained', connections: 0 } })
  assert.equal(logged(app, /incoming request/).filter(({ req }) => (req as { url: string }).url === '/ready').length, 0)
})
