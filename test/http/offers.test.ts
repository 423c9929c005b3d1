/**
 * Requests that offer another protocol than WebSocket (`Upgrade: h2c`, as curl --http2 and Java's HttpClient send): they are
 * answered over HTTP/1.1, as a server does that ignores the offer (RFC 9110 §7.8).
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocketServer } from 'ws'
import { declineOffers } from '../../lib/http/raw-socket.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { connect, handshake, logged, rawTcp, start, until } from '../helpers/server.ts'
import type { RawClient, StartOptions, TestApp } from '../helpers/server.ts'

const H2C = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' }

/** A request with an offer. */
function offer (line: string, headers: Record<string, string> = {}, body = ''): string {
  const all = { Host: 'localhost', ...H2C, ...(body === '' ? {} : { 'Content-Type': 'text/plain', 'Content-Length': String(body.length) }), ...headers }
  return `${line} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

async function serve (t: TestContext, options: StartOptions = {}): Promise<TestApp> {
  return start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.send('open') })
    app.get('/hello', async () => 'hello')
    app.get('/headers', async ({ headers }) => headers)
    app.post('/echo', async ({ body }) => `<${String(body)}>`)
  }, options)
}

/** All that a client has been answered until it has `count` answers, heads and bodies. */
async function answers (peer: RawClient, count: number): Promise<string> {
  const { status } = await peer.answer
  await until(() => [...peer.body.matchAll(/HTTP\/1\.1 /g)].length === count - 1 && /[>o}]$/.test(peer.body), `${count} answers`)
  return `${status} ${peer.body}`
}

test('a GET that offers h2c is answered', async (t) => {
  const peer = await rawTcp(t, await serve(t))
  peer.write(offer('GET /hello'))
  assert.match(await answers(peer, 1), /^200 hello$/)
})

test('a POST that offers h2c is answered with its body, at once, split and in chunks', async (t) => {
  const app = await serve(t)
  const request = offer('POST /echo', {}, 'body')
  for (const pieces of [[request], [request.slice(0, -4), 'bo', 'dy'], [request.slice(0, 30), request.slice(30, -2), request.slice(-2)],
    [offer('POST /echo', { 'Content-Type': 'text/plain', 'Transfer-Encoding': 'chunked' }), '2\r\nbo\r\n', '2\r\ndy\r\n0\r\n\r\n']]) {
    const peer = await rawTcp(t, app)
    for (const piece of pieces) {
      peer.write(piece)
      await new Promise((resolve) => { setTimeout(resolve, 5) })
    }
    assert.match(await answers(peer, 1), /^200 <body>$/)
    peer.destroy()
  }
})

test('a request with an offer and more headers than Node keeps is refused: its body would be read as a request', async (t) => {
  for (const maxHeadersCount of [null, 40, 0]) {
    const app = await serve(t)
    app.server.maxHeadersCount = maxHeadersCount
    const most = maxHeadersCount === null ? 1000 : maxHeadersCount
    const peer = await rawTcp(t, app)
    const body = 'GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n'
    peer.write(offer('POST /echo', {}, body).replace('Content-Length', `${'a:\r\n'.repeat(most === 0 ? 1100 : most)}Content-Length`))
    const { status } = await peer.answer
    if (most === 0) {
      assert.equal(await answers(peer, 1), `200 <${body}>`)
    } else {
      await peer.ended
      // Node from 22 on refuses it by itself, in its own words.
      assert.equal(status, 431)
      assert.doesNotMatch(peer.body, /hello/)
    }
  }
})

test('requests with an offer are pipelined and kept alive like any others, and a WebSocket opens behind them', async (t) => {
  const app = await serve(t)
  const connected = once(app.server, 'connection') as Promise<[Socket]>
  const peer = await rawTcp(t, app)
  const [accepted] = await connected
  // Node from 24.9 on answers a body itself, and loses what is pipelined behind it.
  peer.write(offer('GET /hello') + 'GET /hello HTTP/1.1\r\nHost: a\r\n\r\n' + offer('GET /hello') + offer('POST /echo', {}, 'last'))
  assert.match(await answers(peer, 4), /^200 helloHTTP\/1\.1 200[^]*hello[^]*hello[^]*<last>$/)
  const listeners = () => accepted.eventNames().map((name) => `${String(name)} ${accepted.listenerCount(name)}`)
  const before = listeners()
  for (let i = 5; i < 25; i++) {
    peer.write(offer('GET /hello'))
    await answers(peer, i)
  }
  assert.deepEqual(listeners(), before)
  peer.write(handshake('/'))
  await until(() => app.sockets.size === 1)
  await until(() => peer.body.endsWith('open'))
})

test('the offer is gone from the headers, and nothing else', async (t) => {
  const peer = await rawTcp(t, await serve(t))
  peer.write(offer('GET /headers', { Connection: 'keep-alive, Upgrade, HTTP2-Settings', 'X-Other': 'ü' }))
  const body = (await answers(peer, 1)).slice(4)
  assert.deepEqual(JSON.parse(body), { host: 'localhost', connection: 'keep-alive', 'x-other': 'Ã¼' })
})

test('a WebSocket route that is offered h2c answers as to any HTTP request', async (t) => {
  const app = await serve(t)
  const peer = await rawTcp(t, app)
  peer.write(offer('GET /'))
  assert.equal((await peer.answer).status, 404)
  assert.deepEqual([app.sockets.stats().opened, app.sockets.stats().refused], [0, {}])
})

test('a request with an offer is answered over TLS', async (t) => {
  const peer = await rawTcp(t, await serve(t, { fastify: { https: makeCertificate() } }))
  peer.write(offer('POST /echo', {}, 'secret'))
  assert.match(await answers(peer, 1), /^200 <secret>$/)
})

test("a request with an offer is answered by every server that Fastify opens for 'localhost'", async (t) => {
  const app = await serve(t, { listen: { host: 'localhost' } })
  for (const { address } of app.addresses() as AddressInfo[]) {
    const peer = await rawTcp(t, app, address)
    peer.write(offer('POST /echo', {}, 'body'))
    assert.match(await answers(peer, 1), /^200 <body>$/)
    peer.destroy()
  }
})

test('a request with an offer is answered in a drain, and does not hold it', async (t) => {
  const app = await serve(t)
  await app.sockets.drain()
  const peer = await rawTcp(t, app)
  peer.write(offer('GET /hello'))
  assert.equal((await peer.answer).headers.get('connection'), 'close')
  await peer.ended
  assert.deepEqual(app.sockets.stats().refused, {})
})

test('an offer that another listener wants is its own, and all others are answered', async (t) => {
  const app = await serve(t)
  app.server.on('upgrade', (request, raw: Duplex) => {
    if (request.headers.upgrade === 'echo') raw.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n')
  })
  const theirs = await rawTcp(t, app)
  theirs.write(offer('GET /hello', { Upgrade: 'echo', Connection: 'Upgrade' }))
  assert.equal((await theirs.answer).headers.get('upgrade'), 'echo')
  await theirs.ended
  const ours = await rawTcp(t, app)
  ours.write(offer('GET /hello'))
  assert.match(await answers(ours, 1), /^200 hello$/)
})

test('a server that is asked by Node answers offers with a body itself, as long as no other listener may want them', () => {
  const ask = (request: Record<string, string>) => server.shouldUpgradeCallback({ headers: request })
  const ours = () => {}
  const listeners: Array<() => void> = [ours]
  const server = { listeners: () => listeners, shouldUpgradeCallback: (_request: unknown) => listeners.length > 0 }
  for (let i = 0; i < 2; i++) declineOffers(server as never as Server, server as never as Server, new WeakSet([ours]))
  assert.deepEqual([ask({ upgrade: 'WebSocket' }), ask({ upgrade: 'h2c' }), ask({ upgrade: 'h2c', 'content-length': '0' })], [true, true, true])
  const withBody = [{ upgrade: 'h2c', 'content-length': '1' }, { upgrade: 'h2c', 'transfer-encoding': 'chunked' }] as const
  assert.deepEqual(withBody.map(ask), [false, false])
  listeners.push(() => {})
  assert.deepEqual(withBody.map(ask), [true, true])
  listeners.length = 0
  assert.equal(ask({ upgrade: 'websocket' }), false)
})

// ——— listeners that come late

for (const how of ['a ws server', 'a plain listener'] as const) {
  test(`${how} that is attached after the server listens comes first, from its first handshake on`, async (t) => {
    const app = await serve(t)
    if (how === 'a ws server') {
      new WebSocketServer({ server: app.server, path: '/own' }).on('connection', (socket) => { socket.send('theirs') })
    } else {
      const own = new WebSocketServer({ noServer: true })
      app.server.on('upgrade', (request, raw: Duplex, head: Buffer) => {
        if (request.url === '/own') own.handleUpgrade(request, raw, head, (socket) => { socket.send('theirs') })
      })
    }
    for (let i = 0; i < 2; i++) {
      const client = await connect(t, app, '/own')
      assert.equal(await client.next(), 'theirs')
      client.socket.terminate()
    }
    if (how === 'a plain listener') assert.equal(await (await connect(t, app, '/')).next(), 'open')
    assert.equal(logged(app, /websocket upgrade failed/).length, 0)
  })
}
