/**
 * A `verifyClient` or `handleProtocols` that throws, rejects, hangs or answers twice: on the way to a handler, and on the way
 * to a close frame that refuses, it ends neither the process nor holds a handshake.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import type { ServerOptions, WebSocketServer } from 'ws'
import type { LifecycleOptions } from '../../lib/index.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import { plain } from '../helpers/routes.ts'
import { connect, logged, Opcode, rawHandshake, start, timersOfOurs, until, within } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'

type Answer = (yes: boolean, code?: number) => void
type Options = NonNullable<LifecycleOptions['options']>

const verify = (verifyClient: (answer: Answer) => unknown): Options => ({ verifyClient: ((_info: unknown, answer: Answer) => verifyClient(answer)) as never })
const fail = (): never => { throw new Error('verifyClient') }
const soon = () => new Promise<void>((resolve) => { setImmediate(resolve) })

/** What the code of the application does, and the status that the client gets: 101 where it opens. */
const FAULTS: Record<string, { options: Options, status: number, silent?: true }> = {
  'a verifyClient that throws': { options: verify(fail), status: 500 },
  'a verifyClient without callback that throws': { options: { verifyClient: (_info: unknown) => fail() }, status: 500 },
  'a verifyClient that rejects': { options: verify(async () => { await soon(); fail() }), status: 500 },
  'a verifyClient that throws once it has said no': { options: verify((answer) => { answer(false); fail() }), status: 401 },
  'a verifyClient that says yes, then throws': { options: verify((answer) => { answer(true); fail() }), status: 101 },
  'a verifyClient without callback that rejects': { options: { verifyClient: (async () => { await soon(); fail() }) as never }, status: 101 },
  'a verifyClient that says yes twice': { options: verify((answer) => { answer(true); answer(true) }), status: 101, silent: true },
  'a verifyClient that says yes, then no': { options: verify((answer) => { answer(true); setImmediate(answer, false, 403) }), status: 101, silent: true },
  'a verifyClient that says no, then yes': { options: verify((answer) => { answer(false, 403); setImmediate(answer, true) }), status: 403, silent: true },
  'a verifyClient that says no later': { options: verify((answer) => { setImmediate(answer, false, 403) }), status: 403, silent: true },
  'a verifyClient that never answers': { options: verify(() => {}), status: 503, silent: true },
  'a handleProtocols that throws': { options: { handleProtocols: fail }, status: 500 },
  'a handleProtocols that throws after verifyClient has waited': { options: { ...verify((answer) => { setImmediate(answer, true) }), handleProtocols: fail }, status: 500 }
}

const HEADERS = { 'Sec-WebSocket-Protocol': 'a' }
/** Long enough for a healthy handshake, and short for a test. */
const LIMITS = { handshakes: { timeout: 300 } }

/** Options whose faults begin once the first client is there. */
function later (app: TestApp, options: Options): void {
  Object.assign(app.websocketServer.options, options)
}

async function settled (app: TestApp, peer: RawClient, { silent }: { silent?: true }): Promise<void> {
  peer.destroy()
  await within(10_000, app.close(), 'app.close() did not settle')
  assert.equal(logged(app, /^a handshake failed/).length, silent ? 0 : 1)
}

for (const [what, fault] of Object.entries(FAULTS)) {
  test(`${what}: the client gets ${fault.status}, and the server closes`, async (t) => {
    const app = await start(t, { limits: LIMITS, options: fault.options }, (app) => {
      app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    })
    const peer = await rawHandshake(t, app, '/', HEADERS)
    assert.equal((await peer.answer).status, fault.status)
    if (fault.status === 101) {
      await soon()
      await soon()
      peer.send(Opcode.Text, 'still there')
      assert.equal((await peer.frame()).payload.toString(), 'still there')
    } else {
      await peer.ended
    }
    await settled(app, peer, fault)
  })

  test(`${what}, where it would be refused by a close frame: the client gets ${fault.status}, and the server closes`, async (t) => {
    const app = await start(t, { refusal: 'close', limits: { ...LIMITS, total: { max: 1 } } }, plain)
    await connect(t, app, '/')
    later(app, fault.options)
    const peer = await rawHandshake(t, app, '/', HEADERS)
    assert.equal((await peer.answer).status, fault.status)
    if (fault.status === 101) assert.equal((await peer.closeFrame()).code, 1013)
    else await peer.ended
    // However it ends, it was refused once.
    assert.deepEqual(app.sockets.stats().refused, { total: 1 })
    await settled(app, peer, fault)
  })
}

test('a verifyClient that never answers, where it would be refused by a close frame, is ended with the drain', async (t) => {
  const app = await start(t, { refusal: 'close', limits: { handshakes: { timeout: false }, total: { max: 1 } } }, plain)
  await connect(t, app, '/')
  let asked = false
  later(app, verify(() => { asked = true }))
  const peer = await rawHandshake(t, app, '/')
  await until(() => asked)
  await within(10_000, app.close(), 'app.close() did not settle')
  assert.equal((await peer.answer).status, 503)
})

// ——— servers that were adopted

/** An app with a `ws` server of its own on another HTTP server, given to `adopt()`. */
async function adopting (t: TestContext, verifyClient: (answer: Answer) => unknown) {
  const app = await start(t, { limits: LIMITS })
  const { server, url } = await startForeign(t, verify(verifyClient) as ServerOptions)
  app.sockets.adopt(server)
  const client = new WebSocket(url)
  return { app, server, client, error: once(client, 'error') as Promise<[Error]> }
}

test('a verifyClient of an adopted server that throws gets its client 500', async (t) => {
  const { app, error } = await adopting(t, fail)
  assert.match((await error)[0].message, /500/)
  assert.equal(logged(app, /^a handshake failed/).length, 1)
})

test('a verifyClient of an adopted server has the time of a handshake', async (t) => {
  const { app, error } = await adopting(t, () => {})
  assert.match((await error)[0].message, /503/)
  assert.deepEqual(app.sockets.stats().refused, { 'handshake timeout': 1 })
})

/** A client of an adopted server without an HTTP server, whose 'upgrade' listener is the application's; with what that throws. */
async function upgrading (t: TestContext, upgrade: (server: WebSocketServer, ...event: [IncomingMessage, Duplex, Buffer]) => void) {
  const app = await start(t, { limits: LIMITS })
  const { server, http, url } = await startForeign(t, { noServer: true })
  app.sockets.adopt(server)
  let caught: unknown
  http.on('upgrade', (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    try { upgrade(server, request, raw, head) } catch (error) { caught = error }
  })
  const client = new WebSocket(url)
  await once(client, 'open')
  return { app, client, caught: caught as Error }
}

test('what a callback of handleUpgrade throws once the socket is open reaches the caller', async (t) => {
  const { app, caught } = await upgrading(t, (server, request, raw, head) => { server.handleUpgrade(request, raw, head, () => fail()) })
  assert.equal(caught.message, 'verifyClient')
  assert.equal(app.sockets.size, 1)
})

test('a second handleUpgrade for an open socket throws, as in ws, and leaves the socket alone', async (t) => {
  const { app, client, caught } = await upgrading(t, (server, request, raw, head) => {
    server.handleUpgrade(request, raw, head, (socket) => { socket.on('message', (data) => { socket.send(data) }) })
    server.handleUpgrade(request, raw, head, () => {})
  })
  assert.match(caught.message, /called more than once with the same socket/)
  client.send('still there')
  const [data] = await once(client, 'message') as [Buffer]
  assert.equal(String(data), 'still there')
  assert.equal(app.sockets.size, 1)
  assert.equal(logged(app, /^a handshake failed/).length, 0)
})

test('a handshake whose client has left before handleUpgrade is called is not waited for', async (t) => {
  const app = await start(t, { limits: LIMITS })
  const { server, http, url } = await startForeign(t, { noServer: true })
  app.sockets.adopt(server)
  const client = new WebSocket(url)
  client.on('error', () => {})
  const [request, raw, head] = await once(http, 'upgrade') as [IncomingMessage, Duplex, Buffer]
  raw.destroy()
  await once(raw, 'close')
  server.handleUpgrade(request, raw, head, () => fail())
  assert.deepEqual(timersOfOurs(), [])
  assert.deepEqual(app.sockets.stats().refused, {})
})

test('a verifyClient is guarded once, however many handshakes there are', async (t) => {
  const app = await start(t, { options: verify((answer) => { answer(true) }) }, plain)
  await connect(t, app, '/')
  const { verifyClient } = app.websocketServer.options
  for (let i = 0; i < 3; i++) await connect(t, app, '/')
  assert.equal(app.websocketServer.options.verifyClient, verifyClient)
})
