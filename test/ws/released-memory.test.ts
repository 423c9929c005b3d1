/**
 * What an open connection releases, what it keeps because it was asked for, and that both look the same from the outside.
 */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { connect as connectTo } from '../../lib/testing/connect.ts'
import { pack } from '../../lib/ws/released-memory.ts'
import { rawSocketOf } from '../../lib/base/internals.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { sendJob } from '../helpers/busy.ts'
import { nextClosed, turn } from '../helpers/records.ts'
import { connect, logged, Opcode, rawConnect, start, until } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What a handshake has made, without keeping it. */
type Made = Record<'request' | 'reply' | 'response', WeakRef<object>>

/** What each handshake of the routes that follow has made. */
function watch (app: FastifyInstance): Made[] {
  const made: Made[] = []
  app.addHook('onRequest', (request, reply, done) => {
    made.push({ request: new WeakRef(request), reply: new WeakRef(reply), response: new WeakRef(reply.raw) })
    done()
  })
  return made
}

/** Names of those that garbage collections leave; ends at once when there are none. */
async function left (made: Made[]): Promise<string[]> {
  let names: string[] = []
  for (let i = 0; i < 5; i++) {
    await turn()
    collect()
    names = made.flatMap((refs) => Object.entries(refs).filter(([, ref]) => ref.deref() !== undefined).map(([name]) => name))
    if (names.length === 0) break
  }
  return names
}

/** The ws socket on the server's side. */
function serverSocket (app: TestApp): WebSocket {
  const [connection] = app.sockets.list()
  assert.ok(connection, 'no connection is open')
  return connection.socket
}

/** Breaks the protocol, and is gone when it was told. */
async function breach (raw: RawClient): Promise<void> {
  raw.send(Opcode.Text, 'x', { rsv: 4 })
  assert.equal((await raw.closeFrame()).code, 1002)
  raw.end()
}

/** What pack() may replace. */
function parts (socket: object): Record<'events' | 'extensions' | 'sender' | 'receiver', unknown> {
  const { _events: events, _extensions: extensions, _sender, _receiver } = socket as Record<string, { _extensions: unknown } | undefined>
  return { events, extensions, sender: _sender?._extensions, receiver: _receiver?._extensions }
}

const never = () => new Promise<void>(() => {})

// ——— what an open connection lets go of

for (const [what, handler] of [
  ['a sync handler with the request as a parameter', (_socket: WebSocket, _request: FastifyRequest) => {}],
  ['an async handler without it', async (_socket: WebSocket) => { await never() }],
  ['an async handler that is over', async (_socket: WebSocket, _request: FastifyRequest) => { await turn() }],
  ['a handler that listens', (socket: WebSocket, request: FastifyRequest) => {
    const { id } = request
    socket.on('message', (data) => { socket.send(`${id}: ${String(data)}`) })
    socket.on('error', () => {})
  }]
] as const) {
  test(`request, reply and response of an open connection are collected: ${what}`, async (t) => {
    let made: Made[] = []
    const app = await start(t, {}, (app) => {
      made = watch(app)
      app.get('/', { websocket: true }, handler)
    })
    const clients = [await connect(t, app, '/'), await connect(t, app, '/')]
    assert.deepEqual(await left(made), [])
    assert.deepEqual([made.length, app.sockets.size], [2, 2])
    for (const client of clients) assert.equal((await client.close(4001)).code, 4001)
  })
}

test('the address of a peer is kept once, and told all the same', async (t) => {
  const seen: unknown[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (_socket, { ip, socket: { remoteAddress } }) => { seen.push([ip, remoteAddress]) })
    app.get('/quiet', { websocket: true }, () => {})
  }, { fastify: { logger: false } })
  await connect(t, app, '/quiet')
  const raw = rawSocketOf(serverSocket(app)) as Socket & { _peername?: object | null }
  assert.equal(raw._peername, null)
  assert.equal(raw.remoteAddress, '127.0.0.1')
  await connect(t, app, '/')
  assert.deepEqual(seen, [['127.0.0.1', '127.0.0.1']])
})

// ——— what it keeps

test('an address that was asked for is there when the peer is gone', async (t) => {
  const app = await start(t, {}, (app) => {
    // As the logger does it.
    app.addHook('onRequest', ({ ip }, _reply, done) => { done(ip === '127.0.0.1' ? undefined : new Error(ip)) })
    app.get('/', { websocket: true }, () => {})
  }, { fastify: { logger: false } })
  const client = await connect(t, app, '/')
  const raw = rawSocketOf(serverSocket(app))
  const closed = nextClosed(app)
  client.socket.terminate()
  await closed
  assert.deepEqual([raw.destroyed, raw.remoteAddress], [true, '127.0.0.1'])
})

test('keepRequest keeps the request', async (t) => {
  let made: Made[] = []
  const app = await start(t, {}, (app) => {
    made = watch(app)
    app.get('/:room', { websocket: true, config: { sockets: { keepRequest: true } } }, () => {})
  })
  await connect(t, app, '/kitchen', { headers: { 'x-device': 'kettle' } })
  assert.equal((await left(made)).includes('request'), true)
  const { request } = app.sockets.list()[0]!
  assert.equal(request, made[0]!.request.deref())
  assert.deepEqual([{ ...request!.params as object }, request!.headers['x-device'], request!.ip], [{ room: 'kitchen' }, 'kettle', '127.0.0.1'])
})

test('a handler that keeps the request can use it for as long as the connection lives', async (t) => {
  let made: Made[] = []
  const app = await start(t, {}, (app) => {
    made = watch(app)
    app.get('/:room', { websocket: true }, (socket, request) => {
      socket.on('message', () => {
        const { headers, ip, params, query, socket: raw } = request
        request.log.info('still here')
        socket.send(JSON.stringify({ device: headers['x-device'], ip, params, query, port: raw.remotePort }))
      })
    })
  })
  const client = await connect(t, app, '/kitchen?lang=en', { headers: { 'x-device': 'kettle' } })
  assert.equal((await left(made)).includes('request'), true)
  const { remotePort } = rawSocketOf(serverSocket(app))
  client.send('who')
  assert.deepEqual(JSON.parse(String(await client.next())), { device: 'kettle', ip: '127.0.0.1', params: { room: 'kitchen' }, query: { lang: 'en' }, port: remotePort })
  const [line] = logged(app, /still here/)
  assert.equal(line!.reqId, app.sockets.list()[0]!.requestId)
})

test("a user's errorHandler is called with request and reply, however late the 'error'", async (t) => {
  let made: Made[] = []
  const calls: Array<[Error, WebSocket, FastifyRequest, FastifyReply]> = []
  const app = await start(t, { errorHandler: (...args) => { calls.push(args) } }, (app) => {
    made = watch(app)
    app.get('/:room', { websocket: true }, () => {})
  })
  const raw = await rawConnect(t, app, '/kitchen')
  assert.deepEqual((await left(made)).slice(0, 2), ['request', 'reply'])
  const socket = serverSocket(app)
  const record = nextClosed(app)
  await breach(raw)
  assert.equal((await record).cause, 'protocol')
  assert.equal(calls.length, 1)
  const [error, given, request, reply] = calls[0]!
  assert.equal((error as NodeJS.ErrnoException).code, 'WS_ERR_UNEXPECTED_RSV_1')
  assert.equal(given, socket)
  assert.deepEqual({ ...request.params as object }, { room: 'kitchen' })
  assert.equal(reply.request, request)
})

test("a response with a listener for 'close' is kept and tells of the end", async (t) => {
  let made: Made[] = []
  let closes = 0
  const app = await start(t, {}, (app) => {
    made = watch(app)
    app.get('/', {
      websocket: true,
      preHandler: (_request, reply, done) => {
        reply.raw.on('close', () => { closes++ })
        done()
      }
    }, () => {})
  })
  const client = await connect(t, app, '/')
  assert.equal((await left(made)).includes('response'), true)
  assert.equal(closes, 0)
  await client.close()
  await until(() => closes === 1)
})

test('without isolation everything is left to @fastify/websocket, which keeps it and logs with it', async (t) => {
  let made: Made[] = []
  const app = await start(t, { isolation: false }, (app) => {
    made = watch(app)
    app.get('/', { websocket: true }, () => {})
  })
  const raw = await rawConnect(t, app, '/')
  assert.deepEqual(await left(made), ['request', 'reply', 'response'])
  const { requestId } = app.sockets.list()[0]!
  const record = nextClosed(app)
  raw.send(Opcode.Text, 'x', { rsv: 4 })
  await record
  assert.deepEqual(logged(app, /RSV1/).map(({ reqId }) => reqId), [requestId])
})

// ——— 'error' events

test("a socket has the listeners for 'error' that it has with @fastify/websocket alone", async (t) => {
  const bare = Fastify()
  t.after(() => bare.close())
  await bare.register(fastifyWebsocket)
  bare.get('/', { websocket: true }, () => {})
  const client = await connectTo(bare, '/')
  t.after(() => { client.socket.terminate() })
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
  await connect(t, app, '/')
  const [theirs] = bare.websocketServer.clients
  const ours = serverSocket(app)
  assert.equal(ours.listenerCount('error'), 1)
  const counts = (socket: EventEmitter) => socket.eventNames().map((name) => [name, socket.listenerCount(name)])
  assert.deepEqual(counts(ours), counts(theirs!))
})

test("an 'error' still reaches us after the request is gone: cause protocol, one warning", async (t) => {
  let made: Made[] = []
  const app = await start(t, {}, (app) => {
    made = watch(app)
    app.get('/', { websocket: true }, () => {})
  })
  const raw = await rawConnect(t, app, '/')
  assert.deepEqual(await left(made), [])
  const record = nextClosed(app)
  await breach(raw)
  const { cause, code } = await record
  assert.deepEqual({ cause, code }, { cause: 'protocol', code: 1002 })
  const warnings = app.logs.filter(({ level }) => level >= 40)
  assert.deepEqual(warnings.map(({ msg, level }) => [msg, level]), [['a peer broke the WebSocket protocol', 40]])
  assert.equal(app.sockets.stats().faults, 0)
})

test("listeners for 'error' of the application are kept and called, whenever they were added", async (t) => {
  const seen: string[] = []
  const listen = (socket: WebSocket, name: string) => { socket.on('error', ({ message }) => { seen.push(`${name}: ${message}`) }) }
  const app = await start(t, {
    onOpen: ({ socket }) => {
      socket.once('error', () => { seen.push('once') })
      listen(socket, 'onOpen')
    }
  }, (app) => {
    app.sockets.on('open', ({ socket }) => { listen(socket, 'open') })
    app.websocketServer.on('connection', (socket) => { listen(socket, 'connection') })
    app.get('/', { websocket: true }, (socket) => { listen(socket, 'handler') })
  })
  const raw = await rawConnect(t, app, '/')
  const record = nextClosed(app)
  assert.equal(serverSocket(app).listenerCount('error'), 6)
  await breach(raw)
  assert.equal((await record).cause, 'protocol')
  const names = seen.map((text) => text.split(':')[0])
  assert.deepEqual(names.sort(), ['connection', 'handler', 'onOpen', 'once', 'open'])
  assert.equal(logged(app, /a peer broke the WebSocket protocol/).length, 1)
})

test('a socket whose listeners were all removed, those of its raw socket too, is seen to end', async (t) => {
  const app = await start(t, { closeTimeout: 100 }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.removeAllListeners()
      rawSocketOf(socket).removeAllListeners()
    })
  })
  await connect(t, app, '/')
  const record = nextClosed(app)
  void app.sockets.list()[0]!.terminate()
  assert.equal((await record).cause, 'application')
  assert.equal(app.websocketServer.clients.size, 0)
})

// ——— a packed socket

const symbol = Symbol('event')

/** What an emitter answers while listeners come and go; names that every object inherits are names as any other. */
function exercise (emitter: EventEmitter): unknown[] {
  const answers: unknown[] = []
  const a = (value: unknown) => { answers.push(`a ${String(value)}`) }
  const b = () => { answers.push('b') }
  const ask = (...names: Array<string | symbol>) => {
    answers.push(emitter.eventNames().filter((name) => name !== 'close' && name !== 'error'))
    for (const name of names) answers.push(emitter.listenerCount(name), emitter.listeners(name).map((listener) => [a, b].indexOf(listener as typeof a)), emitter.rawListeners(name).length)
  }
  ask('toString', 'constructor', '__proto__', 'hasOwnProperty')
  for (const name of ['message', '__proto__', 'constructor', symbol]) {
    emitter.on(name, a)
    emitter.once(name, b)
    emitter.prependListener(name, b)
    ask(name)
    answers.push(emitter.emit(name, 1), emitter.emit(name, 2))
    emitter.removeListener(name, a)
    ask(name)
    emitter.off(name, b)
    answers.push(emitter.emit(name, 3))
  }
  ask('message', symbol)
  emitter.on('one', a).on('two', b).on(symbol, a)
  emitter.removeAllListeners('one')
  ask('one', 'two', symbol)
  emitter.on('removeListener', (name: string | symbol) => { answers.push(`removed ${String(name)}`) })
  emitter.removeListener('two', b)
  emitter.removeAllListeners()
  answers.push(emitter.eventNames(), emitter.emit('two'))
  emitter.on('three', a)
  answers.push(emitter.eventNames(), emitter.emit('three', 4))
  return answers
}

test('a packed socket adds, names, calls and removes listeners as any emitter does', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
  await connect(t, app, '/')
  const expected = new EventEmitter()
  for (const name of ['close', 'error']) expected.on(name, () => {})
  const socket = serverSocket(app)
  assert.deepEqual(exercise(socket), exercise(expected))
  await app.sockets.list()[0]!.terminate()
})

test('the ws server loses a packed socket when it closes', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
  const clients = [await connect(t, app, '/'), await connect(t, app, '/')]
  assert.equal(app.websocketServer.clients.size, 2)
  await clients[0]!.close()
  await until(() => app.websocketServer.clients.size === 1)
  assert.equal([...app.websocketServer.clients][0], serverSocket(app))
  clients[1]!.socket.terminate()
  await until(() => app.websocketServer.clients.size === 0)
})

test('a socket with permessage-deflate says so and compresses both ways, beside one without', async (t) => {
  const app = await start(t, { options: { perMessageDeflate: { threshold: 0 } } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  })
  const text = 'x'.repeat(50_000)
  const bytes = async (t: TestContext, perMessageDeflate: boolean) => {
    const client = await connect(t, app, '/', { perMessageDeflate })
    const { extensions } = serverSocket(app)
    client.send(text)
    assert.equal(await client.next(), text)
    const record = nextClosed(app)
    await client.close()
    const { bytesReceived, bytesSent } = await record
    return { extensions, received: bytesReceived > text.length, sent: bytesSent > text.length }
  }
  const plain = { extensions: '', received: true, sent: true }
  assert.deepEqual(await bytes(t, false), plain)
  assert.deepEqual(await bytes(t, true), { extensions: 'permessage-deflate', received: false, sent: false })
  assert.deepEqual(await bytes(t, false), plain)
})

test('sockets without extensions share one empty object, which cannot be written to', async (t) => {
  const app = await start(t, { options: { perMessageDeflate: true } }, (app) => { app.get('/', { websocket: true }, () => {}) })
  for (const perMessageDeflate of [false, false, true]) await connect(t, app, '/', { perMessageDeflate })
  const [one, two, three] = app.sockets.list().map(({ socket }) => parts(socket))
  assert.equal(Object.isFrozen(one!.extensions), true)
  assert.equal(new Set([one, two].flatMap((socket) => [socket!.extensions, socket!.sender, socket!.receiver])).size, 1)
  assert.notEqual(three!.extensions, one!.extensions)
})

test('pack() leaves alone what it does not know', () => {
  const same = (shared: object) => ({ _extensions: shared, _sender: { _extensions: shared }, _receiver: { _extensions: shared } })
  const unknown: Array<[string, object]> = [
    ['nothing inside', {}],
    ['events in an object of another class', { _events: Object.create({ message: () => {} }) as object }],
    ['events in a map', { _events: new Map() }],
    ['no sender and no receiver', { _extensions: {} }],
    ['extensions that are not shared', { _extensions: {}, _sender: { _extensions: {} }, _receiver: { _extensions: {} } }],
    ['a receiver with its own', { ...same({}), _receiver: { _extensions: {} } }],
    ['an extension', same({ 'permessage-deflate': {} })]
  ]
  for (const [what, socket] of unknown) {
    const before = parts(socket)
    pack(socket as never)
    const after = parts(socket)
    for (const key of ['events', 'extensions', 'sender', 'receiver'] as const) assert.equal(after[key], before[key], `${what}: ${key}`)
  }
})

test('an outside terminator that destroys sockets without a response spares those with work under way', async (t) => {
  const { promise: work, resolve: answer } = deferred<void>()
  const sockets = new Set<Socket>()
  const app = await start(t, {}, (app) => {
    app.server.on('connection', (socket) => { sockets.add(socket) })
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async () => { await work; socket.send('done') })
    })
  })
  const client = await connect(t, app, '/')
  await sendJob(app, client)
  for (const socket of sockets) {
    const { _httpMessage: response } = socket as Socket & { _httpMessage?: { headersSent: boolean } | null }
    if (response == null) socket.destroy()
    else assert.equal(response.headersSent, true)
  }
  answer()
  assert.equal(String(await client.next()), 'done')
})
