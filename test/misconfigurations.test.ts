/**
 * Mistakes that users make, and what they are told: the name of the option, what was given, what is allowed, and what to write
 * instead. options.test.ts has the types and ranges of every option.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { FastifyInstance } from 'fastify'
import { WebSocketServer } from 'ws'
import plugin from '../lib/index.ts'
import type { Refusal } from '../lib/index.ts'
import { POLICIES } from '../lib/track/observation.ts'
import type { LifecycleOptions, RouteSocketOptions } from '../lib/options/options.ts'
import { resolveOptions, resolveRouteOptions } from '../lib/options/resolve.ts'
import { connect, create, logged, rawHandshake, start, until } from './helpers/server.ts'
import type { TestApp } from './helpers/server.ts'

const INVALID = 'SOCKETS_ERR_INVALID_OPTION'
const CONFLICT = 'SOCKETS_ERR_OPTION_CONFLICT'

const ORIGINS = "allowedOrigins must be 'report', 'same-origin', false, a function, or a list of origins such as ['https://example.com'], got "

const MISTAKES: Array<[given: object, code: string, message: string]> = [
  // Names.
  [{ heartbeet: false }, INVALID, 'unknown option "heartbeet"; did you mean "heartbeat"?'],
  [{ closeTimeOut: 5 }, INVALID, 'unknown option "closeTimeOut"; did you mean "closeTimeout"?'],
  [{ mode: { ping: 'observe' } }, INVALID, `unknown option "ping" in mode; the known ones are ${POLICIES.join(', ')}`],
  // Places.
  [{ maxPayload: 1024 }, INVALID, 'unknown option "maxPayload"; it is an option of ws: options: { maxPayload: 1024 }'],
  [{ perMessageDeflate: true }, INVALID, 'unknown option "perMessageDeflate"; it is an option of ws: options: { perMessageDeflate: true }'],
  [{ verifyClient: () => true }, INVALID, 'unknown option "verifyClient"; it is an option of ws: options: { verifyClient: … }'],
  [{ terminationGracePeriod: 30_000 }, INVALID, 'unknown option "terminationGracePeriod"; it belongs in drain: { terminationGracePeriod: 30000 }'],
  [{ minDelay: 500 }, INVALID, 'unknown option "minDelay"; it belongs in drain: { reconnect: { minDelay: 500 } }'],
  [{ perOwner: { max: 5 } }, INVALID, 'unknown option "perOwner"; it belongs in limits: { perOwner: … }'],
  [{ keepRequest: true }, INVALID, 'unknown option "keepRequest"; it is an option of a route: config: { sockets: { keepRequest: true } }'],
  [{ drain: { closeTimeout: 500 } }, INVALID, 'unknown option "closeTimeout" in drain; it is an option of the plugin: closeTimeout: 500'],
  [{ drain: { rate: 500 } }, INVALID, 'unknown option "rate" in drain; it belongs in drain: { reconnect: { rate: 500 } }'],
  // Numbers for objects.
  [{ heartbeat: 30_000 }, INVALID, 'heartbeat must be true, false or an object such as { interval: 30000 }, got 30000'],
  [{ drain: 8_000 }, INVALID, 'drain must be an object such as { timeout: 8000 }, got 8000'],
  [{ drain: { reconnect: 50 } }, INVALID, 'drain.reconnect must be an object such as { rate: 50 }, got 50'],
  [{ limits: 100 }, INVALID, 'limits must be an object such as { total: { max: 100 } }, got 100'],
  [{ limits: { perOwner: 5 } }, INVALID, 'limits.perOwner must be false or an object such as { max: 5 }, got 5'],
  [{ limits: { handshakes: 50 } }, INVALID, 'limits.handshakes must be an object such as { max: 50 }, got 50'],
  [{ messageRate: 10 }, INVALID, 'messageRate must be false or an object such as { max: 10 }, got 10'],
  [{ backpressure: 65_536 }, INVALID, 'backpressure must be false or an object such as { maxBufferedBytes: 65536 }, got 65536'],
  // Without a number there is nothing to make an example of.
  [{ drain: true }, INVALID, 'drain must be an object, got true'],
  // Left out.
  [{ messageRate: { burst: 5 } }, INVALID, 'messageRate.max is missing: it must be a positive integer'],
  [{ limits: { total: {} } }, INVALID, 'limits.total.max is missing: it must be a positive integer'],
  // Seconds for milliseconds.
  [{ drain: { terminationGracePeriod: 30 } }, CONFLICT,
    'drain: terminationGracePeriod 30 − preStop 0 − reserve 5000 = -4970 ms, which leaves no time to drain; terminationGracePeriod 30 looks like seconds: durations are milliseconds'],
  [{ drain: { terminationGracePeriod: 30, timeout: 20 } }, CONFLICT,
    'drain: preStop 0 + timeout 20 + reserve 5000 = 5020 ms is more than terminationGracePeriod 30 ms; terminationGracePeriod 30 looks like seconds: durations are milliseconds'],
  [{ heartbeat: { interval: 30_000 }, idleTimeout: 60 }, CONFLICT,
    'idleTimeout 60 ms is not longer than heartbeat.interval 30000 ms: a silent client would be closed before it is pinged; idleTimeout 60 looks like seconds: durations are milliseconds'],
  // Origins.
  [{ allowedOrigins: ['https://*.example.com', 'https://ok.example', 'https://example.com/'] }, INVALID,
    `${ORIGINS}entry 0 "https://*.example.com": wildcards are not supported (use a function); entry 2 "https://example.com/": remove the trailing slash: "https://example.com"`],
  [{ allowedOrigins: ['example.com', 'https://example.com/chat', 'https://', 7] }, INVALID,
    `${ORIGINS}entry 0 "example.com": the scheme is missing, as in "https://example.com"; entry 1 "https://example.com/chat": remove what follows the host: "https://example.com"; ` +
    'entry 2 "https://": not a host and port; entry 3 7: not a string (for patterns use a function)'],
  [{ allowedOrigins: ['same-origin', /example/] }, INVALID,
    `${ORIGINS}entry 0 "same-origin": not an origin (to allow others as well, use a function); entry 1 an object: not a string (for patterns use a function)`],
  [{ allowedOrigins: 'https://example.com' }, INVALID, `${ORIGINS}"https://example.com": put it into a list, ["https://example.com"]`],
  [{ allowedOrigins: '*' }, INVALID, `${ORIGINS}"*": to allow every page, use false`],
  [{ allowedOrigins: true }, INVALID, `${ORIGINS}true: to allow every page, use false`],
  [{ allowedOrigins: 'same-site' }, INVALID, `${ORIGINS}"same-site"`]
]

for (const [given, code, message] of MISTAKES) {
  test(message, () => {
    assert.throws(() => resolveOptions(given as LifecycleOptions), { code, message })
  })
}

const ROUTE_MISTAKES: Array<[given: object, message: string]> = [
  [{ heartbeet: false }, 'unknown option "heartbeet" in config.sockets of route /jobs; did you mean "heartbeat"?'],
  [{ limits: {} }, 'unknown option "limits" in config.sockets of route /jobs; it is an option of the plugin: limits: …'],
  [{ maxPayload: 9 }, 'unknown option "maxPayload" in config.sockets of route /jobs; it is an option of ws: options: { maxPayload: 9 }'],
  [{ heartbeat: 30_000 }, 'config.sockets of route /jobs.heartbeat must be true, false or an object such as { interval: 30000 }, got 30000'],
  [{ messageRate: { burst: 5 } }, 'config.sockets of route /jobs.messageRate.max is missing: it must be a positive integer']
]

for (const [given, message] of ROUTE_MISTAKES) {
  test(message, () => {
    assert.throws(() => resolveRouteOptions('/jobs', given as RouteSocketOptions), { code: INVALID, message })
  })
}

// ——— options of a route in the wrong place

const noop = () => {}

const WARNINGS: Array<[what: string, route: object, warnings: string[]]> = [
  ['config.sockets on a plain route', { config: { sockets: { keepRequest: true } } }, ['config.sockets has no effect, this is no WebSocket route: add websocket: true, or remove it']],
  ['config.socket', { websocket: true, config: { socket: { keepRequest: true } } }, ['config.socket has no effect: did you mean config.sockets?']],
  ['options beside websocket: true', { websocket: true, heartbeat: false, sockets: {} }, [
    'sockets has no effect here: it belongs in config: { sockets: … }',
    'heartbeat has no effect here: it belongs in config: { sockets: { heartbeat: … } }'
  ]],
  ['an option beside wsHandler', { wsHandler: noop, keepRequest: true }, ['keepRequest has no effect here: it belongs in config: { sockets: { keepRequest: … } }']],
  // Not a mistake.
  ['config.sockets on a WebSocket route', { websocket: true, config: { sockets: {}, socket: 1, mine: 2 } }, []],
  ['a config of another plugin', { websocket: true, config: { rateLimit: {}, cors: {} } }, []],
  ['a config of another plugin on a plain route', { config: { socket: {} }, heartbeat: true }, []]
]

for (const [what, route, warnings] of WARNINGS) {
  test(`${what}: ${warnings.length === 0 ? 'no warning' : 'a warning that names the route, once'}`, async (t) => {
    const app = await start(t, {}, (app) => { app.route({ method: 'GET', url: '/rooms/:id', handler: noop, ...route } as never) }, { listen: false })
    assert.deepEqual(app.logs.filter(({ level, route }) => level === 40 && route === '/rooms/:id').map(({ msg }) => msg), warnings)
  })
}

// ——— the plugin in a child context

const ws = (app: FastifyInstance) => { app.get('/ws/:room', { websocket: true }, (socket) => { socket.on('message', noop) }) }

const OUTSIDE: Array<[where: string, before: (app: TestApp) => void, after: (app: TestApp) => void]> = [
  ['on the root, before it', ws, noop],
  ['on the root, after it', noop, ws],
  ['in another child, before it', (app) => { void app.register(async (child) => { ws(child) }) }, noop],
  ['in another child, after it', noop, (app) => { void app.register(async (child) => { ws(child) }) }]
]

for (const [where, before, after] of OUTSIDE) {
  test(`the plugin in a child context and a WebSocket route ${where}: 404, counted, and warned about by name`, async (t) => {
    const app = create(t)
    const refusals: Refusal[] = []
    before(app)
    void app.register(async (child) => {
      await child.register(plugin)
      child.sockets.on('refused', (refusal) => { refusals.push(refusal) })
      child.get('/inside', { websocket: true }, noop)
    })
    after(app)
    app.get('/plain', async () => 'hello')
    await app.listen({ port: 0, host: '127.0.0.1' })

    const raw = await rawHandshake(t, app, '/ws/1')
    assert.equal((await raw.answer).status, 404)
    await raw.ended
    assert.deepEqual(refusals, [{ reason: 'not a websocket route', path: '/ws/:room', ip: '127.0.0.1' }])
    assert.deepEqual(logged(app, /lies outside of the context .* register the plugin on the root instance, before the routes$/).map(({ level, route }) => [level, route]), [[40, '/ws/:room']])
    // What has no route at all is answered by Fastify, and its TCP connection ended too.
    const lost = await rawHandshake(t, app, '/nowhere')
    assert.equal((await lost.answer).status, 404)
    await lost.ended
    assert.equal(refusals.length, 1)
    // Everything else is as ever.
    assert.equal((await app.inject('/plain')).body, 'hello')
    const client = await connect(t, app, '/inside')
    client.socket.close()
    await client.closed
  })
}

// ——— a server that is replaced after its adoption

/** As engine.io does it: a new ws server once the HTTP server listens. */
function engine (app: FastifyInstance): { ws: WebSocketServer } {
  const made = { ws: new WebSocketServer({ noServer: true, clientTracking: false }) }
  app.server.on('listening', () => {
    made.ws.close()
    made.ws = new WebSocketServer({ noServer: true, clientTracking: false })
  })
  return made
}

const replaced = (app: TestApp) => logged(app, /given to app\.sockets\.adopt\(\) was closed before this app listened.*call adopt\(\) in an onListen hook$/).map(({ level }) => level)

test('a ws server that was adopted and replaced when the app listens is warned about', async (t) => {
  const app = await start(t, {}, (app) => { app.sockets.adopt(engine(app).ws) })
  await until(() => replaced(app).length > 0, 'a warning')
  assert.deepEqual(replaced(app), [40])
})

test('adopted in an onListen hook, the successor is tracked, and its close when the app closes is no news', async (t) => {
  const app = await start(t, {}, (app) => {
    const made = engine(app)
    app.addHook('onListen', async () => { app.sockets.adopt(made.ws) })
    app.addHook('preClose', async () => { made.ws.close() })
    app.server.on('upgrade', (request, socket, head) => { if (request.url === '/engine') made.ws.handleUpgrade(request, socket, head, noop) })
  })
  const opened = new Promise<void>((resolve) => { app.sockets.on('open', () => { resolve() }) })
  const client = await connect(t, app, '/engine')
  await opened
  client.socket.close()
  await client.closed
  await app.close()
  assert.deepEqual(replaced(app), [])
})
