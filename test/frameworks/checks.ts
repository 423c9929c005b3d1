/**
 * What every framework must pass, with its own server code and, where it has one, its own client; both unchanged.
 *
 * A test file says how its framework is set up and how its client connects (`Framework`) and hands that to
 * `checkFramework`; what is special about the framework it tests by itself.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import type { Connection, LifecycleOptions } from '../../lib/index.ts'
import { assertBounded, assertClean, logged, Opcode, portOf, rawConnect, reportOf, start, until, within } from '../helpers/server.ts'
import type { Closed, TestApp } from '../helpers/server.ts'

/** One client of a framework. */
export interface Client {
  /** Has the server do something for it; resolves when that was seen to work. */
  works (): Promise<void>
  /** Sends something that holds FAULT; does not wait for anything. */
  provoke (): void
  /** How its first connection ended, as the client's own library saw it. Never rejects. */
  readonly ended: Promise<Closed>
  /** Ends it, and its attempts to come back. */
  stop (): unknown
}

/** A framework on our plugin. */
export interface Framework {
  /** Pattern of its route as `app.sockets` shows it; a path that can be asked for. */
  route: string
  /** Query without which it turns a handshake away. */
  query?: string
  /** Runs before our plugin is registered. */
  before? (app: FastifyInstance): unknown
  /** Runs after our plugin was registered. */
  setUp? (app: FastifyInstance): unknown
  /** Options of our plugin. */
  options?: LifecycleOptions
  /** For a framework that listens by itself. */
  listen? (app: FastifyInstance, port: number): unknown
  /** For a framework that has its own way to close. */
  close? (app: FastifyInstance): unknown
  /** A client that is connected and has been served. */
  connect (t: TestContext, url: string): Promise<Client>
  /** Headers without which it turns a handshake away. */
  headers?: Record<string, string>
  /** Whether the client comes back by itself after a restart; where not, it tells that it has ended. */
  comesBack: boolean
}

/** A server with a framework on it. */
export interface Setting {
  app: TestApp
  /** Host and port. */
  url: string
  /** What was done at the end, in order. */
  events: string[]
  close (): Promise<void>
}

/** The word at which a listener of the application throws. */
export const FAULT = 'boom'

const CLEANED_UP = 'a connection was cleaned up'

/**
 * Starts a server with the framework, and with what an application has beside it: a listener of its own on each socket,
 * a cleanup for each connection, and two plugins that close something, one registered before all else and one after.
 */
export async function serve (t: TestContext, framework: Framework, port = 0): Promise<Setting> {
  const events: string[] = []
  const { options, setUp, before, listen } = framework
  const plugin = (name: string) => async (app: FastifyInstance) => {
    app.addHook('onClose', async () => { events.push(`the ${name} plugin has closed`) })
  }
  const app = await start(t, {
    ...options,
    drain: { timeout: 4_000, reconnect: { minDelay: 20, maxDelay: 50 }, ...options?.drain },
    onOpen: (connection) => {
      options?.onOpen?.(connection)
      connection.socket.on('message', (data: Buffer) => {
        if (data.includes(FAULT)) throw new Error('a listener of the application failed')
      })
      connection.defer(async () => {
        // Turns of the event loop, as something that is asked elsewhere takes.
        for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => { setImmediate(resolve) })
        events.push(CLEANED_UP)
      })
    }
  }, async (app) => {
    await setUp?.(app)
    await app.register(plugin('last'))
  }, {
    listen: listen === undefined && { port },
    before: async (app) => {
      await app.register(plugin('first'))
      await before?.(app)
    }
  })
  await listen?.(app, port)
  return {
    app,
    url: `127.0.0.1:${portOf(app)}`,
    events,
    close: async () => { await (framework.close ?? (() => app.close()))(app) }
  }
}

/** The status a handshake is answered with. */
async function statusOf (t: TestContext, url: string): Promise<number | undefined> {
  const socket = new WebSocket(url)
  t.after(() => { socket.terminate() })
  // ws emits one when it is terminated before it has opened.
  socket.on('error', () => {})
  return new Promise((resolve) => {
    socket.once('open', () => { resolve(101) })
    socket.once('unexpected-response', (_request, response) => {
      response.resume()
      resolve(response.statusCode)
    })
  })
}

// ——— the checks

async function tracked (t: TestContext, framework: Framework): Promise<void> {
  const { app, url } = await serve(t, framework)
  const clients = [await framework.connect(t, url), await framework.connect(t, url)] as const
  assert.equal(app.sockets.size, 2)
  const connections = app.sockets.list({ route: framework.route })
  assert.equal(connections.length, 2, `routes: ${app.sockets.list().map(({ route }) => route).join(', ')}`)
  for (const connection of connections) {
    assert.equal(app.sockets.of(connection.socket), connection)
    assert.equal(app.sockets.get(connection.id), connection)
    assert.equal(connection.state, 'open')
    assert.equal(connection.ip, '127.0.0.1')
  }
  for (const client of clients) await client.works()
  for (const { messagesReceived } of connections) assert.ok(messagesReceived > 0)

  await clients[0].stop()
  await until(() => app.sockets.size === 1, 'one of two to leave')
  const { route, cause, clean } = app.sockets.history.at(-1)!
  assert.deepEqual({ route, cause, clean }, { route: framework.route, cause: 'client', clean: true })
  await clients[1].works()

  await clients[1].stop()
  await until(() => app.sockets.size === 0, 'both to leave')
  // A listener may still be at work on what its client has left.
  await until(() => app.sockets.stats().working === 0, 'their work to end')
  await assertClean(app, { sockets: Infinity })
}

async function isolated (t: TestContext, framework: Framework): Promise<void> {
  // graphql-ws clients give up for good on 1011.
  const { app, url } = await serve(t, { ...framework, options: { ...framework.options, errorCode: 4999 } })
  const bystander = await framework.connect(t, url)
  const victim = await framework.connect(t, url)
  const [calm, struck] = app.sockets.list() as [Connection, Connection]
  const errors: Array<[message: string, connection: number]> = []
  app.sockets.on('error', (error, { id }) => { errors.push([(error as Error).message, id]) })

  victim.provoke()
  assert.deepEqual(await within(5_000, victim.ended, 'the client did not hear of its end'), { code: 4999, reason: 'internal error' })
  const { cause, code } = await struck.closed
  assert.deepEqual({ cause, code }, { cause: 'error', code: 4999 })
  // Its client may be back already, and have sent the same again.
  assert.deepEqual(errors.filter(([, id]) => id === struck.id), [['a listener of the application failed', struck.id]])
  assert.deepEqual(errors.filter(([, id]) => id === calm.id), [])
  await victim.stop()

  assert.equal(calm.state, 'open')
  await bystander.works()
  const later = await framework.connect(t, url)
  await later.works()
  await later.stop()
  await bystander.stop()
}

async function drained (t: TestContext, framework: Framework): Promise<void> {
  const { app, url, events, close } = await serve(t, framework)
  const clients = await Promise.all(Array.from({ length: 3 }, () => framework.connect(t, url)))
  for (const client of clients) await client.works()
  await close()
  for (const { ended } of clients) {
    const { code, reason } = await within(5_000, ended, 'a client did not hear of its end')
    assert.equal(code, 1012)
    assert.match(reason, /^service restart; retry=\d+$/)
  }
  for (const client of clients) await client.stop()
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual(report.connections, { total: 3, clean: 3, leftByThemselves: 0, terminated: 0, unfinished: 0, causes: { drain: 3 } })
  assert.deepEqual({ ...report.cleanups, finished: 3 }, { finished: 3, failed: 0, abandoned: [] })
  assert.deepEqual(events, [...Array<string>(3).fill(CLEANED_UP), 'the last plugin has closed', 'the first plugin has closed'])
}

async function refused (t: TestContext, framework: Framework): Promise<void> {
  const { app, url, close } = await serve(t, framework)
  const client = await framework.connect(t, url)
  const [connection] = app.sockets.list() as [Connection]
  const work = deferred<void>()
  void connection.track(work.promise)
  const drain = app.sockets.drain()
  await until(() => connection.state === 'draining', 'the drain to begin')

  assert.equal(await statusOf(t, `ws://${url}${framework.route}${framework.query ?? ''}`), 503)
  await client.works()

  work.resolve()
  const { connections, work: { finished }, refused } = await drain
  assert.deepEqual({ ...connections.causes, finished, refused }, { drain: 1, finished: 1, refused: 1 })
  await client.stop()
  await close()
}

async function restarted (t: TestContext, framework: Framework): Promise<void> {
  const first = await serve(t, framework)
  const client = await framework.connect(t, first.url)
  await client.works()
  await first.close()
  assert.equal((await within(5_000, client.ended, 'the client did not hear of its end')).code, 1012)

  const second = await serve(t, framework, Number(first.url.split(':')[1]))
  if (framework.comesBack) {
    await within(20_000, client.works(), 'the client did not come back')
    await client.stop()
  } else {
    await client.stop()
    const successor = await framework.connect(t, second.url)
    await successor.works()
    await successor.stop()
  }
  await until(() => second.app.sockets.size === 0, 'the client to leave')
  assert.equal(second.app.sockets.stats().opened, 1)
}

/** The interval of our heartbeat in `watched`, milliseconds. */
const INTERVAL = 200
/** What our pings carry. */
const PING = 'lifecycle'
/** How long clients that do nothing are watched, milliseconds: several intervals. */
const WATCH = 6 * INTERVAL

/** `period` is that of the framework's own keep-alive, where that is on. */
async function watched (t: TestContext, framework: Framework, period?: number): Promise<void> {
  const { app, url } = await serve(t, { ...framework, options: { ...framework.options, heartbeat: { interval: INTERVAL, maxMissed: 2 } } })
  const clients = [await framework.connect(t, url), await framework.connect(t, url)] as const
  const connections = app.sockets.list()
  let others = 0
  for (const { socket } of connections) socket.on('pong', (data: Buffer) => { if (data.toString() !== PING) others++ })
  const messages = () => connections.reduce((sum, { messagesReceived }) => sum + messagesReceived, 0)
  const before = messages()
  const raw = await rawConnect(t, app, `${framework.route}${framework.query ?? ''}`, framework.headers)
  const [dead] = app.sockets.list().filter((connection) => !connections.includes(connection)) as [Connection]
  const from = performance.now()

  // It never says a word: pinged, and found.
  const { cause, code } = await within(20_000, dead.closed, 'the dead client was not found')
  assert.deepEqual({ cause, code }, { cause: 'heartbeat', code: 1006 })
  await raw.ended
  assert.ok(raw.frames.some(({ opcode, payload }) => opcode === Opcode.Ping && payload.toString() === PING), 'it was not asked')
  assert.equal(raw.frames.some(({ opcode }) => opcode === Opcode.Close), false)

  await until(() => connections.every(({ rtt }) => rtt !== undefined), 'a ping of ours to be answered')
  await until(() => performance.now() - from > (period === undefined ? WATCH : 2.5 * period), 'some intervals')
  if (period !== undefined) assert.ok(others > 0 || messages() > before, 'its own keep-alive has not asked once')
  for (const { state, rtt } of connections) assert.ok(state === 'open' && rtt! >= 0, `${state} ${rtt}`)
  assert.equal(app.sockets.stats().opened, 3, 'no client had to reconnect')
  assert.deepEqual(app.sockets.stats().closed, { heartbeat: 1 })
  assert.equal(logged(app, /a peer was dead/).length, 1)
  for (const client of clients) await client.works()
  for (const client of clients) await client.stop()
}

/** What every framework must pass, by title. */
const CHECKS: ReadonlyArray<[title: string, check: (t: TestContext, framework: Framework) => Promise<void>]> = [
  ['its sockets are tracked, with their route, and leave with their client', tracked],
  ['a listener of the application that throws ends its own connection and no other', isolated],
  ['closing drains with our code and reason, and other plugins close after the last cleanup', drained],
  ['while work is in flight a drain goes on serving, and refuses handshakes with 503', refused],
  ['its own client works after a restart as before', restarted],
  ['clients that do nothing live on under our heartbeat, and one that is dead is found', watched]
]

/**
 * Declares the test of our heartbeat beside a framework's own, which is on in the one given and beats every `period`
 * milliseconds: more than it takes us to find who is dead, or it would be before us.
 */
export function checkBothHeartbeats (name: string, framework: Framework, period: number): void {
  test(`${name}: beside its own keep-alive our heartbeat does no harm, and still finds who is dead`, (t) => watched(t, framework, period))
}

/** Declares the tests that every framework must pass. */
export function checkFramework (name: string, framework: Framework): void {
  for (const [title, check] of CHECKS) test(`${name}: ${title}`, (t) => check(t, framework))
}
