// Checked by tsd against dist/: what TypeScript users may write, and what must be refused.
import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyBaseLogger, type FastifyPluginCallback, type FastifyRequest } from 'fastify'
import plugin, {
  CHANNELS, CloseCode, defaults, FLEET_CHANNELS,
  type AbandonedCleanup, type AuditRecord, type ChannelMessages, type CloseCause, type ClosedCount, type ClosedError, type CloseOptions, type CloseRecord, type Connection,
  type ConnectionData, type ConnectionState, type DrainOptions, type DrainPhase, type DrainPlan, type DrainProgress, type DrainReport,
  type Clock, type DrainStart, type DrainTrigger, type Filter, type FleetEvents, type FleetStats, type HeartbeatOptions, type Histogram, type LifecycleEvents, type LifecycleOptions,
  type LimitsOptions, type Listener, type Message, type PlanPhase, type ReadinessOptions, type Refusal, type RouteSocketOptions, type RouteStats,
  type SignalOptions, type StopSignal, type Story, type TermsOptions, type Tracker, type TrackerState, type TrackerStats
} from 'fastify-websocket-lifecycle'
import namedPlugin from 'fastify-websocket-lifecycle'
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'
import { WebSocketServer, type WebSocket } from 'ws'

declare module 'fastify-websocket-lifecycle' {
  interface ConnectionData {
    // A required field makes the option `data` required: test/packaging/use-typescript.ts has one.
    userId?: string
  }
}

const app = Fastify()

// ——— registration

await app.register(plugin)
await app.register(namedPlugin, {})
await app.register(plugin, { closeTimeout: 1_000, drain: { timeout: 5_000 } })
await app.register(plugin, { prefix: '/ws', logLevel: 'warn' })
app.register(plugin, { signals: true }).after((error) => { expectType<Error | null>(error) })
expectAssignable<FastifyPluginCallback<LifecycleOptions> | ((...args: never[]) => Promise<void>)>(plugin)

expectError(await app.register(plugin, { closeTimeout: '1s' }))
expectError(await app.register(plugin, { closeTimeOut: 1_000 }))
expectError(await app.register(plugin, { drain: 5_000 }))
expectError(await app.register(plugin, { drain: { timeOut: 5_000 } }))

// ——— options

expectAssignable<LifecycleOptions>({})
// Those of @fastify/websocket, at the top level.
expectAssignable<LifecycleOptions>({ options: { maxPayload: 65_536, perMessageDeflate: true, verifyClient: () => true } })
expectAssignable<LifecycleOptions>({ errorHandler (error, socket, request, reply) { void [error.message, socket.terminate(), request.id, reply.sent, this.log] } })
expectAssignable<LifecycleOptions>({ preClose: (done) => { done() } })
expectAssignable<LifecycleOptions>({ preClose: async () => {} })
expectNotAssignable<LifecycleOptions>({ options: { maxPayload: '64k' } })
expectNotAssignable<LifecycleOptions>({ errorHandler: 'log' })

expectAssignable<LifecycleOptions>({ owner: (request: FastifyRequest) => request.headers.authorization })
expectAssignable<LifecycleOptions>({ owner: () => undefined })
expectNotAssignable<LifecycleOptions>({ owner: 'id' })
expectNotAssignable<LifecycleOptions>({ owner: () => 42 })
expectNotAssignable<LifecycleOptions>({ owner: async () => 'late' })

expectAssignable<LifecycleOptions>({ data: (request) => ({ userId: request.id }) })
expectNotAssignable<LifecycleOptions>({ data: () => ({ userId: 1 }) })
expectAssignable<LifecycleOptions>({ data: () => ({}) })
expectNotAssignable<LifecycleOptions>({ data: async () => ({ userId: 'late' }) })

expectAssignable<LifecycleOptions>({ onOpen: (connection) => { connection.tag('new') } })
expectAssignable<LifecycleOptions>({ onOpen: async (connection) => { await connection.closed } })
expectAssignable<LifecycleOptions>({ onDrain: (connection) => { connection.socket.send('leaving') } })
expectAssignable<LifecycleOptions>({ onDrain: async () => {} })
expectNotAssignable<LifecycleOptions>({ onDrain: (connection: string) => connection })

expectAssignable<DrainOptions>({
  timeout: 8_000,
  terminationGracePeriod: 30_000,
  preStop: 5_000,
  reserve: 5_000,
  settleDelay: 0,
  spread: 1_000,
  code: 1001,
  reason: 'moving',
  reconnect: { rate: 200, minDelay: 1_000, maxDelay: 60_000 }
})
expectAssignable<DrainOptions>({ spread: false, reconnect: { rate: 50 } })
expectAssignable<DrainOptions>({ reason: (connection, delay) => `${connection.route} ${delay.toFixed()}` })
expectAssignable<DrainOptions>({ reason: () => false })
expectNotAssignable<DrainOptions>({ spread: true })
expectNotAssignable<DrainOptions>({ reason: () => 42 })
expectNotAssignable<DrainOptions>({ reconnect: 200 })
expectNotAssignable<DrainOptions>({ timeout: '8s' })

expectAssignable<LifecycleOptions>({ signals: false })
expectAssignable<LifecycleOptions>({ signals: { errors: true } })
expectAssignable<LifecycleOptions>({ signals: ['SIGTERM', 'SIGINT'] })
expectAssignable<SignalOptions>({ only: ['SIGTERM'], errors: true })
expectAssignable<SignalOptions>({ only: false })
expectType<'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR2'>({} as StopSignal)
expectNotAssignable<LifecycleOptions>({ signals: 'SIGTERM' })
expectNotAssignable<LifecycleOptions>({ signals: ['SIGKILL'] })
expectNotAssignable<SignalOptions>({ only: true })
expectNotAssignable<SignalOptions>({ errors: 'all' })
expectAssignable<LifecycleOptions>({ readiness: '/ready' })
expectAssignable<LifecycleOptions>({ readiness: false })
expectAssignable<ReadinessOptions>({ url: '/ready', logLevel: 'info', config: {} })
expectNotAssignable<ReadinessOptions>({ logLevel: 'info' })
expectNotAssignable<ReadinessOptions>(true)
expectAssignable<LifecycleOptions>({ history: 0, isolation: false, errorCode: 4500, closeTimeout: 1, cleanupTimeout: 1 })
expectNotAssignable<LifecycleOptions>({ history: false })
expectAssignable<LifecycleOptions>({ history: { size: 0, keep: ['owner', 'ip'] } })
expectAssignable<LifecycleOptions>({ history: { keep: [] } })
expectNotAssignable<LifecycleOptions>({ history: { keep: ['tags'] } })
expectNotAssignable<LifecycleOptions>({ isolation: 'on' })
expectAssignable<LifecycleOptions>({ heartbeat: true, idleTimeout: 60_000, maxLifetime: 3_600_000 })
expectAssignable<LifecycleOptions>({ heartbeat: false, idleTimeout: false, maxLifetime: false })
expectAssignable<LifecycleOptions>({ heartbeat: { interval: 25_000, maxMissed: 2 } })
expectAssignable<HeartbeatOptions>({ interval: 1_000 })
expectAssignable<HeartbeatOptions>({})
expectNotAssignable<HeartbeatOptions>({ interval: '25s' })
expectNotAssignable<HeartbeatOptions>({ maxMissed: false })
expectNotAssignable<LifecycleOptions>({ heartbeat: 25_000 })
expectNotAssignable<LifecycleOptions>({ idleTimeout: true })
expectNotAssignable<LifecycleOptions>({ maxLifetime: '1h' })
expectError(await app.register(plugin, { heartbeat: { timeout: 1_000 } }))
expectAssignable<LifecycleOptions>({ limits: { handshakes: { timeout: 10_000 } } })
expectAssignable<LimitsOptions>({ handshakes: { timeout: false } })
expectNotAssignable<LimitsOptions>({ handshakes: 10_000 })
expectNotAssignable<LimitsOptions>({ handshakes: { timeout: true } })
expectError(await app.register(plugin, { limits: { handshake: {} } }))
declare const clock: Clock
expectAssignable<LifecycleOptions>({ clock })
expectNotAssignable<LifecycleOptions>({ clock: Date })
// Explicit undefined is the default, also where exactOptionalPropertyTypes is off.
expectAssignable<LifecycleOptions>({ history: undefined, drain: undefined })

expectType<8_000>(defaults.drain.timeout)
expectType<25_000>(defaults.heartbeat.interval)
expectType<number | false>(defaults.idleTimeout)
expectError(defaults.drain.timeout = 1)
expectError(defaults.heartbeat.interval = 1)
expectError(defaults.history = 1)

// ——— routes

app.get('/', { websocket: true, config: { sockets: { holdMessages: true } } }, (socket, request) => {
  const connection = app.sockets.of(socket)
  expectType<Connection>(connection)
  expectType<string | undefined>(connection.data.userId)
  expectAssignable<FastifyRequest>(request)
})
app.get('/async', { websocket: true, config: { sockets: { keepRequest: true, waitForHandler: true } } }, async (socket) => {
  for await (const message of app.sockets.of(socket).messages()) expectType<Message>(message)
})
app.route({
  method: 'GET',
  url: '/both',
  config: { sockets: { keepRequest: true } },
  handler: async () => 'http',
  wsHandler: (socket) => { expectAssignable<WebSocket>(socket) }
})
app.get('/this', { websocket: true }, function (socket) {
  expectType<Tracker>(this.sockets)
  socket.close()
})
expectError(app.get('/', { websocket: true, config: { sockets: { holdMessages: 'yes' } } }, () => {}))
// Fastify infers the type of `config` from what is written, so an unknown key passes here; it throws when the route is added.
app.get('/', { websocket: true, config: { sockets: { hartbeat: false } } }, () => {})
expectError(app.get('/', { websocket: true, config: { sockets: { hartbeat: false } satisfies RouteSocketOptions } }, () => {}))
expectAssignable<RouteSocketOptions>({})
expectNotAssignable<RouteSocketOptions>({ waitForHandler: 1 })
app.get('/watched', { websocket: true, config: { sockets: { heartbeat: { interval: 5_000 }, idleTimeout: 60_000, maxLifetime: false } } }, () => {})
expectAssignable<RouteSocketOptions>({ heartbeat: false, idleTimeout: false, maxLifetime: 60_000 })
expectAssignable<RouteSocketOptions>({} as TermsOptions)
expectNotAssignable<RouteSocketOptions>({ heartbeat: 'off' })
expectNotAssignable<RouteSocketOptions>({ idleTimeout: '1m' })
expectNotAssignable<RouteSocketOptions>({ limits: {} })
expectError(app.get('/', { websocket: true, config: { sockets: { maxLifetime: true } } }, () => {}))

// ——— tracker

const { sockets } = app
expectType<Tracker>(sockets)
expectType<number>(sockets.size)
expectType<boolean>(sockets.accepting)
expectType<TrackerState>(sockets.state)
expectType<CloseRecord[]>(sockets.history)
expectType<Story[]>(sockets.explain({ id: 1 }))
expectType<Story[]>(sockets.explain({ owner: '42' }))
expectType<Story[]>(sockets.explain({ requestId: 'req-1' }))
expectError(sockets.explain({}))
expectError(sockets.explain('all'))
expectType<number>(sockets.disconnect({ id: 1 }, { by: 'ann', why: undefined }))
expectType<Promise<DrainReport>>(sockets.drain({ by: 'ann', why: 'new version' }))
sockets.on('audit', (act) => {
  expectType<AuditRecord>(act)
  expectType<'disconnect' | 'drain' | 'move'>(act.action)
})
expectType<Connection | undefined>(sockets.get(1))
expectType<TrackerStats>(sockets.stats())
expectType<number | undefined>(sockets.stats().closed.drain)
expectError(sockets.stats().closed.boredom)
expectType<number | undefined>(sockets.stats().refused['handshake timeout'])
expectError(sockets.stats().refused.boredom)
expectType<Record<string, RouteStats>>(sockets.stats().routes)
expectAssignable<ClosedCount[]>(sockets.stats().routes['/']!.closed)
expectType<Histogram>(sockets.stats().durations)
expectType<DrainPhase | undefined>(sockets.stats().drain?.phase)
expectType<FleetStats | null>(sockets.stats().fleet)
expectType<Promise<DrainReport>>(sockets.drain())
expectType<DrainPlan>(sockets.plan())
expectType<void>(sockets.adopt(new WebSocketServer({ noServer: true })))
expectError(sockets.size = 1)
expectError(sockets.state = 'draining')
expectError(sockets.of('socket'))
expectError(sockets.get('1'))
expectError(sockets.adopt({}))
expectError(sockets.drain({ timeout: 1 }))

// ——— filters

expectType<Connection[]>(sockets.list())
expectType<Connection[]>(sockets.list('all'))
expectType<Connection[]>(sockets.list({ owner: '42', tag: 'lobby', route: '/', state: 'open', where: (connection) => connection.data.userId === '1' }))
expectType<number>(sockets.count({ tag: 'lobby' }))
expectType<number>(sockets.disconnect({ owner: '42' }))
expectType<number>(sockets.disconnect('all', { code: 3003, reason: 'bye' }))
expectType<number>(sockets.disconnect('all', {}))
expectError(sockets.disconnect())
expectError(sockets.list('everyone'))
expectError(sockets.list({ owner: 42 }))
expectError(sockets.list({ Owner: '42' }))
expectError(sockets.list({ state: 'opened' }))
expectError(sockets.list({ where: 'open' }))
expectError(sockets.disconnect('all', { code: '3003' }))
expectError(sockets.disconnect('all', 3003))
expectAssignable<Filter>('all')
expectNotAssignable<CloseOptions>({ cause: 'drain' })

// ——— connections

declare const connection: Connection
expectType<number>(connection.id)
expectAssignable<WebSocket>(connection.socket)
expectType<ConnectionState>(connection.state)
expectType<number>(connection.openedAt)
expectType<string>(connection.route)
expectType<string>(connection.ip)
expectType<string>(connection.requestId)
expectType<string | undefined>(connection.owner)
expectType<ReadonlySet<string>>(connection.tags)
expectType<ConnectionData>(connection.data)
expectType<FastifyRequest | undefined>(connection.request)
expectType<FastifyBaseLogger>(connection.log)
expectType<number>(connection.messagesReceived)
expectType<AbortSignal>(connection.drainSignal)
expectType<AbortSignal>(connection.signal)
expectType<Promise<CloseRecord>>(connection.closed)
expectType<boolean>(connection.setOwner('42'))
expectType<boolean>(connection.setOwner(undefined))
expectType<void>(connection.tag('a', 'b'))
expectType<void>(connection.handover({ rooms: ['a'] }))
expectType<unknown>(connection.handed)
expectType<void>(connection.untag('a'))
expectType<Promise<number>>(connection.track(Promise.resolve(1)))
expectType<Promise<number>>(connection.track(Promise.resolve(1), 'report'))
expectType<() => void>(connection.defer(async () => {}))
expectType<AsyncIterableIterator<Message>>(connection.messages())
expectType<AsyncIterableIterator<Message>>(connection.messages({ highWaterMark: 1024 }))
expectType<Promise<CloseRecord>>(connection.close())
expectType<Promise<CloseRecord>>(connection.close(4000, 'done'))
expectType<Promise<CloseRecord>>(connection.terminate())
expectType<Promise<boolean>>(connection.move())
expectAssignable<LifecycleOptions>({ drain: { move: false } })
expectNotAssignable<LifecycleOptions>({ drain: { move: 'always' } })
expectType<number | undefined>(connection.rtt)
expectType<number | false>(connection.idleTimeout)
expectType<number | false>(connection.maxLifetime)
expectType<number | undefined>(connection.expiresAt)
connection.idleTimeout = 60_000
connection.idleTimeout = false
connection.maxLifetime = 3_600_000
connection.maxLifetime = false
connection.expiresAt = Date.now() + 60_000
connection.expiresAt = new Date()
connection.expiresAt = undefined
expectError(connection.rtt = 1)
expectError(connection.idleTimeout = undefined)
expectError(connection.idleTimeout = '1m')
expectError(connection.maxLifetime = true)
expectError(connection.maxLifetime = new Date())
expectError(connection.expiresAt = false)
expectError(connection.expiresAt = '2030-01-01')
connection.data = { userId: '1' }
expectError(connection.data = { userId: 1 })
expectError(connection.state = 'closed')
expectError(connection.owner = '42')
expectError(connection.tags.add('x'))
expectError(connection.setOwner(42))
expectError(connection.tag(1))
expectError(connection.handover())
expectError(connection.handed = 1)
expectError(connection.track(1))
expectError(connection.track(Promise.resolve(1), 1))
expectError(connection.defer('cleanup'))
expectError(connection.messages({ highWaterMark: '1k' }))
expectError(connection.close('done'))
expectType<string | Buffer>({} as Message)
expectType<'open' | 'draining' | 'closing' | 'closed'>({} as ConnectionState)

// ——— events

sockets.on('open', (opened) => { expectType<Connection>(opened) })
sockets.on('draining', (leaving) => { expectType<Connection>(leaving) })
sockets.on('closing', async (closing) => { expectType<Connection>(closing) })
sockets.on('closed', (closed, record) => {
  expectType<Connection>(closed)
  expectType<CloseRecord>(record)
  expectType<CloseCause>(record.cause)
  expectType<number>(record.code)
})
sockets.on('error', (error, failed) => {
  expectType<unknown>(error)
  expectType<Connection>(failed)
})
sockets.on('refused', (refusal) => {
  expectType<Refusal>(refusal)
  expectAssignable<string>(refusal.reason)
})
sockets.on('drain', (start) => { expectType<DrainStart>(start) })
sockets.on('progress', (progress) => {
  expectType<DrainProgress>(progress)
  expectType<DrainPhase>(progress.phase)
})
sockets.on('drained', (report) => { expectType<DrainReport>(report) })
expectType<Tracker>(sockets.on('open', () => {}).off('open', () => {}))
expectError(sockets.on('opened', () => {}))
expectError(sockets.on('open', (opened: string) => opened))
expectError(sockets.on('drained', (_report, connection) => connection))
expectAssignable<Listener<'closed'>>((closed: Connection) => closed.id)
expectType<[connection: Connection, record: CloseRecord]>({} as LifecycleEvents['closed'])

// ——— channels

expectType<'fastify-websocket-lifecycle:closed'>(CHANNELS.closed)
expectType<keyof LifecycleEvents>({} as keyof typeof CHANNELS)
expectType<'fastify-websocket-lifecycle:fleet:lost'>(FLEET_CHANNELS.lost)
expectType<keyof FleetEvents>({} as keyof typeof FLEET_CHANNELS)
sockets.fleet.on('up', ({ duration }) => { expectType<number>(duration) }).on('down', ({ error }) => { expectType<unknown>(error) })
expectType<{ connection: Connection, record: CloseRecord }>({} as ChannelMessages['closed'])
expectError(CHANNELS.closed = 'x')

// ——— reports and plans

declare const report: DrainReport
expectType<DrainTrigger>(report.trigger)
expectAssignable<DrainTrigger>('SIGTERM')
expectNotAssignable<DrainTrigger>('SIGNAL')
expectType<boolean>(report.aborted)
expectType<number>(report.phases.grace)
expectError(report.phases.done)
expectType<number>(report.connections.leftByThemselves)
expectType<number | undefined>(report.connections.causes.drain)
expectType<number>(report.work.abandoned)
expectType<AbandonedCleanup[]>(report.cleanups.abandoned)
expectType<{ min: number, max: number } | null>(report.reconnect)
declare const plan: DrainPlan
expectType<readonly PlanPhase[]>(plan.phases)
expectError(plan.timeout = 1)
expectType<number | undefined>(plan.terminationGracePeriod)
expectType<string>(String(plan))

// ——— codes, causes, errors

expectType<1012>(CloseCode.ServiceRestart)
expectType<4008>(CloseCode.SlowReader)
expectError(CloseCode.ServiceRestart = 1001)
expectAssignable<CloseCause>('drain')
expectNotAssignable<CloseCause>('unknown')
declare const closed: ClosedError
expectType<'SOCKETS_ERR_CLOSED'>(closed.code)
expectType<number>(closed.closeCode)

// ——— @fastify/websocket's own additions are still there

expectAssignable<WebSocketServer>(app.websocketServer)
app.addHook('onRequest', async (request) => { expectType<boolean>(request.ws) })
void app.injectWS('/', { headers: {} } satisfies Partial<IncomingMessage>)
