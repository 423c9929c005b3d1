/**
 * Everything an application hands to the plugin, failing in every way: whatever it is, no connection but its own is hurt, the
 * process goes on, and the app closes. An exception or a rejection that nothing takes fails its test by itself.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { LogController } from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { WebSocket } from 'ws'
import type { Connection, LifecycleEvents, LifecycleOptions, RouteSocketOptions } from '../../lib/index.ts'
import { connect, create, Opcode, rawConnect, start, within } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** What reached the process; the runner of the tests would blame it on no test, for it comes from no test's async context. */
const stray: string[] = []
process.prependListener('uncaughtException', () => { stray.push('uncaughtException') })
process.prependListener('unhandledRejection', () => { stray.push('unhandledRejection') })

/** Promises that hang until the app is closed. */
const hanging = new Set<() => void>()

/** What cannot be looked at without a throw. */
const HOSTILE = new Proxy(class {}, {
  get () { throw new Error('get') },
  has () { throw new Error('has') },
  ownKeys () { throw new Error('ownKeys') },
  getPrototypeOf () { throw new Error('getPrototypeOf') },
  getOwnPropertyDescriptor () { throw new Error('getOwnPropertyDescriptor') }
})

/* eslint-disable prefer-promise-reject-errors -- that is the point */
const WAYS: Record<string, () => unknown> = {
  'throws an error': () => { throw new Error('thrown') },
  'throws what cannot be looked at': () => { throw HOSTILE },
  'rejects with null': () => Promise.reject(null),
  'rejects with what cannot be looked at': () => Promise.reject(HOSTILE),
  'returns what cannot be looked at': () => HOSTILE,
  'returns a thenable that throws': () => ({ then () { throw new Error('then') } }),
  'returns a thenable that settles twice': () => ({ then (done: (value?: unknown) => void, failed: (error: unknown) => void) { done(); failed(new Error('second')); done() } }),
  'returns a thenable whose getter throws at every second look': () => {
    let looks = 0
    return { get then () { if (++looks % 2 === 0) throw new Error('look'); return (done: () => void) => { done() } } }
  },
  'returns a promise whose then throws': () => Object.assign(Promise.resolve(), { then () { throw new Error('then') } }),
  'returns a promise whose then never calls back': () => Object.assign(Promise.resolve(), { then (done: () => void) { hanging.add(done) } }),
  'returns a promise whose then throws at the second call': () => {
    const promise = Promise.resolve()
    let calls = 0
    return Object.assign(promise, { then (...args: []) { if (++calls > 1) throw new Error('then'); return Promise.prototype.then.apply(promise, args) } })
  },
  'returns a promise whose constructor throws': () => Object.defineProperty(Promise.resolve(), 'constructor', { get () { throw new Error('constructor') } }),
  'never settles': () => new Promise<void>((resolve) => { hanging.add(resolve) })
}
/* eslint-enable prefer-promise-reject-errors */

/** Where foreign code is called; `fail` fails in one of the ways. */
interface Seam {
  options?: (fail: () => never) => LifecycleOptions
  fastify?: (fail: () => never) => FastifyServerOptions
  app?: (app: FastifyInstance, fail: () => never) => void
  handler?: (socket: WebSocket, connection: Connection, fail: () => never) => unknown
  route?: RouteSocketOptions
}

const EVENTS: Array<keyof LifecycleEvents> = ['open', 'draining', 'closing', 'closed', 'error', 'refused', 'observed', 'drain', 'progress', 'drained']
const FAULT = (socket: WebSocket) => { socket.on('message', () => { throw new Error('fault') }) }

const SEAMS: Record<string, Seam> = {
  owner: { options: (fail) => ({ owner: fail }) },
  data: { options: (fail) => ({ data: fail }) },
  onOpen: { options: (fail) => ({ onOpen: fail }) },
  onDrain: { options: (fail) => ({ onDrain: fail }) },
  preClose: { options: (fail) => ({ preClose: fail }) },
  'preClose with a callback': { options: (fail) => ({ preClose: function (_done: () => void) { return fail() } as never }) },
  'drain.reason': { options: (fail) => ({ drain: { timeout: 1_000, reason: fail } }) },
  allowedOrigins: { options: (fail) => ({ allowedOrigins: fail }) },
  errorHandler: { options: (fail) => ({ errorHandler: fail }), handler: FAULT },
  isUnderPressure: { options: () => ({ limits: { pressure: true } }), app: (app, fail) => { app.decorate('isUnderPressure', fail) } },
  trustProxy: { fastify: (fail) => ({ trustProxy: fail }), options: () => ({ limits: { perAddress: { max: 100 } } }) },
  ...Object.fromEntries(EVENTS.map((event) => [`a listener of "${event}"`, {
    options: () => ({ mode: 'observe', messageRate: { max: 1 }, limits: { total: { max: 1 } } }),
    app: (app, fail) => { app.sockets.on(event, fail) },
    handler: FAULT
  } satisfies Seam])),
  ...Object.fromEntries(['message', 'close', 'ping', 'pong', 'newListener'].map((event) => [`a socket's listener of "${event}"`, {
    handler: (socket, _connection, fail) => { socket.on(event, fail) }
  } satisfies Seam])),
  onmessage: { handler: (socket, _connection, fail) => { socket.onmessage = fail } },
  onclose: { handler: (socket, _connection, fail) => { socket.onclose = fail } },
  handleEvent: { handler: (socket, _connection, fail) => { socket.addEventListener('message', { handleEvent: fail } as never) } },
  'a handler': { handler: (_socket, _connection, fail) => fail() },
  'a cleanup': { handler: (_socket, connection, fail) => { connection.defer(fail) } },
  'a cleanup without a name': { handler: (_socket, connection, fail) => { connection.defer(Object.defineProperty(() => fail(), 'name', { get () { throw new Error('name') } })) } },
  'tracked work': { handler: (_socket, connection, fail) => { void connection.track((async () => await (fail() as unknown))()) } },
  'a closed socket': { handler: (socket, connection, fail) => { connection.defer(() => { socket.close = fail; socket.terminate = fail; socket.send = fail }) } },
  ...Object.fromEntries((['close', 'terminate', 'send', 'ping', 'pong', 'pause', 'resume'] as const).map((method) => [`socket.${method}`, {
    app: (app) => { app.sockets.on('open', () => { setImmediate(() => { void app.sockets.broadcast('broadcast', 'all') }) }) },
    handler: (socket, _connection, fail) => { socket[method] = fail }
  } satisfies Seam])),
  'a serializer': { fastify: (fail) => ({ logger: { level: 'debug', stream: { write () {} }, serializers: { err: fail, connection: fail } } }), handler: FAULT },
  'a logger': {
    fastify: (fail) => {
      const log: Record<string, unknown> = { level: 'debug', broken: false }
      for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) log[level] = () => log.broken ? fail() : undefined
      return { logger: undefined, loggerInstance: Object.assign(log, { silent () {}, child: (bindings: object) => log.broken && 'connection' in bindings ? fail() : log }) as never, logController: new LogController({ disableRequestLogging: true }) }
    },
    options: () => ({ cleanupTimeout: 50 }),
    handler: (socket, connection) => {
      // Fastify's own lines of the start are over, and it takes no rejection of `child`: only ours fails.
      ;(connection.log as unknown as { broken: boolean }).broken = true
      FAULT(socket)
      connection.defer(() => new Promise(() => {}))
      connection.defer(() => { throw new Error('cleanup') })
    }
  },
  'a handler that is waited for': { handler: (_socket, _connection, fail) => fail(), route: { waitForHandler: true } },
  genReqId: { fastify: (fail) => ({ genReqId: () => ({ toString: fail }) as never }) }
}

for (const [name, seam] of Object.entries(SEAMS)) {
  test(`${name} that fails ends no process and holds no close`, async (t) => {
    await Promise.all(Object.entries(WAYS)
      // A promise there is left alone by whatever calls it.
      .filter(([way]) => !['genReqId', 'a serializer'].includes(name) || way.startsWith('throws'))
      .map(([way, fail]) => t.test(`when it ${way}`, async (t) => { await exercise(t, seam, fail as () => never) })))
  })
}

async function exercise (t: TestContext, seam: Seam, fail: () => never): Promise<void> {
  const app: TestApp = await start(t, { drain: { timeout: 1_000, reserve: 500 }, cleanupTimeout: 200, heartbeat: { interval: 200 }, ...seam.options?.(fail) }, (app) => {
    seam.app?.(app, fail)
    app.get('/', { websocket: true, config: { sockets: seam.route ?? {} } }, (socket) => seam.handler?.(socket, app.sockets.of(socket), fail) as never)
  }, { fastify: (seam.fastify?.(fail) ?? {}) as never })
  // The three ways in which a connection ends: by its client, by a cut, by the drain.
  const options = { origin: 'http://a.example' }
  const cut = await rawConnect(t, app, '/', { Origin: options.origin }).catch(() => null)
  const [leaver, ...stayers] = await Promise.all([0, 1].map(() => connect(t, app, '/', options).catch(() => null)))
  for (const client of [leaver, ...stayers]) {
    client?.send('one')
    client?.send('two')
    client?.socket.ping()
  }
  cut?.send(Opcode.Text, 'one')
  cut?.reset()
  await leaver?.close()
  // A handshake and its answer: what was sent before it has been dealt with.
  await app.inject('/nothing').catch(() => {})
  await within(10_000, app.close(), 'the app does not close')
  assert.equal(app.sockets.size, 0)
  for (const settle of hanging) settle()
  // What nothing takes shows here, and not in the next test.
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => { setImmediate(resolve) })
  assert.deepEqual(stray.splice(0), [])
}

test('an app whose plugin could not be registered closes', async (t) => {
  const app = create(t)
  await assert.rejects(async () => { await app.register((await import('../../lib/index.ts')).default, { owner: 1 as never }) })
})
