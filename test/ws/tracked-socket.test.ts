import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { createWebSocketStream, WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import { ended } from '../helpers/ends.ts'
import { nextClosed, nextEvent, turn } from '../helpers/records.ts'
import { echo, plain } from '../helpers/routes.ts'
import { connect, logged, maskedFrame, Opcode, rawConnect, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** The ws socket on the server's side. */
function serverSocket (app: TestApp): WebSocket {
  const [connection] = app.sockets.list()
  assert.ok(connection)
  return connection.socket
}

test("a tracked socket is an instance of the server's own WebSocket class and looks like one", async (t) => {
  const classes: unknown[] = []
  const app = await start(t, {}, echo, {
    before: (app) => { app.addHook('onReady', async () => { classes.push(app.websocketServer.options.WebSocket) }) }
  })
  await connect(t, app, '/')
  const socket = serverSocket(app)
  assert.ok(socket instanceof WebSocket)
  assert.ok(socket instanceof (classes[0] as typeof WebSocket))
  assert.equal(socket.constructor.name, 'WebSocket')
  assert.equal((socket.constructor as typeof WebSocket).OPEN, WebSocket.OPEN)
  assert.equal(socket.readyState, socket.OPEN)
  // Nothing of ours shows up where people look at a socket's own keys.
  assert.deepEqual(Object.keys(socket).filter((key) => !key.startsWith('_')), [])
})

test('there is no listener of ours on a socket', async (t) => {
  const app = await start(t, {}, plain)
  await connect(t, app, '/')
  const socket = serverSocket(app)
  // ws's own for `clients`, and the one @fastify/websocket adds.
  assert.deepEqual(socket.eventNames(), ['close', 'error'])
  assert.deepEqual([socket.listenerCount('close'), socket.listenerCount('error')], [1, 1])
})

test('removeAllListeners() does not blind the tracker', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.removeAllListeners()
      socket.on('message', () => { socket.removeAllListeners('message') })
    })
  })
  const client = await connect(t, app, '/')
  const [connection] = app.sockets.list()
  client.socket.send('one')
  client.socket.send('two')
  await until(() => connection!.messagesReceived === 2)
  const record = nextClosed(app)
  client.socket.close(4002, 'done')
  const { cause, code, messages } = await record
  assert.deepEqual({ cause, code, messages }, { cause: 'client', code: 4002, messages: 2 })
})

// ——— who ended it

const endings: Array<[string, (socket: WebSocket) => void, { cause: string, code: number, reason: string }, { code: number, reason: string }]> = [
  ['socket.close()', (socket) => { socket.close() }, { cause: 'application', code: 1005, reason: '' }, { code: 1005, reason: '' }],
  ['socket.close(4000, text)', (socket) => { socket.close(4000, 'done') }, { cause: 'application', code: 4000, reason: 'done' }, { code: 4000, reason: 'done' }],
  ['socket.close(4000, Buffer)', (socket) => { socket.close(4000, Buffer.from('done')) }, { cause: 'application', code: 4000, reason: 'done' }, { code: 4000, reason: 'done' }],
  ['socket.terminate()', (socket) => { socket.terminate() }, { cause: 'application', code: 1006, reason: '' }, { code: 1006, reason: '' }],
  ['the end of a stream over it', (socket) => { createWebSocketStream(socket).on('error', () => {}).end() }, { cause: 'application', code: 1005, reason: '' }, { code: 1005, reason: '' }],
  ['the destruction of a stream over it', (socket) => { createWebSocketStream(socket).on('error', () => {}).destroy() }, { cause: 'application', code: 1006, reason: '' }, { code: 1006, reason: '' }]
]

for (const [what, end, expected, seen] of endings) {
  test(`${what} by the application is seen at once, with its cause`, async (t) => {
    const states: string[] = []
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true }, (socket) => {
        const connection = app.sockets.of(socket)
        socket.on('message', () => {
          end(socket)
          process.nextTick(() => { states.push(connection.state) })
        })
      })
    })
    const client = await connect(t, app, '/')
    const record = nextClosed(app)
    client.socket.send('end it')
    assert.deepEqual(await ended(client), seen)
    const { cause, code, reason, messages } = await record
    assert.deepEqual({ cause, code, reason }, expected)
    assert.equal(messages, 1)
    assert.deepEqual(states, ['closing'])
  })
}

test('close() and terminate() are seen before they return', async (t) => {
  const states: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/close', { websocket: true }, (socket) => {
      socket.close(1000)
      states.push(app.sockets.of(socket).state)
    })
    app.get('/terminate', { websocket: true }, (socket) => {
      socket.terminate()
      states.push(app.sockets.of(socket).state)
    })
  })
  await ended(await connect(t, app, '/close'))
  await ended(await connect(t, app, '/terminate'))
  assert.deepEqual(states, ['closing', 'closing'])
})

test('close() with a code that must not be sent throws, and the connection stays open', async (t) => {
  const app = await start(t, {}, echo)
  const client = await connect(t, app, '/')
  const socket = serverSocket(app)
  assert.throws(() => { socket.close(1005) }, TypeError)
  assert.throws(() => { socket.close(1000, 'x'.repeat(124)) }, RangeError)
  assert.equal(app.sockets.of(socket).state, 'open')
  client.socket.send('still here')
  assert.equal(await client.next(), 'still here')
})

test('who closes twice changes nothing', async (t) => {
  const app = await start(t, {}, echo)
  const client = await connect(t, app, '/')
  const socket = serverSocket(app)
  const record = nextClosed(app)
  socket.close(4000, 'first')
  socket.close(4001, 'second')
  assert.deepEqual(await ended(client), { code: 4000, reason: 'first' })
  const { code, reason } = await record
  assert.deepEqual({ code, reason }, { code: 4000, reason: 'first' })
  socket.close(4002)
  socket.terminate()
})

const clientEndings: Array<[string, (socket: WebSocket) => void, { cause: string, code: number, reason: string, clean: boolean }]> = [
  ['a code and a reason', (socket) => { socket.close(4001, 'bye') }, { cause: 'client', code: 4001, reason: 'bye', clean: true }],
  ['no code', (socket) => { socket.close() }, { cause: 'client', code: 1005, reason: '', clean: true }],
  ['a reason that would forge a line of the log', (socket) => { socket.close(1000, 'a\nb\u202e') }, { cause: 'client', code: 1000, reason: 'a\\u000ab\\u202e', clean: true }],
  ['a reason that is too long to show', (socket) => { socket.close(1000, 'x'.repeat(100)) }, { cause: 'client', code: 1000, reason: `${'x'.repeat(64)}…`, clean: true }],
  ['nothing: it vanishes', (socket) => { socket.terminate() }, { cause: 'network', code: 1006, reason: '', clean: false }]
]

for (const [what, end, expected] of clientEndings) {
  test(`a client that closes with ${what}`, async (t) => {
    const app = await start(t, {}, echo)
    const client = await connect(t, app, '/')
    const record = nextClosed(app)
    end(client.socket)
    const { cause, code, reason, clean } = await record
    assert.deepEqual({ cause, code, reason, clean }, expected)
  })
}

test("a client that ends TCP in the middle of a frame has vanished, whatever ws says on 'close'", async (t) => {
  const app = await start(t, {}, echo)
  const raw = await rawConnect(t, app, '/')
  const record = nextClosed(app)
  raw.write(maskedFrame(Opcode.Text, 'cut off').subarray(0, 8))
  raw.end()
  const { cause, code, messages } = await record
  assert.deepEqual({ cause, code, messages }, { cause: 'network', code: 1006, messages: 0 })
})

test('a client that resets TCP has vanished', async (t) => {
  const app = await start(t, {}, echo)
  const raw = await rawConnect(t, app, '/')
  const record = nextClosed(app)
  raw.reset()
  const { cause, code, clean } = await record
  assert.deepEqual({ cause, code, clean }, { cause: 'network', code: 1006, clean: false })
})

test('a close frame that is still being inflated when TCP ends counts as the client’s', async (t) => {
  // A busy machine may take seconds to inflate it: no deadline decides here.
  const app = await start(t, { closeTimeout: 60_000, drain: { timeout: 90_000 }, options: { perMessageDeflate: { serverNoContextTakeover: true, clientNoContextTakeover: true } } }, (app) => {
    app.get('/', { websocket: true }, () => {})
  })
  const raw = await rawConnect(t, app, '/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
  const record = nextClosed(app)
  // Large enough that inflating it takes longer than TCP takes to end.
  const message = deflateRawSync(Buffer.alloc(8 << 20), { finishFlush: 2 }).subarray(0, -4)
  raw.write(Buffer.concat([maskedFrame(Opcode.Binary, message, { rsv: 4 }), maskedFrame(Opcode.Close, Buffer.from([15, 161]))]))
  raw.end()
  const { cause, code, messages } = await record
  assert.deepEqual({ cause, code, messages }, { cause: 'client', code: 4001, messages: 1 })
})

// ——— breaches of the protocol

const breaches: Array<[string, Buffer, number]> = [
  ['a reserved bit', maskedFrame(Opcode.Text, 'x', { rsv: 4 }), 1002],
  ['a reserved opcode', maskedFrame(3, 'x'), 1002],
  ['an unmasked frame', Buffer.from([129, 1, 120]), 1002],
  ['a continuation of nothing', maskedFrame(Opcode.Continuation, 'x'), 1002],
  ['a ping in fragments', maskedFrame(Opcode.Ping, '', { fin: false }), 1002],
  ['a close frame with one byte', maskedFrame(Opcode.Close, Buffer.from([3])), 1002],
  ['a close code that must not be sent', maskedFrame(Opcode.Close, Buffer.from([3, 237])), 1002],
  ['a message over maxPayload', maskedFrame(Opcode.Binary, Buffer.alloc(1025)), 1009],
  ['text that is not UTF-8', maskedFrame(Opcode.Text, Buffer.from([0xff, 0xfe])), 1007],
  ['a close reason that is not UTF-8', maskedFrame(Opcode.Close, Buffer.from([3, 232, 0xff])), 1007]
]

for (const [what, bytes, expected] of breaches) {
  test(`a peer that sends ${what} is told ${expected}, and the cause is the protocol`, async (t) => {
    const app = await start(t, { options: { maxPayload: 1024 } }, echo)
    const raw = await rawConnect(t, app, '/')
    const record = nextClosed(app)
    const closing = nextEvent(app, 'closing')
    raw.write(bytes)
    assert.deepEqual(await raw.closeFrame(), { code: expected, reason: '' })
    const [connection] = await closing
    assert.equal(connection.state, 'closing')
    raw.end()
    const { cause, code, clean } = await record
    assert.deepEqual({ cause, code, clean }, { cause: 'protocol', code: expected, clean: false })
    assert.equal(app.sockets.stats().faults, 0)
    assert.equal(logged(app, /a peer broke the WebSocket protocol/).length, 1)
  })
}

test('the log of a peer that keeps breaking the protocol is bounded', async (t) => {
  const app = await start(t, {}, echo)
  for (let i = 0; i < 8; i++) {
    const raw = await rawConnect(t, app, '/?token=secret')
    const record = nextClosed(app)
    raw.send(Opcode.Text, 'x', { rsv: 4 })
    await raw.closeFrame()
    raw.end()
    await record
  }
  const lines = logged(app, /a peer broke the WebSocket protocol/)
  assert.equal(lines.length, 5)
  assert.equal(lines[0]!.route, '/')
  assert.equal(lines[0]!.code, 'WS_ERR_UNEXPECTED_RSV_1')
  assert.equal(typeof lines[0]!.connection, 'number')
  await app.close()
  assert.deepEqual(logged(app, /more of the same were not logged/).map(({ suppressed }) => suppressed), [3])
  assert.equal(JSON.stringify(app.logs.filter(({ level }) => level > 30)).includes('secret'), false)
})

test('an application that answers a breach with a code of its own does not take the cause', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('error', () => { socket.close(4000, 'mine') })
    })
  })
  const raw = await rawConnect(t, app, '/')
  const record = nextClosed(app)
  raw.send(Opcode.Text, 'x', { rsv: 4 })
  assert.equal((await raw.closeFrame()).code, 1002)
  raw.end()
  const { cause, code } = await record
  assert.deepEqual({ cause, code }, { cause: 'protocol', code: 1002 })
})

// ——— around the close

for (const [what, close, seenAfter, dropped] of [
  ['our close frame are dropped and counted', (app: TestApp, socket: WebSocket) => { void app.sockets.of(socket).close(4000) }, [], 2],
  ['socket.close() of the application are still delivered, as ws does', (_app: TestApp, socket: WebSocket) => { socket.close(4000) }, ['two', 'three'], 0]
] as const) {
  test(`messages that arrive after ${what}`, async (t) => {
    const seen: string[] = []
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true }, (socket) => {
        socket.on('message', (data) => {
          seen.push(String(data))
          if (seen.length === 1) close(app, socket)
        })
      })
    })
    const raw = await rawConnect(t, app, '/')
    const closed = nextClosed(app)
    raw.send(Opcode.Text, 'one')
    await raw.closeFrame()
    raw.send(Opcode.Text, 'two')
    raw.send(Opcode.Text, 'three')
    raw.sendClose(4000)
    raw.end()
    const record = await closed
    assert.deepEqual(seen, ['one', ...seenAfter])
    assert.deepEqual([record.messages, record.dropped, record.clean], [1 + seenAfter.length, dropped, true])
  })
}

test('a paused socket still sees the answer to our close frame', async (t) => {
  const app = await start(t, { drain: { timeout: 20_000 } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.pause() })
  })
  const client = await connect(t, app, '/')
  client.socket.send('never read')
  const record = nextClosed(app)
  assert.equal(serverSocket(app).isPaused, true)
  void app.sockets.list()[0]!.close(4000)
  assert.equal((await ended(client)).code, 4000)
  const { clean, dropped, cause } = await record
  assert.deepEqual({ clean, dropped, cause }, { clean: true, dropped: 1, cause: 'application' })
})

test('a paused socket still sees the answer to a close frame of the application', async (t) => {
  const app = await start(t, { drain: { timeout: 20_000 } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.pause() })
  })
  const client = await connect(t, app, '/')
  const record = nextClosed(app)
  serverSocket(app).close(4000)
  assert.equal((await ended(client)).code, 4000)
  assert.equal((await record).clean, true)
})

for (const [how, close] of [
  ['close()', (app: TestApp) => { void app.sockets.list()[0]!.close(4000) }],
  ['its socket', (app: TestApp) => { serverSocket(app).close(4000) }]
] as const) {
  test(`a socket that the application pauses after its close frame, by ${how}, sees the answer`, async (t) => {
    const app = await start(t, { closeTimeout: 20_000, drain: { timeout: 60_000 } }, plain)
    const client = await connect(t, app, '/')
    const record = nextClosed(app)
    const socket = serverSocket(app)
    close(app)
    socket.pause()
    assert.equal(socket.isPaused, false)
    assert.equal((await ended(client)).code, 4000)
    assert.equal((await record).clean, true)
  })
}

test('a stream whose socket is closing still has it paused, so that it need not hold what comes', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      createWebSocketStream(socket).on('error', () => {})
      socket.close(4000)
    })
  })
  const client = await rawConnect(t, app, '/')
  const socket = serverSocket(app)
  // More than a stream takes: 16 KiB, from Node 22 on 64.
  client.send(Opcode.Binary, Buffer.alloc(100_000))
  await until(() => socket.isPaused)
  client.end()
})

test('a paused socket whose client closed is found by a drain', async (t) => {
  const app = await start(t, { drain: { timeout: 20_000 } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.pause() })
  })
  const client = await connect(t, app, '/')
  client.socket.close(4001, 'bye')
  const report = await app.sockets.drain()
  assert.equal(report.connections.total, 1)
  assert.equal(report.connections.clean, 1)
})

test('a socket that ends itself while it is paused leaves nothing', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.pause(); socket.terminate() })
  })
  assert.equal((await ended(await connect(t, app, '/'))).code, 1006)
  await until(() => app.sockets.size === 0)
})

// ——— extensions, kinds of data, transports

test('permessage-deflate works, and a drain lets go what was sent before it', async (t) => {
  const app = await start(t, {
    options: { perMessageDeflate: { threshold: 0 } },
    onDrain: (connection) => { connection.socket.send('z'.repeat(100_000)) }
  }, echo)
  const client = await connect(t, app, '/', { perMessageDeflate: true })
  assert.equal(client.socket.extensions, 'permessage-deflate')
  client.socket.send('x'.repeat(50_000))
  assert.equal(await client.next(), 'x'.repeat(50_000))
  const record = nextClosed(app)
  await app.sockets.drain()
  assert.equal(await client.next(), 'z'.repeat(100_000))
  assert.equal((await ended(client)).code, 1012)
  const { clean, bytesSent, bytesReceived } = await record
  assert.equal(clean, true)
  // What went over the wire, not what was said.
  assert.ok(bytesSent < 10_000, `${bytesSent}`)
  assert.ok(bytesReceived < 10_000, `${bytesReceived}`)
})

test('a connection that is inflating when its peer vanishes still ends, once', async (t) => {
  const app = await start(t, { options: { perMessageDeflate: true } }, plain)
  let closed = 0
  app.sockets.on('closed', () => { closed++ })
  const raw = await rawConnect(t, app, '/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
  const message = deflateRawSync(randomBytes(4 << 20), { finishFlush: 2 }).subarray(0, -4)
  raw.write(maskedFrame(Opcode.Binary, message, { rsv: 4 }))
  raw.end()
  await until(() => app.sockets.size === 0)
  await turn()
  assert.equal(closed, 1)
})

for (const binaryType of ['nodebuffer', 'arraybuffer', 'fragments'] as const) {
  test(`messages() gives text as string and binary as Buffer, also where binaryType is ${binaryType}`, async (t) => {
    const seen: unknown[] = []
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true }, async (socket) => {
        socket.binaryType = binaryType
        for await (const message of app.sockets.of(socket).messages()) seen.push(message)
        seen.push('end')
      })
    })
    const raw = await rawConnect(t, app, '/')
    raw.send(Opcode.Binary, Buffer.from('ab'), { fin: false })
    raw.send(Opcode.Continuation, Buffer.from('cd'))
    raw.send(Opcode.Text, 'text')
    await until(() => seen.length === 2)
    assert.deepEqual(seen, [Buffer.from('abcd'), 'text'])
    // A drain ends it although nothing more arrives.
    const draining = app.sockets.drain()
    await until(() => seen.length === 3)
    await raw.closeFrame()
    raw.sendClose(1012)
    raw.end()
    await draining
  })
}

test("messages() holds a fast client back, also where binaryType is 'arraybuffer'", async (t) => {
  const { promise: gate, resolve: go } = deferred<void>()
  let read = 0
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      socket.binaryType = 'arraybuffer'
      for await (const message of app.sockets.of(socket).messages({ highWaterMark: 1000 })) {
        read += (message as Buffer).length
        await gate
      }
    })
  })
  const client = await connect(t, app, '/')
  for (let i = 0; i < 4; i++) client.socket.send(Buffer.alloc(1000))
  await until(() => serverSocket(app).isPaused)
  go()
  await until(() => read === 4000)
  assert.equal(serverSocket(app).isPaused, false)
})

test('bytes, messages and duration of a connection are in its record', async (t) => {
  const app = await start(t, {}, echo)
  const client = await connect(t, app, '/')
  const record = nextClosed(app)
  for (let i = 0; i < 3; i++) {
    client.socket.send('x'.repeat(1000))
    await client.next()
  }
  client.socket.close(1000)
  const { bytesReceived, bytesSent, messages, duration, openedAt, route, dropped } = await record
  // Frames with their heads, and the handshake.
  assert.ok(bytesReceived > 3_000 && bytesReceived < 4_000, `${bytesReceived}`)
  assert.ok(bytesSent > 3_000 && bytesSent < 4_000, `${bytesSent}`)
  assert.deepEqual({ messages, route, dropped }, { messages: 3, route: '/', dropped: 0 })
  assert.ok(duration >= 0 && Number.isFinite(duration))
  assert.ok(Math.abs(Date.now() - openedAt) < 60_000)
})

test('injectWS: a stream without a kernel socket is tracked, and gone at once when closed', async (t) => {
  // Nothing here keeps the process alive: there is no handle below.
  const alive = setInterval(() => {}, 1_000)
  t.after(() => { clearInterval(alive) })
  const app = await start(t, {}, echo, { listen: false })
  await app.ready()
  const client = await app.injectWS('/', { headers: {} })
  const [connection] = app.sockets.list()
  assert.ok(connection)
  assert.equal(connection.ip, '')
  client.send('hi')
  const [data] = await once(client, 'message') as [Buffer]
  assert.equal(String(data), 'hi')
  const seen = once(client, 'close')
  const record = await connection.close(4000, 'bye')
  assert.deepEqual({ cause: record.cause, code: record.code, bytesReceived: record.bytesReceived, bytesSent: record.bytesSent },
    { cause: 'application', code: 4000, bytesReceived: 0, bytesSent: 0 })
  const [code] = await seen as [number]
  assert.equal(code, 4000)
})

for (const [ours, theirs, close] of [
  [3003, 4000, (app: TestApp) => { app.sockets.disconnect('all') }],
  [1000, 1000, (app: TestApp) => { serverSocket(app).close(1000) }]
] as const) {
  test(`where our close frame, ${ours}, crosses the client's, ${theirs}, the client still gets all that was sent before, and the frame`, async (t) => {
    const app = await start(t, { drain: { timeout: 10_000 }, closeTimeout: 5_000 }, echo)
    const raw = await rawConnect(t, app, '/')
    raw.pause()
    const message = randomBytes(100_000)
    // As much as the kernels take, so that nothing waits on our side.
    for (let i = 0; i < 20; i++) serverSocket(app).send(message)
    const socket = serverSocket(app)
    await until(() => socket.bufferedAmount === 0, 'the kernels to take it all')
    close(app)
    raw.sendClose(theirs)
    // By now the server has read it.
    await new Promise((resolve) => { setTimeout(resolve, 50) })
    // RFC 6455 lets it answer a ping, say, until it has read our frame: a socket that is gone would be reset.
    raw.write(maskedFrame(Opcode.Pong, ''))
    await new Promise((resolve) => { setTimeout(resolve, 100) })
    raw.resume()
    for (let i = 0; i < 20; i++) assert.equal((await raw.frame()).payload.length, 100_000)
    assert.equal((await raw.closeFrame()).code, ours)
    raw.end()
  })
}
