import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import Fastify from 'fastify'
import { WebSocket } from 'ws'
import plugin from '../../lib/index.ts'
import type { Refusal } from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { ended } from '../helpers/ends.ts'
import { nextClosed, nextEvent, recordEvents, turn } from '../helpers/records.ts'
import { connect, logged, Opcode, portOf, rawConnect, rawHandshake, start, until, within } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const wait = () => new Promise<void>((resolve) => { setTimeout(resolve, 20) })

// ——— config.sockets is checked when the route is added

for (const [what, sockets] of [
  ['an unknown key', { holdMessage: true }],
  ['a wrong type', { holdMessages: 'yes' }],
  ['no object', true],
  ['an array', []],
  ['null', null]
] as const) {
  test(`${what} in config.sockets throws when the route is added, and names the route`, async (t) => {
    await start(t, {}, (app) => {
      assert.throws(
        () => { app.get('/bad/:id', { websocket: true, config: { sockets } } as never, () => {}) },
        { code: 'SOCKETS_ERR_INVALID_OPTION', message: /\/bad\/:id/ })
      // On a plain route, too: it would be a mistake all the same.
      assert.throws(() => { app.get('/plain', { config: { sockets } } as never, async () => '') }, { code: 'SOCKETS_ERR_INVALID_OPTION' })
    })
  })
}

test("the route's own config is neither changed nor lost", async (t) => {
  const config = Object.freeze({ mine: 1, sockets: Object.freeze({ keepRequest: true }) })
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config } as never, (socket: WebSocket) => {
      socket.send(String((app.sockets.of(socket).request!.routeOptions.config as unknown as { mine: number }).mine))
    })
  })
  assert.equal(await (await connect(t, app, '/')).next(), '1')
})

test("a plain HTTP route's config has nothing of the plugin in it", async (t) => {
  const app = await start(t, {}, (app) => {
    app.route({ method: ['GET', 'PUT'], url: '/', config: { mine: 1 } as never, handler: async ({ routeOptions: { config } }) => Reflect.ownKeys(config).map(String) })
  })
  assert.deepEqual((await app.inject('/')).json(), ['mine', 'url', 'method'])
})

// ——— holdMessages

const lateListeners: Array<[string, (app: TestApp, socket: WebSocket, seen: string[]) => void]> = [
  ["on('message')", (_app, socket, seen) => { socket.on('message', (data) => { seen.push(String(data)) }) }],
  ["addEventListener('message')", (_app, socket, seen) => { socket.addEventListener('message', ({ data }) => { seen.push(String(data)) }) }],
  ['onmessage', (_app, socket, seen) => { socket.onmessage = ({ data }) => { seen.push(String(data)) } }],
  ["once('message'), again and again", (_app, socket, seen) => {
    const next = (data: Buffer) => { seen.push(String(data)); socket.once('message', next) }
    socket.once('message', next)
  }],
  ["on('message') after removeAllListeners()", (_app, socket, seen) => {
    socket.removeAllListeners()
    socket.on('message', (data) => { seen.push(String(data)) })
  }],
  ['messages()', (app, socket, seen) => {
    void (async () => { for await (const message of app.sockets.of(socket).messages()) seen.push(String(message)) })()
  }]
]

for (const [what, listen] of lateListeners) {
  test(`holdMessages: nothing is lost when ${what} comes after an await`, async (t) => {
    const seen: string[] = []
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true, config: { sockets: { holdMessages: true } } }, async (socket) => {
        socket.on('close', () => {})
        await wait()
        listen(app, socket, seen)
      })
    })
    const raw = await rawConnect(t, app, '/')
    for (const text of ['one', 'two', 'three']) raw.send(Opcode.Text, text)
    await until(() => seen.length === 3)
    assert.deepEqual(seen, ['one', 'two', 'three'])
    assert.equal(logged(app, /arrived without a listener/).length, 0)
    raw.destroy()
  })
}

test('holdMessages: what comes with the handshake is held, too', async (t) => {
  const seen: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config: { sockets: { holdMessages: true } } }, async (socket) => {
      await wait()
      socket.on('message', (data) => { seen.push(String(data)) })
    })
  })
  const raw = await rawHandshake(t, app, '/')
  raw.send(Opcode.Text, 'early')
  await until(() => seen.length === 1)
  raw.destroy()
})

test('holdMessages: a second listener is not the first', async (t) => {
  const seen: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config: { sockets: { holdMessages: true } } }, (socket) => {
      socket.on('message', (data) => { seen.push(`a ${String(data)}`) })
      assert.equal(socket.isPaused, false)
      socket.pause()
      socket.on('message', (data) => { seen.push(`b ${String(data)}`) })
      assert.equal(socket.isPaused, true, 'a pause of the application is its own')
      socket.resume()
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('x')
  await until(() => seen.length === 2)
  assert.deepEqual(seen, ['a x', 'b x'])
})

test('holdMessages: a drain ends a connection without a message listener', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config: { sockets: { holdMessages: true } } }, () => {})
  })
  const client = await connect(t, app, '/')
  client.socket.send('never heard')
  const record = nextClosed(app)
  const report = await app.sockets.drain()
  assert.equal((await ended(client)).code, 1012)
  assert.equal(report.connections.clean, 1)
  assert.equal((await record).dropped, 1)
})

test('holdMessages: a handler that fails meanwhile is cut off', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config: { sockets: { holdMessages: true } } }, async () => { await wait(); throw new Error('boom') })
  })
  const client = await connect(t, app, '/')
  client.socket.send('x')
  assert.equal((await ended(client)).code, 1006)
})

// ——— without it

test('a frame without a listener is warned about once a route', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/deaf/:id', { websocket: true }, () => {})
    app.get('/deaf2', { websocket: true }, () => {})
  })
  for (const path of ['/deaf/1?token=secret', '/deaf/2', '/deaf2']) {
    const client = await connect(t, app, path)
    client.socket.send('one')
    client.socket.send('two')
    client.socket.close()
    await ended(client)
  }
  const warnings = logged(app, /a message arrived without a listener/)
  assert.deepEqual(warnings.map(({ route, level }) => [route, level]), [['/deaf/:id', 40], ['/deaf2', 40]])
})

test('there is no such warning where messages() takes them, on a close of ours, or when a once() was enough', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { app.sockets.of(socket).messages() })
    app.get('/closing', { websocket: true }, (socket) => { void app.sockets.of(socket).close(4000) })
  })
  for (const path of ['/', '/closing']) {
    const raw = await rawConnect(t, app, path)
    raw.send(Opcode.Text, 'one')
    raw.sendClose(4000)
    raw.end()
    await raw.ended
  }
  await until(() => app.sockets.size === 0)
  assert.equal(logged(app, /arrived without a listener/).length, 0)
})

// ——— keepRequest

test('keepRequest keeps the upgrade request; elsewhere it is let go', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/kept/:id', { websocket: true, config: { sockets: { keepRequest: true } } }, () => {})
    app.get('/', { websocket: true }, () => {})
  })
  await connect(t, app, '/kept/5?q=1')
  await connect(t, app, '/')
  const [kept, gone] = app.sockets.list()
  assert.deepEqual({ ...kept!.request!.params as object }, { id: '5' })
  assert.deepEqual({ ...kept!.request!.query as object }, { q: '1' })
  assert.equal(kept!.requestId, String(kept!.request!.id))
  assert.equal(gone!.request, undefined)
})

// ——— waitForHandler

test("a drain does not wait for a handler's promise", async (t) => {
  const { promise: work, resolve: finish } = deferred<void>()
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, async () => { await work }) })
  await connect(t, app, '/')
  const report = await app.sockets.drain()
  assert.equal(report.work.inFlight, 0)
  finish()
})

test('waitForHandler: a drain waits for it', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config: { sockets: { waitForHandler: true } } }, async (socket) => {
      const { drainSignal } = app.sockets.of(socket)
      await once(drainSignal, 'abort')
      await wait()
      socket.send('finished')
    })
  })
  const client = await connect(t, app, '/')
  assert.equal(app.sockets.stats().working, 1)
  const report = await app.sockets.drain()
  assert.equal(await client.next(), 'finished')
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.equal((await ended(client)).code, 1012)
})

test('waitForHandler with a sync handler is no work', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config: { sockets: { waitForHandler: true } } }, () => {})
  })
  await connect(t, app, '/')
  assert.equal(app.sockets.stats().working, 0)
})

test('waitForHandler: a handler that fails during the drain is a fault, and its work has ended', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true, config: { sockets: { waitForHandler: true } } }, async (socket) => {
      await once(socket, 'message')
      await once(app.sockets.of(socket).drainSignal, 'abort')
      throw new Error('boom')
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  await until(() => app.sockets.list()[0]!.messagesReceived === 1)
  const report = await app.sockets.drain()
  assert.equal((await ended(client)).code, 1011)
  assert.equal(app.sockets.stats().faults, 1)
  assert.equal(report.connections.causes.error, 1)
})

// ——— what is no WebSocket route

test('a plain HTTP route that was upgraded: counted as refused, warned about by name once, its socket ended', async (t) => {
  let handled = 0
  const app = await start(t, {}, (app) => { app.get('/plain/:id', async () => { handled++; return 'http' }) })
  const refusals: Refusal[] = []
  app.sockets.on('refused', (refusal) => { refusals.push(refusal) })
  for (const id of [1, 2]) {
    // What @fastify/websocket does: 101, then a close frame without a code.
    const client = await connect(t, app, `/plain/${id}?token=secret`)
    assert.equal((await ended(client)).code, 1005)
  }
  await until(() => app.sockets.size === 0)
  const refusal = { reason: 'not a websocket route', path: '/plain/:id', ip: '127.0.0.1' }
  assert.deepEqual(refusals, [refusal, refusal])
  assert.deepEqual(app.sockets.stats().refused, { 'not a websocket route': 2 })
  assert.deepEqual(app.sockets.stats().closed, { refused: 2 })
  const warnings = logged(app, /a plain HTTP route was asked for a WebSocket/)
  assert.deepEqual(warnings.map(({ route, level }) => [route, level]), [['/plain/:id', 40]])
  assert.equal(handled, 0)
})

test('a plain HTTP route that was upgraded tells as many opens as closes', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', async () => 'http') })
  const events = recordEvents(app)
  await ended(await connect(t, app, '/'))
  await until(() => app.sockets.size === 0)
  const count = (name: string) => events.filter((event) => event === name).length
  assert.equal(count('open'), count('closed'), events.join(' '))
  assert.equal(count('refused'), 1)
})

test('a plain HTTP route whose client does not answer the close frame is cut off', async (t) => {
  const app = await start(t, { closeTimeout: 100 }, (app) => { app.get('/', async () => 'http') })
  const raw = await rawConnect(t, app, '/')
  assert.equal((await raw.closeFrame()).code, 1005)
  await within(5_000, raw.ended, 'TCP was not closed')
})

test('routes that were declared before the plugin was loaded: 404, counted, warned about by name', async (t) => {
  let handled = 0
  const app = await start(t, {}, (app) => { app.get('/late', { websocket: true }, () => {}) }, {
    before: (app) => { app.get('/early', { websocket: true } as never, () => { handled++ }) }
  })
  const refused = nextEvent(app, 'refused')
  const raw = await rawHandshake(t, app, '/early?token=secret')
  const { status } = await raw.answer
  assert.equal(status, 404)
  await within(5_000, raw.ended, 'TCP was not closed')
  assert.deepEqual(JSON.parse(raw.body), { statusCode: 404, error: 'Not Found', message: 'not a websocket route: /early' })
  assert.deepEqual((await refused)[0], { reason: 'not a websocket route', path: '/early', ip: '127.0.0.1' })
  assert.deepEqual(logged(app, /declared before fastify-websocket-lifecycle was loaded/).map(({ route, level }) => [route, level]), [['/early', 40]])
  assert.equal(handled, 0)
  const client = await connect(t, app, '/late')
  client.socket.close()
  await ended(client)
})

test('the same where register() was not awaited', async (t) => {
  const app = Fastify() as unknown as TestApp
  t.after(() => app.close())
  void app.register(plugin)
  let handled = 0
  app.get('/', { websocket: true } as never, () => { handled++ })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = new WebSocket(`ws://127.0.0.1:${portOf(app)}/`)
  const [error] = await once(client, 'error') as [Error]
  assert.match(error.message, /404/)
  assert.equal(handled, 0)
  assert.deepEqual(app.sockets.stats().refused, { 'not a websocket route': 1 })
})

test('the same for routes of a child context that was registered before', async (t) => {
  let handled = 0
  const app = await start(t, {}, undefined, {
    before: async (app) => {
      await app.register(async (child) => { child.get('/child', { websocket: true } as never, () => { handled++ }) })
    }
  })
  const raw = await rawHandshake(t, app, '/child')
  assert.equal((await raw.answer).status, 404)
  await within(5_000, raw.ended, 'TCP was not closed')
  assert.equal(handled, 0)
  assert.deepEqual(app.sockets.stats().refused, { 'not a websocket route': 1 })
})

test('a route of a proxy that nothing proxies is warned about with its remedy, also where it was declared before', async (t) => {
  const app = await start(t, {}, undefined, {
    before: (app) => {
      // As @fastify/http-proxy does it.
      app.decorateReply('wsProxy', { getter: () => ({}) })
      app.get('/proxied', async () => 'fine')
    }
  })
  await assert.rejects(connect(t, app, '/proxied'), { status: 404 })
  assert.deepEqual(logged(app, /http-proxy does not proxy WebSockets of this route/).map(({ route }) => route), ['/proxied'])
})

test('a plain HTTP route that was declared before answers HTTP as ever', async (t) => {
  const app = await start(t, {}, undefined, { before: (app) => { app.get('/http', async () => 'yes') } })
  const response = await fetch(`http://127.0.0.1:${portOf(app)}/http`)
  assert.equal(await response.text(), 'yes')
  await turn()
  assert.deepEqual(app.sockets.stats().refused, {})
})
