// What people have written for @fastify/websocket works unchanged.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { createWebSocketStream } from 'ws'
import type { WebSocket } from 'ws'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ended } from '../helpers/ends.ts'
import { recordEvents } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, logged, portOf, rawHandshake, start, until, within } from '../helpers/server.ts'

test('(socket) and (socket, request), sync and async', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/sync/:id', { websocket: true }, (socket, request) => {
      socket.send(`${(request.params as { id: string }).id} ${(request.query as { q: string }).q} ${String(request.headers['x-test'])}`)
    })
    app.get('/async/:id', { websocket: true }, async (socket, request) => {
      await Promise.resolve()
      socket.send((request.params as { id: string }).id)
    })
    app.get('/only', { websocket: true }, (socket) => { socket.send('only') })
  })
  assert.equal(await (await connect(t, app, '/sync/7?q=x', { headers: { 'x-test': 'yes' } })).next(), '7 x yes')
  assert.equal(await (await connect(t, app, '/async/8')).next(), '8')
  assert.equal(await (await connect(t, app, '/only')).next(), 'only')
})

test('an async handler that ends leaves its socket open', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      socket.on('message', (data) => { socket.send(String(data)) })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('one')
  assert.equal(await client.next(), 'one')
})

for (const [what, end] of [
  ['the reason of drainSignal', (signal: AbortSignal) => { signal.throwIfAborted() }],
  ['an AbortError', () => { throw new DOMException('aborted', 'AbortError') }]
] as const) {
  test(`a handler that a drain ends with ${what} has not failed: a client that has sent nothing gets the code of the drain`, async (t) => {
    const errors: unknown[] = []
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true }, async (socket) => {
        const { drainSignal } = app.sockets.of(socket)
        socket.send('ready')
        await once(drainSignal, 'abort')
        end(drainSignal)
      })
    })
    app.sockets.on('error', (error) => { errors.push(error) })
    const client = await connect(t, app, '/')
    await client.next()
    const closed = once(client.socket, 'close')
    await app.sockets.drain()
    const [code] = await closed as [number]
    assert.deepEqual([code, errors, app.sockets.stats().faults, app.sockets.history[0]!.cause], [1012, [], 0, 'drain'])
  })
}

test('wsHandler and handler on one route', async (t) => {
  const app = await start(t, {}, (app) => {
    app.route({
      method: 'GET',
      url: '/both',
      handler: async () => 'http',
      wsHandler: (socket) => { socket.send('ws') }
    })
  })
  assert.equal(await (await fetch(`http://127.0.0.1:${portOf(app)}/both`)).text(), 'http')
  const client = await connect(t, app, '/both')
  assert.equal(await client.next(), 'ws')
  assert.equal(app.sockets.list()[0]!.route, '/both')
})

test('websocket: false beside a wsHandler is still a WebSocket route, as for @fastify/websocket', async (t) => {
  const app = await start(t, {}, (app) => {
    app.route({
      method: 'GET',
      url: '/',
      websocket: false,
      handler: async () => 'http',
      wsHandler: (socket: WebSocket) => { socket.on('message', (data) => { socket.send(String(data)) }) }
    } as never)
  })
  const client = await connect(t, app, '/')
  client.socket.send('hi')
  assert.equal(await client.next(), 'hi')
  assert.deepEqual(app.sockets.stats().refused, {})
  assert.equal(app.sockets.list()[0]!.state, 'open')
})

test('a WebSocket route that is asked over HTTP answers 404', async (t) => {
  const app = await start(t, {}, plain)
  for (const method of ['GET', 'HEAD']) {
    const { status } = await fetch(`http://127.0.0.1:${portOf(app)}/`, { method })
    assert.equal(status, 404)
  }
})

test('app.route with websocket: true, and GET with HEAD', async (t) => {
  const app = await start(t, {}, (app) => {
    app.route({ method: 'GET', url: '/route', websocket: true, handler: (socket: WebSocket) => { socket.send('route') } } as never)
    app.route({ method: ['GET', 'HEAD'], url: '/head', websocket: true, handler: (socket: WebSocket) => { socket.send('head') } } as never)
  })
  assert.equal(await (await connect(t, app, '/route')).next(), 'route')
  assert.equal(await (await connect(t, app, '/head')).next(), 'head')
})

test('what @fastify/websocket refuses is refused in its words', async (t) => {
  await start(t, {}, (app) => {
    assert.throws(() => { app.route({ method: 'POST', url: '/', websocket: true, handler: () => {} } as never) }, /GET method/)
    assert.throws(() => { app.route({ method: 'GET', url: '/x', handler: async () => '', wsHandler: 'text' } as never) }, /invalid wsHandler function/)
  })
})

test('a prefix is part of the route', async (t) => {
  const app = await start(t, {}, async (app) => {
    await app.register(async (child) => {
      child.get('/room/:id', { websocket: true }, (socket) => { socket.send('in') })
      child.get('/', { websocket: true }, (socket) => { socket.send('root') })
    }, { prefix: '/v1' })
  })
  assert.equal(await (await connect(t, app, '/v1/room/5')).next(), 'in')
  assert.equal(await (await connect(t, app, '/v1/')).next(), 'root')
  assert.deepEqual(app.sockets.list().map(({ route }) => route), ['/v1/room/:id', '/v1'])
})

test('`this` is the instance of the route, with its decorators', async (t) => {
  const app = await start(t, {}, async (app) => {
    app.decorate('greeting', 'hello')
    await app.register(async (child) => {
      child.decorate('name', 'child')
      child.get('/', { websocket: true }, function (this: unknown, socket) {
        const { greeting, name } = this as { greeting: string, name: string }
        socket.send(`${greeting} ${name}`)
      })
    })
  })
  assert.equal(await (await connect(t, app, '/')).next(), 'hello child')
})

test('hooks, request decorators and child contexts come before the handler', async (t) => {
  const order: string[] = []
  const app = await start(t, {}, async (app) => {
    app.decorateRequest('guest', '')
    app.addHook('onRequest', async (request) => {
      order.push('onRequest')
      ;(request as FastifyRequest & { guest: string }).guest = 'u1'
    })
    await app.register(async (child) => {
      child.addHook('preHandler', async () => { order.push('preHandler') })
      child.get('/', { websocket: true, preValidation: async () => { order.push('preValidation') } }, (socket, request) => {
        order.push('handler')
        socket.send((request as FastifyRequest & { guest: string }).guest)
      })
    })
  })
  assert.equal(await (await connect(t, app, '/')).next(), 'u1')
  assert.deepEqual(order, ['onRequest', 'preValidation', 'preHandler', 'handler'])
})

test('schema validation refuses a handshake with 400', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, schema: { querystring: { type: 'object', required: ['q'], properties: { q: { type: 'string' } } } } }, () => {})
  })
  await assert.rejects(connect(t, app, '/'), { status: 400 })
  const client = await connect(t, app, '/?q=1')
  client.socket.close()
  await ended(client)
})

test('onResponse hooks are not called for what was upgraded', async (t) => {
  let responses = 0
  const app = await start(t, {}, (app) => {
    app.addHook('onResponse', async () => { responses++ })
    app.get('/', { websocket: true }, () => {})
  })
  const client = await connect(t, app, '/')
  client.socket.close()
  await ended(client)
  await until(() => app.sockets.size === 0)
  assert.equal(responses, 0)
})

test('an unknown path is a 404 and its TCP connection is closed; a setNotFoundHandler of the application decides', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.setNotFoundHandler((_request, reply) => { void reply.code(410).send('gone') })
  })
  const raw = await rawHandshake(t, app, '/nowhere')
  assert.equal((await raw.answer).status, 410)
  raw.end()
  await within(5_000, raw.ended, 'TCP was not closed')
  assert.deepEqual(app.sockets.stats().refused, {})
})

test('a stream over the socket', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const stream = createWebSocketStream(socket, { encoding: 'utf8' })
      stream.on('error', () => {})
      stream.on('data', (chunk) => { stream.write(`echo ${String(chunk)}`) })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('one')
  assert.equal(String(await client.next()), 'echo one')
  await app.close()
  assert.equal((await ended(client)).code, 1012)
})

test('events.once, an event target and a promise beside each other', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const [data] = await once(socket, 'message') as [Buffer]
      socket.send(`first ${String(data)}`)
      socket.onmessage = ({ data }) => { socket.send(`then ${String(data)}`) }
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('a')
  assert.equal(await client.next(), 'first a')
  client.socket.send('b')
  assert.equal(await client.next(), 'then b')
})

test('ping, pong and isAlive flags of the heartbeat recipe', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const flagged = socket as WebSocket & { isAlive: boolean }
      flagged.isAlive = false
      socket.on('pong', () => { flagged.isAlive = true; socket.send('alive') })
      socket.ping()
    })
  })
  const client = await connect(t, app, '/')
  assert.equal(await client.next(), 'alive')
  const [socket] = app.websocketServer.clients
  assert.equal((socket as WebSocket & { isAlive: boolean }).isAlive, true)
})

test('broadcasting over websocketServer.clients', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (data) => {
        for (const client of app.websocketServer.clients) if (client.readyState === client.OPEN) client.send(String(data))
      })
    })
  })
  const [one, two] = [await connect(t, app, '/'), await connect(t, app, '/')]
  one.socket.send('all')
  assert.deepEqual(await Promise.all([one.next(), two.next()]), ['all', 'all'])
})

test('the request stays what it was where the handler holds on to it', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/:id', { websocket: true }, (socket, request) => {
      socket.on('message', () => { socket.send(`${request.id} ${(request.params as { id: string }).id} ${request.ip} ${String(request.ws)}`) })
    })
  })
  const client = await connect(t, app, '/9')
  client.socket.send('go')
  assert.match(String(await client.next()), /^req-\w+ 9 127\.0\.0\.1 true$/)
})

test("the request's own log knows the request id, and so does the connection's", async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket, request) => {
      request.log.info('from the request')
      app.sockets.of(socket).log.info('from the connection')
    })
  })
  await connect(t, app, '/')
  const [first] = logged(app, /from the request/)
  const [second] = logged(app, /from the connection/)
  assert.equal(second!.reqId, first!.reqId)
  assert.equal(second!.connection, app.sockets.list()[0]!.id)
})

test('a handler whose connection onOpen has closed is not called', async (t) => {
  let handled = 0
  const app = await start(t, { onOpen: (connection) => { if (connection.route === '/closed') void connection.close(4000, 'not you') } }, (app) => {
    app.get('/closed', { websocket: true }, () => { handled++ })
    app.get('/', { websocket: true }, () => { handled++ })
  })
  assert.deepEqual(await ended(await connect(t, app, '/closed')), { code: 4000, reason: 'not you' })
  assert.equal(handled, 0)
  await connect(t, app, '/')
  assert.equal(handled, 1)
})

for (const name of ['data', 'owner'] as const) {
  test(`neither onOpen nor the handler is called for a connection whose ${name} has thrown, and its open has its closed`, async (t) => {
    const called: string[] = []
    const app = await start(t, { [name]: () => { throw new Error(`no ${name}`) }, onOpen: () => { called.push('onOpen') } }, (app) => {
      app.get('/', { websocket: true }, () => { called.push('handler') })
    })
    const events = recordEvents(app)
    assert.equal((await ended(await connect(t, app, '/'))).code, 1011)
    await until(() => app.sockets.size === 0)
    assert.deepEqual([called, events], [[], ['open', 'error', 'closing', 'closed']])
  })
}

test('onOpen that throws or rejects ends its connection with 1011', async (t) => {
  const app = await start(t, {
    onOpen: (connection) => connection.route === '/sync' ? (() => { throw new Error('sync') })() : Promise.reject(new Error('async'))
  }, (app) => {
    app.get('/sync', { websocket: true }, () => {})
    app.get('/async', { websocket: true }, () => {})
  })
  const events = recordEvents(app)
  assert.equal((await ended(await connect(t, app, '/sync'))).code, 1011)
  assert.equal((await ended(await connect(t, app, '/async'))).code, 1011)
  await until(() => app.sockets.size === 0)
  assert.deepEqual(events, ['open', 'error', 'closing', 'closed', 'open', 'error', 'closing', 'closed'])
})

test('connections are tracked also where the application removes the listeners of the ws server', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.send('hello') })
    app.websocketServer.removeAllListeners('connection')
  })
  const client = await connect(t, app, '/')
  assert.equal(await client.next(), 'hello')
  assert.equal(app.sockets.size, 1)
})

test('a plugin that wraps the routes of its own context', async (t) => {
  const app = await start(t, {}, async (app) => {
    app.addHook('onRoute', (options) => {
      const { handler } = options
      const given = options as unknown as { websocket?: boolean }
      if (!given.websocket) return
      options.handler = function (this: FastifyInstance, ...args) { calls++; return Reflect.apply(handler, this, args) as never }
    })
    let calls = 0
    app.get('/', { websocket: true }, (socket) => { socket.send('wrapped') })
    app.get('/calls', async () => calls)
  })
  assert.equal(await (await connect(t, app, '/')).next(), 'wrapped')
})
