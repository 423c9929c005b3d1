import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import test, { mock } from 'node:test'
import { tcpEnded } from '../helpers/ends.ts'
import { gate } from '../helpers/gate.ts'
import { ServerClose } from '../../lib/http/server-close.ts'
import { nextEvent, turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, handshake, portOf, rawTcp, start, until, within } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'

/** Connections that were never asked anything, as browsers open them ahead of need. */
async function silent (t: Parameters<typeof rawTcp>[0], app: TestApp): Promise<RawClient> {
  const accepted = once(app.server, 'connection')
  const raw = await rawTcp(t, app)
  await accepted
  return raw
}

test('a TCP connection on which nothing was ever asked does not hold app.close()', async (t) => {
  const app = await start(t, {}, plain)
  const raw = await silent(t, app)
  await app.close()
  await tcpEnded(raw)
})

test('it is not cut off before the app closes, and may still ask during a bare drain()', async (t) => {
  const app = await start(t, {}, (app) => {
    plain(app)
    app.get('/http', async () => 'yes')
  })
  const raw = await silent(t, app)
  await app.sockets.drain()
  raw.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const { status, headers } = await raw.answer
  assert.equal(status, 200)
  assert.equal(headers.get('connection'), 'close')
  await tcpEnded(raw)
})

test('server.close() drains, and its callback waits for the drain', async (t) => {
  const order: string[] = []
  const app = await start(t, {}, plain)
  app.sockets.on('drained', () => { order.push('drained') })
  const client = await connect(t, app, '/')
  const closed = new Promise<Error | undefined>((resolve) => {
    app.server.close((error) => {
      order.push('callback')
      resolve(error)
    })
  })
  assert.equal((await client.closed).code, 1012)
  assert.equal(await closed, undefined)
  assert.deepEqual(order, ['drained', 'callback'])
})

test('server.close() works without a callback, and twice', async (t) => {
  const app = await start(t, {}, plain)
  const client = await connect(t, app, '/')
  assert.equal(app.server.close(), app.server)
  const again = new Promise((resolve) => { app.server.close(resolve) })
  assert.equal((await client.closed).code, 1012)
  await again
  assert.equal(app.server.listening, false)
})

test('server.close() of a server that does not listen yet only says so: it serves and drains afterwards', async (t) => {
  const app = await start(t, {}, plain, { listen: false })
  await app.ready()
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => { app.server.close(resolve) })
  assert.equal(error?.code, 'ERR_SERVER_NOT_RUNNING')
  assert.equal(app.sockets.state, 'running')
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = await connect(t, app, '/')
  const closed = new Promise((resolve) => { app.server.close(resolve) })
  assert.equal((await client.closed).code, 1012)
  assert.equal(await closed, undefined)
  assert.equal(app.server.listening, false)
})

test('the server has its own close() again when the app is closed', async (t) => {
  const app = await start(t, {}, plain)
  assert.equal(Object.hasOwn(app.server, 'close'), true)
  await app.close()
  assert.equal(Object.hasOwn(app.server, 'close'), false)
})

test('a close() of the server\'s own is put back, and one that was put over ours since is left', async (t) => {
  const { close } = http.Server.prototype
  for (const over of [false, true]) {
    const own = mock.fn(close)
    const app = await start(t, {}, plain, { fastify: { serverFactory: (handler: http.RequestListener) => Object.assign(http.createServer(handler), { close: own }) } })
    const ours = app.server.close
    const theirs: typeof close = (callback) => ours.call(app.server, callback)
    if (over) app.server.close = theirs
    await app.close()
    assert.equal(own.mock.callCount(), 1)
    assert.equal(app.server.close, over ? theirs : own)
    const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => { app.server.close(resolve) })
    assert.equal(error?.code, 'ERR_SERVER_NOT_RUNNING')
  }
})

test('server[Symbol.asyncDispose]() waits for the drain, too', async (t) => {
  const app = await start(t, {}, plain)
  const client = await connect(t, app, '/')
  await app.server[Symbol.asyncDispose]()
  assert.equal(app.sockets.state, 'drained')
  assert.equal((await client.closed).code, 1012)
})

test('an idle keep-alive connection is served during the drain and closed after it', async (t) => {
  const app = await start(t, {}, (app) => {
    plain(app)
    app.get('/http', async () => 'yes')
  })
  const raw = await rawTcp(t, app)
  raw.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.equal((await raw.answer).headers.get('connection'), 'keep-alive')
  await app.close()
  await tcpEnded(raw)
  assert.equal(raw.body, 'yes')
})

test('a request in flight is answered before server.close() calls back', async (t) => {
  const { open: answer, arrived, wait } = gate()
  const app = await start(t, {}, (app) => {
    plain(app)
    app.get('/slow', async () => { await wait(); return 'done' })
  })
  const client = await connect(t, app, '/')
  const response = fetch(`http://127.0.0.1:${portOf(app)}/slow`)
  await arrived
  const closing = app.close()
  const [report] = await nextEvent(app, 'drained')
  assert.equal(report.connections.clean, 1)
  await client.closed
  let over = false
  void closing.then(() => { over = true })
  await turn()
  assert.equal(over, false)
  answer()
  const answered = await response
  assert.equal(answered.headers.get('connection'), 'close')
  assert.equal(await answered.text(), 'done')
  await closing
})

test('what a drain has no time to cut off holds neither server.close() nor the onClose hooks; a request in flight does', async (t) => {
  const request = gate()
  let left = 0
  const order: string[] = []
  const app = await start(t, { drain: { timeout: 300, reserve: 200 } }, (app) => {
    plain(app)
    app.get('/http', async () => {
      await request.wait()
      return 'answered'
    })
    app.addHook('onClose', async () => {
      left = app.sockets.size
      order.push('onClose')
    })
  })
  app.sockets.on('drained', ({ connections }) => { order.push(connections.unfinished > 0 ? 'drained, some are left' : 'drained') })
  const clients = await Promise.all(Array.from({ length: 40 }, () => connect(t, app, '/')))
  const answer = fetch(`http://127.0.0.1:${portOf(app)}/http`).then(async (response) => { order.push(await response.text()) })
  await request.arrived
  // Ends of 50 ms each: 40 of them take longer than the drain and half of the reserve.
  app.sockets.on('closing', () => {
    const until = performance.now() + 50
    while (performance.now() < until);
  })
  const closed = app.close()
  await nextEvent(app, 'drained')
  request.open()
  await Promise.all([answer, closed])
  assert.deepEqual(order, ['drained, some are left', 'answered', 'onClose'])
  assert.ok(left > 0)
  for (const { closed } of clients) await closed
  await until(() => app.sockets.size === 0)
})

test('two applications of which no drain had time for a raw socket are both called back when the last request is answered', async (t) => {
  const server = http.createServer()
  t.after(() => { server.close() })
  const close = ServerClose.of(server)
  const gates = [0, 1].map(() => ({ closing: true, draining: true, drained: async () => false }))
  for (const gate of gates) {
    close.join(gate)
    t.after(() => { close.leave(gate) })
  }
  const upgraded = once(server, 'upgrade')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const websocket = net.connect(port, '127.0.0.1')
  websocket.write(handshake('/'))
  const [, raw] = await upgraded as [http.IncomingMessage, net.Socket]
  close.sockets.forget(raw)
  const requested = once(server, 'request')
  const answer = fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
  const [, response] = await requested as [http.IncomingMessage, http.ServerResponse]
  let over = 0
  const called = Promise.all(gates.map(() => new Promise<void>((resolve) => {
    server.close(() => {
      over++
      resolve()
    })
  })))
  await turn()
  assert.equal(over, 0)
  response.end()
  assert.equal((await answer).status, 200)
  await called
  assert.equal(raw.destroyed, false)
  raw.destroy()
})

test('other HTTP servers in the process are left alone', async (t) => {
  await start(t, {}, plain)
  const other = http.createServer()
  assert.equal(Object.hasOwn(other, 'close'), false)
  assert.equal(other.listenerCount('connection'), http.createServer().listenerCount('connection'))
})

// ——— TLS

function certificate (): { key: string, cert: string } {
  const pem = execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', '-', '-out', '-'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const cut = (kind: string) => new RegExp(`-----BEGIN ${kind}-----[^-]+-----END ${kind}-----`).exec(pem)![0]
  return { key: cut('PRIVATE KEY'), cert: cut('CERTIFICATE') }
}

const openssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

test('TLS: a connection that has shaken hands and asked nothing does not hold app.close()', { skip: !openssl && 'openssl is not installed' }, async (t) => {
  const app = await start(t, {}, plain, { fastify: { https: certificate() } })
  const accepted = once(app.server, 'secureConnection')
  const raw = await rawTcp(t, app)
  await accepted
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  await tcpEnded(raw)
})

test('TLS: a connection that has not even shaken hands does not hold app.close()', { skip: !openssl && 'openssl is not installed' }, async (t) => {
  const app = await start(t, {}, plain, { fastify: { https: certificate() } })
  const accepted = once(app.server, 'connection')
  const socket = net.connect(portOf(app), '127.0.0.1')
  t.after(() => { socket.destroy() })
  await accepted
  const gone = once(socket.resume(), 'close')
  await within(5_000, app.close(), 'app.close() did not settle')
  await gone
})

test('TLS: a connection that stopped in the middle of shaking hands does not hold app.close()', { skip: !openssl && 'openssl is not installed' }, async (t) => {
  const app = await start(t, {}, plain, { fastify: { https: certificate() } })
  const accepted = once(app.server, 'connection') as Promise<[net.Socket]>
  const socket = net.connect(portOf(app), '127.0.0.1')
  t.after(() => { socket.destroy() })
  // The head of a record that says more is to come (RFC 8446 §5.1).
  socket.write(Buffer.from([22, 3, 1, 2, 0, 1]))
  const [raw] = await accepted
  await until(() => raw.bytesRead > 0)
  const gone = once(socket.resume(), 'close')
  await within(5_000, app.close(), 'app.close() did not settle')
  await gone
})
