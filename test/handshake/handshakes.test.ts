import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import net from 'node:net'
import test from 'node:test'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { WebSocket, WebSocketServer } from 'ws'
import { rawSocketOf } from '../../lib/base/internals.ts'
import type { ManagedTracker } from '../../lib/track/managed-tracker.ts'
import { connectBusy } from '../helpers/busy.ts'
import { tcpEnded } from '../helpers/ends.ts'
import { answerAndWait, assertRefused, gate } from '../helpers/gate.ts'
import { nextEvent, turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, handshake, maskedFrame, Opcode, portOf, rawHandshake, rawTcp, start, until } from '../helpers/server.ts'

test('a handshake during a drain is answered 503 with Retry-After, its TCP connection is closed, and no hook runs', async (t) => {
  let hooks = 0
  const app = await start(t, {}, plain, { before: (app) => { app.addHook('onRequest', async () => { hooks++ }) } })
  const { finish } = await connectBusy(t, app)
  const drained = app.sockets.drain()
  await nextEvent(app, 'progress')
  hooks = 0
  const refused = nextEvent(app, 'refused')
  const raw = await rawHandshake(t, app, '/?token=secret')
  await assertRefused(raw)
  assert.deepEqual((await refused)[0], { reason: 'draining', path: '/', ip: '127.0.0.1' })
  assert.equal(hooks, 0)
  finish()
  const report = await drained
  assert.equal(report.refused, 1)
  assert.equal(report.connections.total, 1)
  assert.deepEqual(app.sockets.stats().refused, { draining: 1 })
})

test('Retry-After follows drain.reconnect.minDelay, in whole seconds', async (t) => {
  const app = await start(t, { drain: { reconnect: { minDelay: 2_001 } } }, plain)
  await app.sockets.drain()
  const raw = await rawHandshake(t, app, '/')
  assert.equal((await raw.answer).headers.get('retry-after'), '3')
  await tcpEnded(raw)
})

test('after a bare drain() handshakes are still turned away', async (t) => {
  const app = await start(t, {}, plain)
  await app.sockets.drain()
  await assertRefused(await rawHandshake(t, app, '/'))
  await assertRefused(await rawHandshake(t, app, '/nowhere'))
  assert.deepEqual(app.sockets.stats().refused, { draining: 2 })
})

test('an async hook that lets go after the door was closed: 503, and the handler never runs', async (t) => {
  const hook = gate()
  let handled = 0
  const app = await start(t, {}, (app) => {
    plain(app)
    app.get('/slow', { websocket: true, preHandler: hook.wait }, () => { handled++ })
  })
  const { finish } = await connectBusy(t, app)
  const raw = await rawHandshake(t, app, '/slow')
  await hook.arrived
  const drained = app.sockets.drain()
  await nextEvent(app, 'progress')
  hook.open()
  await assertRefused(raw)
  finish()
  assert.equal((await drained).refused, 1)
  assert.equal(handled, 0)
})

test('an async hook that lets go while the drain settles is let in, and drained with the others', async (t) => {
  const hook = gate()
  const app = await start(t, { drain: { settleDelay: 200 } }, (app) => {
    app.get('/slow', { websocket: true, preHandler: hook.wait }, () => {})
  })
  const raw = await rawHandshake(t, app, '/slow')
  await hook.arrived
  const drained = app.sockets.drain()
  hook.open()
  assert.equal((await raw.answer).status, 101)
  const { code } = await raw.closeFrame()
  assert.equal(code, 1012)
  raw.sendClose(code)
  raw.end()
  const report = await drained
  assert.equal(report.refused, 0)
  assert.equal(report.connections.clean, 1)
})

for (const how of ['drain', 'close'] as const) {
  test(`a hook that never answers is ended with 503 when the drain is over: ${how}()`, async (t) => {
    const hook = gate()
    const app = await start(t, {}, (app) => {
      app.get('/hang', { websocket: true, preHandler: hook.wait }, () => {})
    })
    const raw = await rawHandshake(t, app, '/hang')
    await hook.arrived
    const over = how === 'drain' ? app.sockets.drain() : app.close()
    await assertRefused(raw)
    await over
    assert.deepEqual(app.sockets.stats().refused, { draining: 1 })
    // The hook ends at last; the client has gone.
    hook.open()
    await turn()
    assert.deepEqual(app.sockets.stats().refused, { draining: 1 })
  })
}

test('a hook that has answered on the raw socket and left it open is cut off without a second answer', async (t) => {
  const hook = gate()
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, preHandler: answerAndWait(hook) }, () => {})
  })
  const raw = await rawHandshake(t, app, '/')
  await hook.arrived
  assert.equal((await raw.answer).status, 418)
  await app.sockets.drain()
  await tcpEnded(raw)
  assert.equal(raw.body, '')
  assert.deepEqual(app.sockets.stats().refused, {})
  hook.open()
})

test('a handshake that a hook has answered is over when the app has closed', async (t) => {
  const hook = gate()
  const app = await start(t, { limits: { total: { max: 5 } } }, (app) => {
    app.get('/', { websocket: true, preHandler: answerAndWait(hook) }, () => {})
  })
  const raw = await rawHandshake(t, app, '/')
  await hook.arrived
  assert.equal((await raw.answer).status, 418)
  await app.close()
  assert.equal((app.sockets as ManagedTracker).leftovers, 0)
  hook.open()
})

for (const [what, hook, status] of [
  ['rejects', async () => { throw Object.assign(new Error('no'), { statusCode: 401 }) }, 401],
  ['replies', async (_request: FastifyRequest, reply: FastifyReply) => reply.code(403).send('no'), 403]
] as const) {
  for (const where of ['before the plugin', 'in the route'] as const) {
    test(`a hook ${where} that ${what} answers ${status}, and the TCP connection is closed`, async (t) => {
      const app = await start(t, {}, (app) => {
        app.get('/', { websocket: true, ...(where === 'in the route' ? { onRequest: hook as never } : {}) }, () => {})
      }, { before: (app) => { if (where === 'before the plugin') app.addHook('onRequest', hook as never) } })
      const raw = await rawHandshake(t, app, '/')
      assert.equal((await raw.answer).status, status)
      raw.end()
      await tcpEnded(raw)
      assert.equal(app.sockets.size, 0)
    })
  }
}

test('a client that goes away while its handshake is in a hook leaves nothing, and is not counted', async (t) => {
  const hook = gate()
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, preHandler: hook.wait }, () => {})
  })
  const connected = once(app.server, 'connection') as Promise<[net.Socket]>
  const raw = await rawHandshake(t, app, '/')
  const [accepted] = await connected
  await hook.arrived
  const gone = new Promise((resolve) => { accepted.once('close', resolve) })
  raw.reset()
  await gone
  const report = await app.sockets.drain()
  assert.equal(report.refused, 0)
  hook.open()
  await turn()
  assert.equal(app.sockets.size, 0)
  assert.equal(app.sockets.stats().opened, 0)
})

test('a client that resets while it is being refused breaks nothing', async (t) => {
  const app = await start(t, {}, plain)
  await app.sockets.drain()
  const raw = await rawTcp(t, app)
  const refused = nextEvent(app, 'refused')
  app.sockets.on('refused', () => { raw.reset() })
  raw.write(handshake('/'))
  await refused
  await tcpEnded(raw)
})

test('handshakes that are no handshakes are answered 400 and closed, and nothing is kept', async (t) => {
  const app = await start(t, {}, plain)
  const wrong: Array<Record<string, string>> = [{ 'Sec-WebSocket-Key': 'short' }, { 'Sec-WebSocket-Version': '12' }]
  for (const headers of wrong) {
    const raw = await rawHandshake(t, app, '/', headers)
    assert.equal((await raw.answer).status, 400)
    raw.end()
    await tcpEnded(raw)
  }
  assert.equal(app.sockets.stats().opened, 0)
})

test('a handshake that is no handshake, and that a close frame would refuse, leaves no deadline', async (t) => {
  const app = await start(t, { refusal: 'close', limits: { perAddress: { max: 1 } } }, plain)
  await connect(t, app, '/')
  const { leftovers } = app.sockets as ManagedTracker
  const connected = once(app.server, 'connection') as Promise<[net.Socket]>
  const raw = await rawHandshake(t, app, '/', { 'Sec-WebSocket-Key': 'short' })
  const [accepted] = await connected
  const gone = new Promise((resolve) => { accepted.once('close', resolve) })
  assert.equal((await raw.answer).status, 400)
  raw.end()
  await gone
  assert.equal((app.sockets as ManagedTracker).leftovers, leftovers)
})

test('a handshake with data behind it loses none of it', async (t) => {
  const seen: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { seen.push(String(data)) }) })
  })
  const raw = await rawTcp(t, app)
  raw.write(Buffer.concat([Buffer.from(handshake('/')), maskedFrame(Opcode.Text, 'early')]))
  await until(() => seen.length === 1)
  assert.deepEqual(seen, ['early'])
  raw.destroy()
})

test('upgrades in every phase of a drain: let in while it settles, turned away from then on', async (t) => {
  const app = await start(t, { drain: { settleDelay: 100, timeout: 3_000 } }, plain)
  const { client, finish } = await connectBusy(t, app)
  client.socket.pause() // answers nothing, so that there is a phase of closing
  const drained = app.sockets.drain()
  const seen: Record<string, number> = {}
  const attempts: Array<Promise<unknown>> = []
  const attempt = (phase: string) => {
    const socket = net.connect(portOf(app), '127.0.0.1')
    socket.write(handshake('/'))
    attempts.push(once(socket, 'data').then(([data]) => {
      seen[phase] = Number(String(data).split(' ')[1])
      socket.destroy()
    }))
  }
  attempt('settle')
  app.sockets.on('progress', ({ phase }) => {
    if (seen[phase] !== undefined || phase === 'done') return
    seen[phase] = 0
    attempt(phase)
    if (phase === 'grace') finish()
  })
  await drained
  await Promise.all(attempts)
  assert.equal(seen.settle, 101)
  delete seen.settle
  assert.ok(Object.keys(seen).length >= 2, JSON.stringify(seen))
  assert.deepEqual([...new Set(Object.values(seen))], [503])
})

test("after the app has closed no 'upgrade' listener is left", async (t) => {
  const app = await start(t, {}, plain)
  assert.equal(app.server.listenerCount('upgrade'), 1)
  await app.close()
  assert.equal(app.server.listenerCount('upgrade'), 0)
})

test('a server given in `options.server` is the one that is watched', async (t) => {
  const other = createServer()
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => { other.close() })
  const app = await start(t, { options: { server: other } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  }, { listen: false })
  await app.ready()
  const url = `ws://127.0.0.1:${(other.address() as net.AddressInfo).port}/`
  const client = new WebSocket(url)
  await once(client, 'open')
  assert.equal(app.sockets.size, 1)
  const closed = once(client, 'close')
  await app.sockets.drain()
  assert.equal((await closed)[0], 1012)
  const late = new WebSocket(url)
  const [error] = await once(late, 'error') as [Error]
  assert.match(error.message, /503/)
})

test('a handshake that has waited, for a hook or for an earlier answer, leaves no listener on its socket', async (t) => {
  const app = await start(t, {}, (app) => {
    plain(app)
    app.get('/slow', (_request, reply) => { setImmediate(() => { void reply.send('slow') }) })
  }, {
    before: (app) => {
      app.addHook('onRequest', (request, _reply, done) => { if (request.url === '/?waits') setImmediate(done); else done() })
    }
  })
  await connect(t, app, '/')
  await connect(t, app, '/?waits')
  const pipelined = await rawTcp(t, app)
  pipelined.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n' + handshake('/'))
  await until(() => app.sockets.size === 3)
  const [direct, ...waited] = app.sockets.list().map(({ socket }) => rawSocketOf(socket))
  for (const raw of waited) {
    for (const event of raw.eventNames() as string[]) assert.equal(raw.listenerCount(event), direct!.listenerCount(event), event)
  }
})

test('a WebSocket opens on a socket whose bytes the application counts with a listener of its own', async (t) => {
  let bytes = 0
  const app = await start(t, {}, plain, {
    before: (app) => { app.server.on('connection', (socket) => { socket.on('data', (chunk: Buffer) => { bytes += chunk.length }) }) }
  })
  const client = await connect(t, app, '/')
  assert.equal(client.socket.readyState, WebSocket.OPEN)
  assert.ok(bytes > 0)
})

test('a handshake that an adopted server lets wait for verifyClient is not handed to Fastify meanwhile', async (t) => {
  const app = await start(t, {}, plain)
  const lock = gate()
  const server = new WebSocketServer({ noServer: true, verifyClient: (_info: unknown, admit: (ok: boolean) => void) => { void lock.wait().then(() => { admit(true) }) } })
  app.sockets.adopt(server)
  app.server.prependListener('upgrade', (request, socket, head) => {
    if (request.url === '/adopted') server.handleUpgrade(request, socket, head, (webSocket) => { server.emit('connection', webSocket, request) })
  })
  const raw = await rawHandshake(t, app, '/adopted')
  await lock.arrived
  await turn()
  lock.open()
  assert.equal((await raw.answer).status, 101)
})
