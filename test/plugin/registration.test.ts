/**
 * Registering the plugin: options it takes and refuses, an adopted @fastify/websocket, other upgrade listeners, metadata.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { WebSocket, WebSocketServer } from 'ws'
import plugin from '../../lib/index.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { ended } from '../helpers/ends.ts'
import { assertRefused } from '../helpers/gate.ts'
import { plain } from '../helpers/routes.ts'
import { connect, logged, portOf, rawHandshake, start, until, within } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** An app that is never ready or closed by the test; its own end is a close. */
function bareApp (t: TestContext): FastifyInstance {
  const app = Fastify()
  t.after(() => app.close())
  return app
}

/** Options that a type check would refuse. */
const wrong = (options: object) => options as LifecycleOptions

// ——— the plugin itself

test('one register call is enough: @fastify/websocket is registered first', async (t) => {
  const app = await start(t, {}, (app) => {
    assert.ok(app.hasPlugin('@fastify/websocket'))
    assert.ok(app.hasPlugin('fastify-websocket-lifecycle'))
    assert.ok(app.websocketServer instanceof WebSocketServer)
    assert.equal(typeof app.injectWS, 'function')
    plain(app)
  })
  const client = await connect(t, app, '/')
  assert.equal(app.sockets.size, 1)
  client.socket.close()
  await ended(client)
})

test('@fastify/websocket’s own keys work at the top level, as that plugin takes them', async (t) => {
  const app = await start(t, { options: { maxPayload: 4, clientTracking: true } }, (app) => {
    assert.equal(app.websocketServer.options.maxPayload, 4)
    plain(app)
  })
  const client = await connect(t, app, '/')
  client.socket.send('too long')
  assert.equal((await ended(client)).code, 1009)
})

test('verifyClient and handleProtocols in `options` work', async (t) => {
  const app = await start(t, {
    options: {
      verifyClient: ({ req }: { req: { url?: string } }) => req.url !== '/no',
      handleProtocols: (protocols: Set<string>) => protocols.has('b') ? 'b' : false
    }
  }, (app) => {
    plain(app)
    app.get('/no', { websocket: true }, () => {})
  })
  const client = await connect(t, app, '/', { protocols: ['a', 'b'] })
  assert.equal(client.socket.protocol, 'b')
  await assert.rejects(connect(t, app, '/no'), { status: 401 })
})

test('handleProtocols may be set later on websocketServer.options, which stays a real ws server', async (t) => {
  const app = await start(t, {}, (app) => {
    plain(app)
    app.websocketServer.options.handleProtocols = () => 'late'
  })
  const client = await connect(t, app, '/', { protocols: ['early', 'late'] })
  assert.equal(client.socket.protocol, 'late')
  assert.equal(app.websocketServer.clients.size, 1)
  const [socket] = app.websocketServer.clients
  assert.equal(app.sockets.of(socket!).socket, socket)
  client.socket.close()
  await until(() => app.websocketServer.clients.size === 0)
})

test("a 'connection' listener of the application on websocketServer finds the connection", async (t) => {
  const seen: number[] = []
  const app = await start(t, {}, (app) => {
    plain(app)
    app.websocketServer.on('connection', (socket) => { seen.push(app.sockets.of(socket).id) })
  })
  await connect(t, app, '/')
  assert.deepEqual(seen, [app.sockets.list()[0]!.id])
})

test('Fastify’s own keys pass', async (t) => {
  const app = bareApp(t)
  await app.register(plugin, wrong({ prefix: '/x', logLevel: 'silent', logSerializers: {}, encapsulate: false }))
  assert.ok(app.hasDecorator('sockets'))
})

test('options may be a function of the instance, as Fastify allows', async (t) => {
  const app = bareApp(t)
  await app.register(plugin, (instance) => ({ history: instance.hasDecorator('nothing') ? 1 : 2 }))
  assert.ok(app.hasDecorator('sockets'))
})

test('the options object is neither changed nor kept', async (t) => {
  const options: LifecycleOptions = Object.freeze({ options: Object.freeze({ maxPayload: 10 }), drain: Object.freeze({ timeout: 2_000 }) })
  const app = bareApp(t)
  await app.register(plugin, options)
  assert.equal(app.websocketServer.options.maxPayload, 10)
  assert.equal(app.sockets.plan().timeout, 2_000)
})

for (const [what, options, code] of [
  ['an unknown key', { idleTimeOut: 1 }, 'SOCKETS_ERR_INVALID_OPTION'],
  ['a wrong type', { closeTimeout: '1s' }, 'SOCKETS_ERR_INVALID_OPTION'],
  ['what does not fit together', { drain: { timeout: 1_000, settleDelay: 1_000 } }, 'SOCKETS_ERR_OPTION_CONFLICT']
] as const) {
  test(`${what} in the options fails the registration with ${code}`, async (t) => {
    const app = bareApp(t)

    await assert.rejects(async () => { await app.register(plugin, wrong(options)) }, { code })
  })
}

for (const [what, options, message] of [
  ['errorHandler', { errorHandler: 'log' }, /invalid errorHandler function/],
  ['preClose', { preClose: 'now' }, /invalid preClose function/],
  ['noServer', { options: { noServer: true } }, /noServer/]
] as const) {
  test(`@fastify/websocket refuses a wrong ${what} in its own words`, async (t) => {
    const app = bareApp(t)
    await assert.rejects(async () => { await app.register(plugin, wrong(options)) }, message)
  })
}

test('a second registration is a coded error, on the same instance and below', async (t) => {
  const same = bareApp(t)
  await same.register(plugin)
  await assert.rejects(async () => { await same.register(plugin) }, { code: 'SOCKETS_ERR_ALREADY_REGISTERED' })
  const below = bareApp(t)
  await below.register(plugin)
  await assert.rejects(async () => { await below.register(async (child) => { await child.register(plugin) }) }, { code: 'SOCKETS_ERR_ALREADY_REGISTERED' })
})

test('a second registration in a sibling context is a coded error, too: both would take the same server', async (t) => {
  const app = bareApp(t)
  await app.register(async (child) => { await child.register(plugin) })
  await assert.rejects(async () => { await app.register(async (child) => { await child.register(plugin) }) }, { code: 'SOCKETS_ERR_ALREADY_REGISTERED' })
})

test('registered in a child context it works there', async (t) => {
  const app = Fastify() as unknown as TestApp
  t.after(() => app.close())
  let tracked = 0
  await app.register(async (child) => {
    await child.register(plugin)
    child.get('/child', { websocket: true }, (socket) => { tracked = child.sockets.of(socket).id })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  assert.equal(app.hasDecorator('sockets'), false)
  const client = new WebSocket(`ws://127.0.0.1:${portOf(app)}/child`)
  const closed = once(client, 'close')
  await once(client, 'open')
  assert.ok(tracked > 0)
  await app.close()
  assert.equal((await closed)[0], 1012)
})

test('two apps in one process do not know of each other', async (t) => {
  const one = await start(t, {}, plain)
  const two = await start(t, {}, plain)
  const first = await connect(t, one, '/')
  const second = await connect(t, two, '/')
  assert.equal(one.sockets.size, 1)
  await one.close()
  assert.equal((await ended(first)).code, 1012)
  assert.equal(two.sockets.size, 1)
  assert.equal(two.sockets.accepting, true)
  second.socket.close()
  await ended(second)
})

test('without a WebSocket the plugin adds no onReady hook: Fastify names the one that never ends', async () => {
  const app = Fastify({ pluginTimeout: 100 })
  app.register(plugin)
  app.addHook('onReady', function neverEnds (_done) {})
  await assert.rejects(async () => { await app.ready() }, { code: 'FST_ERR_HOOK_TIMEOUT', message: /"neverEnds"/ })
})

for (const when of ['in an onReady hook', 'when the application is ready'] as const) {
  test(`a ws server that is adopted ${when} is tracked, and the drain comes before other plugins’ preClose`, async (t) => {
    const app = bareApp(t)
    const order: string[] = []
    const adopt = () => { app.sockets.adopt(new WebSocketServer({ server: app.server })) }
    await app.register(plugin)
    app.addHook('preClose', async () => { order.push('preClose') })
    if (when === 'in an onReady hook') app.addHook('onReady', async () => { adopt() })
    else await app.ready().then(adopt)
    app.sockets.on('drained', () => { order.push('drained') })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const client = new WebSocket(`ws://127.0.0.1:${portOf(app)}/`)
    await once(client, 'open')
    assert.equal(app.sockets.size, 1)
    const closed = once(client, 'close')
    await app.close()
    assert.equal((await closed)[0], 1012)
    assert.deepEqual(order, ['drained', 'preClose'])
  })
}

// ——— @fastify/websocket was there first

const adopting = { before: async (app: FastifyInstance) => { await app.register(fastifyWebsocket, { options: { maxPayload: 100 } }) } }

test('@fastify/websocket that is registered already is adopted: tracked, and closed with our code', async (t) => {
  const app = await start(t, {}, plain, adopting)
  assert.equal(app.websocketServer.options.maxPayload, 100)
  const client = await connect(t, app, '/')
  assert.equal(app.sockets.list()[0]!.route, '/')
  await app.close()
  // Its own preClose would have sent a close frame without a code: 1005.
  assert.deepEqual(await ended(client), { code: 1012, reason: 'service restart; retry=1000' })
})

test('adopted: its listener is found among others, whatever a bundler has called it', async (t) => {
  const app = await start(t, {}, plain, {
    before: async (app) => {
      await app.register(fastifyWebsocket)
      Object.defineProperty(app.server.listeners('upgrade')[0], 'name', { value: 'a' })
      app.server.on('upgrade', function theirs () {})
    }
  })
  assert.deepEqual(logged(app, /listener of 'upgrade'/).map(({ listener }) => listener), ['theirs'])
  await app.sockets.drain()
  await assert.rejects(connect(t, app, '/'), { status: 503 })
})

test('adopted: the whole drain comes before other plugins’ onClose, and waits for work', async (t) => {
  const order: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async () => {
        order.push('work')
        await new Promise((resolve) => { setTimeout(resolve, 50) })
        order.push('done')
        socket.send('result')
      })
      app.sockets.of(socket).defer(() => { order.push('cleanup') })
    })
  }, {
    before: async (app) => {
      app.addHook('onClose', async () => { order.push('database') })
      await app.register(fastifyWebsocket)
    }
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  await until(() => order.length === 1)
  await app.close()
  assert.equal(await client.next(), 'result')
  assert.equal((await ended(client)).code, 1012)
  assert.deepEqual(order, ['work', 'done', 'cleanup', 'database'])
})

test('adopted: handshakes during the drain are refused and no other code listens', async (t) => {
  const app = await start(t, {}, plain, adopting)
  assert.equal(app.server.listenerCount('upgrade'), 1)
  assert.equal(logged(app, /listener of 'upgrade'|child context/).length, 0)
  await app.sockets.drain()
  await assert.rejects(connect(t, app, '/'), { status: 503 })
  await app.close()
  assert.equal(app.server.listenerCount('upgrade'), 0)
})

test('adopted: sockets that were accepted before are taken as well', async (t) => {
  // Listening before the plugin is loaded is not possible; a socket injected before is.
  const app = Fastify() as unknown as TestApp
  t.after(() => app.close())
  await app.register(fastifyWebsocket)
  const kept = app.websocketServer
  const other = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => { other.close() })
  await once(other, 'listening')
  const accepted = once(other, 'connection') as Promise<[WebSocket]>
  const client = new WebSocket(`ws://127.0.0.1:${(other.address() as AddressInfo).port}/`)
  const closed = once(client, 'close')
  const [socket] = await accepted
  kept.clients.add(socket)
  await app.register(plugin)
  assert.equal(app.sockets.size, 1)
  await app.ready()
  await app.sockets.drain()
  assert.equal((await closed)[0], 1012)
})

for (const key of ['options', 'errorHandler', 'preClose'] as const) {
  test(`adopted: "${key}" comes too late, and the registration says so`, async (t) => {
    const app = bareApp(t)
    await app.register(fastifyWebsocket)
    const given = { options: {}, errorHandler: () => {}, preClose: () => {} }[key]
    await assert.rejects(async () => { await app.register(plugin, wrong({ [key]: given })) },
      { code: 'SOCKETS_ERR_OPTION_CONFLICT', message: new RegExp(`"${key}" has no effect`) })
  })
}

test('adopted: the errorHandler of that registration still gets what handlers throw', async (t) => {
  const errors: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async () => { throw new Error('handler') })
  }, {
    before: async (app) => {
      await app.register(fastifyWebsocket, { errorHandler: (error, socket) => { errors.push(error.message); socket.close(4000) } })
    }
  })
  assert.equal((await ended(await connect(t, app, '/'))).code, 4000)
  assert.deepEqual(errors, ['handler'])
})

test('adopted: what listeners throw is isolated all the same', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => { throw new Error('listener') }) })
  }, adopting)
  const client = await connect(t, app, '/')
  client.socket.send('go')
  assert.equal((await ended(client)).code, 1011)
  assert.equal(app.sockets.stats().faults, 1)
})

test('adopted: routes that were declared before us work, tracked by their pattern', async (t) => {
  const app = await start(t, {}, plain, {
    before: async (app) => {
      await app.register(fastifyWebsocket)
      app.get('/early/:id', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    }
  })
  const client = await connect(t, app, '/early/1?token=secret')
  client.socket.send('hi')
  assert.equal(await client.next(), 'hi')
  assert.equal(app.sockets.list()[0]!.route, '/early/:id')
  assert.deepEqual(app.sockets.stats().refused, {})
})

test('adopted: a route that asks for waitForHandler gets it, or is refused', async (t) => {
  const refused: unknown[] = []
  const { promise: work, resolve: finish } = deferred<void>()
  const app = await start(t, {}, (app) => {
    try {
      app.get('/', { websocket: true, config: { sockets: { waitForHandler: true } } }, async () => { await work })
    } catch (error) {
      refused.push(error)
    }
  }, adopting)
  if (refused.length > 0) return
  await connect(t, app, '/')
  const { working } = app.sockets.stats()
  finish()
  assert.equal(working, 1)
})

// ——— other code takes upgrades

const CHILD = /another @fastify\/websocket was registered in a child context/

test('@fastify/websocket in a child context is warned about, with WebSocket routes of ours and without', async (t) => {
  for (const routes of [plain, undefined]) {
    const app = await start(t, {}, routes, {
      before: async (app) => {
        await app.register(async (child) => { await child.register(fastifyWebsocket) })
      }
    })
    const warnings = logged(app, CHILD)
    assert.deepEqual(warnings.map(({ level }) => level), [40])
  }
})

test('@fastify/websocket in a child context is adopted at its first handshake: tracked, and closed with our code', async (t) => {
  let handled = 0
  const app = await start(t, {}, plain, {
    before: async (app) => {
      await app.register(async (child) => {
        await child.register(fastifyWebsocket)
        child.get('/child', { websocket: true }, (socket) => {
          handled++
          socket.on('message', (data) => { socket.send(String(data)) })
        })
      })
    }
  })
  const ours = await connect(t, app, '/')
  const clients = [await connect(t, app, '/child'), await connect(t, app, '/child')]
  for (const { socket } of clients) socket.send('hi')
  for (const client of clients) assert.equal(await client.next(), 'hi')
  assert.equal(handled, 2)
  assert.deepEqual(app.sockets.list().map(({ route }) => route), ['/', '/child', '/child'])
  await app.close()
  for (const client of [ours, ...clients]) assert.equal((await ended(client)).code, 1012)
})

test('a server of a child context that was given to adopt() stays as it is at its first handshake', async (t) => {
  let server!: WebSocketServer
  const app = await start(t, {}, (app) => { app.sockets.adopt(server) }, {
    before: async (app) => {
      await app.register(async (child) => {
        await child.register(fastifyWebsocket)
        child.get('/child', { websocket: true }, (socket) => { socket.send('hello') })
        server = child.websocketServer
      })
    }
  })
  const client = await connect(t, app, '/child')
  assert.equal(await client.next(), 'hello')
  assert.equal(app.sockets.size, 1)
})

test('with @fastify/websocket in a child context as well, each of our sockets is tracked, and a drain refuses with one answer', async (t) => {
  const app = await start(t, {}, plain, {
    before: async (app) => {
      await app.register(async (child) => { await child.register(fastifyWebsocket) })
    }
  })
  const client = await connect(t, app, '/')
  assert.equal(app.sockets.size, 1)
  await app.sockets.drain()
  assert.equal((await ended(client)).code, 1012)
  const raw = await rawHandshake(t, app, '/')
  const { status, headers } = await raw.answer
  assert.deepEqual([status, headers.get('retry-after')], [503, '1'])
  await within(5_000, raw.ended, 'TCP was not closed')
  assert.equal(raw.body, 'The server is restarting.\n')
})

test("a foreign 'upgrade' listener is warned about by name, with WebSocket routes of ours and without", async (t) => {
  const onForeignUpgrade = () => {}
  for (const routes of [plain, () => {}]) {
    const app = await start(t, {}, (app) => {
      routes(app)
      app.server.on('upgrade', onForeignUpgrade)
      app.server.on('upgrade', () => {})
    })
    const warnings = logged(app, /another listener of 'upgrade' is on this server/)
    assert.deepEqual(warnings.map(({ listener, level }) => [listener, level]), [['onForeignUpgrade', 40], ['anonymous', 40]])
  }
})

test('a ws server on our own HTTP server that was given to adopt() is not warned about', async (t) => {
  const app = await start(t, {}, (app) => {
    plain(app)
    app.sockets.adopt(new WebSocketServer({ server: app.server, path: '/other' }))
  })
  assert.equal(logged(app, /another listener of 'upgrade' is on this server/).length, 0)
})

test('no warning where no other code listens', async (t) => {
  const app = await start(t, {}, plain)
  assert.deepEqual(app.logs.filter(({ level }) => level >= 40), [])
})

test('one listener is kept with a server given in `options.server`', async (t) => {
  const other = createServer()
  t.after(() => { other.close() })
  const app = await start(t, { options: { server: other } }, plain)
  assert.equal(other.listenerCount('upgrade'), 1)
  await app.close()
  assert.equal(other.listenerCount('upgrade'), 0)
})

// ——— warnings about the plan

test('a budget over 30 s without a stated terminationGracePeriod is warned about, with the sum', async (t) => {
  const app = await start(t, { drain: { preStop: 5_000, timeout: 25_000, reserve: 5_000 } }, plain)
  const [warning] = logged(app, /Kubernetes/)
  assert.match(warning!.msg, /preStop 5000 \+ timeout 25000 \+ reserve 5000 = 35000 ms/)
  const stated = await start(t, { drain: { terminationGracePeriod: 60_000, preStop: 5_000 } }, plain)
  assert.equal(logged(stated, /Kubernetes/).length, 0)
})

test('an HTTP/2 server is told plainly', async (t) => {
  const app = await start(t, {}, plain, { fastify: { http2: true } })
  assert.equal(logged(app, /HTTP\/2/).length, 1)
})

test('the plan is logged at the start', async (t) => {
  const app = await start(t, {}, plain)
  assert.equal(logged(app, /^drain: timeout 8000 \(default\)/).length, 1)
})

test('without a WebSocket route nothing is logged when the application listens', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/plain', async () => 'plain') })
  assert.deepEqual([logged(app, /^drain: /).length, logged(app, /allowedOrigins/).length], [0, 0])
})

// ——— metadata

test('the plugin names itself and its Fastify', () => {
  const meta = (plugin as unknown as Record<symbol, unknown>)[Symbol.for('plugin-meta')]
  assert.deepEqual(meta, { fastify: '5.x || 6.x', name: 'fastify-websocket-lifecycle' })
})

/** Registers the plugin in an application that says it is this version of Fastify. */
async function registerUnder (t: TestContext, version: string): Promise<void> {
  const app = bareApp(t)
  Object.defineProperty(app, 'version', { value: version })
  await app.register(plugin)
}

for (const version of ['5.0.0', '5.12.8', '6.0.0-alpha.4', '6.0.0', '6.7.1']) {
  test(`the plugin and its @fastify/websocket accept Fastify ${version}`, async (t) => {
    await registerUnder(t, version)
  })
}

for (const version of ['4.29.1', '7.0.0']) {
  test(`the plugin refuses Fastify ${version}`, async (t) => {
    await assert.rejects(registerUnder(t, version), (error: Error & { code: string }) => {
      assert.equal(error.code, 'FST_ERR_PLUGIN_VERSION_MISMATCH')
      assert.match(error.message, /fastify-websocket-lifecycle/)
      return true
    })
  })
}

test('other plugins may depend on it by name', async (t) => {
  const app = bareApp(t)
  await app.register(plugin)
  let size = -1
  await app.register(fp(async (instance: FastifyInstance) => { size = instance.sockets.size }, { dependencies: ['fastify-websocket-lifecycle'], decorators: { fastify: ['sockets'] } }))
  assert.equal(size, 0)
})

for (const how of ['by the plugin', 'by the application'] as const) {
  test(`the listener of a @fastify/websocket that is registered ${how} is found whatever a bundler has named it`, async (t) => {
    const app = await start(t, { limits: { handshakes: { timeout: 100 } } }, (app) => {
      app.get('/stuck', { websocket: true, preHandler: () => new Promise(() => {}) }, () => {})
    }, {
      before: async (app) => {
        const { on } = app.server
        app.server.on = function (this: unknown, event: string, listener: Function) {
          if (event === 'upgrade') Object.defineProperty(listener, 'name', { value: 'a' })
          return Reflect.apply(on, this, [event, listener])
        } as never
        if (how === 'by the application') await app.register(fastifyWebsocket)
      }
    })
    const raw = await rawHandshake(t, app, '/stuck')
    assert.equal((await raw.answer).status, 503)
    await app.sockets.drain()
    await assertRefused(await rawHandshake(t, app, '/stuck'))
  })
}

// ——— routes outside of the plugin's context

test('a route outside is refused, also where another @fastify/websocket hears of the upgrade first, and holds no close', async (t) => {
  const app = Fastify()
  let called = 0
  app.get('/plain', async () => { called++ })
  await app.register(async (child) => { await child.register(fastifyWebsocket) })
  await app.register(async (child) => { await child.register(plugin) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const client = new WebSocket(`ws://127.0.0.1:${port}/plain`)
  client.on('error', () => {})
  t.after(() => { client.terminate() })
  const [, { statusCode }] = await once(client, 'unexpected-response') as [unknown, { statusCode: number }]
  await app.close()
  assert.deepEqual([statusCode, called], [404, 0])
})
