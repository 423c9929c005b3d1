// Checked by tsd against dist/: limits, origins, rates, slow readers, modes and broadcasts.
import { Buffer } from 'node:buffer'
import Fastify, { type FastifyRequest } from 'fastify'
import plugin, {
  CloseCode, defaults,
  type BackpressureOptions, type BroadcastResult, type CloseCause, type Connection, type Filter, type LifecycleEvents, type LifecycleOptions, type LimitOptions,
  type LimitsOptions, type MessageRateOptions, type Mode, type Observation, type PolicyName, type Refusal, type RouteSocketOptions, type TermsOptions, type WritableOptions
} from 'fastify-websocket-lifecycle'
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'

const app = Fastify()
await app.register(plugin, {
  owner: (request) => request.headers.authorization,
  limits: {
    total: { max: 10_000 },
    perOwner: { max: 5, policy: 'evict-oldest' },
    perAddress: { max: 100, policy: 'refuse' },
    pressure: true,
    handshakes: { max: 500, timeout: 10_000 }
  },
  refusal: 'close',
  allowedOrigins: ['https://example.com'],
  mode: { perOwner: 'observe' },
  messageRate: { max: 20 },
  backpressure: { maxBufferedBytes: 1_048_576 }
})

// ——— limits

expectAssignable<LimitOptions>({ max: 1 })
expectAssignable<LimitOptions>({ max: 1, policy: 'evict-idlest' })
expectNotAssignable<LimitOptions>({})
expectNotAssignable<LimitOptions>({ policy: 'refuse' })
expectNotAssignable<LimitOptions>({ max: '1' })
expectNotAssignable<LimitOptions>({ max: 1, policy: 'evict' })
expectAssignable<LimitsOptions>({})
expectAssignable<LimitsOptions>({ total: false, perOwner: false, perAddress: false, pressure: false, handshakes: { max: false, timeout: false } })
expectNotAssignable<LimitsOptions>({ total: 10 })
expectNotAssignable<LimitsOptions>({ perOwner: true })
expectNotAssignable<LimitsOptions>({ pressure: 'high' })
expectNotAssignable<LimitsOptions>({ handshakes: { max: true } })
expectError(await app.register(plugin, { limits: { perUser: { max: 1 } } }))
expectError(await app.register(plugin, { limits: { total: { max: 1, min: 0 } } }))
expectAssignable<LifecycleOptions>({ refusal: 'http' })
expectNotAssignable<LifecycleOptions>({ refusal: 'tcp' })
expectNotAssignable<RouteSocketOptions>({ limits: { total: { max: 1 } } })

// ——— origins

for (const allowedOrigins of ['report', 'same-origin', false] as const) expectAssignable<LifecycleOptions>({ allowedOrigins })
expectAssignable<LifecycleOptions>({ allowedOrigins: ['https://example.com', 'null'] as const })
expectAssignable<LifecycleOptions>({ allowedOrigins: (origin: string, request: FastifyRequest) => origin === request.host })
await app.register(plugin, {
  allowedOrigins: (origin, request) => {
    expectType<string>(origin)
    expectAssignable<FastifyRequest>(request)
    return true
  }
})
expectNotAssignable<LifecycleOptions>({ allowedOrigins: 'https://example.com' })
expectNotAssignable<LifecycleOptions>({ allowedOrigins: true })
expectNotAssignable<LifecycleOptions>({ allowedOrigins: [/example/] })
expectNotAssignable<LifecycleOptions>({ allowedOrigins: async () => true })
expectNotAssignable<LifecycleOptions>({ allowedOrigins: () => 'yes' })

// ——— rates and slow readers, of the plugin and of a route

expectAssignable<MessageRateOptions>({ max: 20 })
expectAssignable<MessageRateOptions>({ max: 20, timeWindow: 1_000, burst: 40, policy: 'pause' })
expectNotAssignable<MessageRateOptions>({ timeWindow: 1_000 })
expectNotAssignable<MessageRateOptions>({ max: 20, policy: 'drop' })
expectNotAssignable<MessageRateOptions>({ max: 20, timeWindow: '1s' })
expectAssignable<BackpressureOptions>({})
expectAssignable<BackpressureOptions>({ maxStallTime: 60_000, maxBufferedBytes: 1_048_576, policy: 'drop' })
expectAssignable<BackpressureOptions>({ maxStallTime: false, maxBufferedBytes: false })
expectNotAssignable<BackpressureOptions>({ maxBufferedBytes: '1m' })
expectNotAssignable<BackpressureOptions>({ maxStallTime: true })
expectNotAssignable<BackpressureOptions>({ policy: 'pause' })
expectAssignable<TermsOptions>({ messageRate: false, backpressure: false })
expectAssignable<RouteSocketOptions>({ messageRate: { max: 1 }, backpressure: { policy: 'drop', maxBufferedBytes: 1 } })
expectNotAssignable<TermsOptions>({ messageRate: 20 })
expectNotAssignable<TermsOptions>({ messageRate: true })
expectNotAssignable<TermsOptions>({ backpressure: true })
app.get('/strict', { websocket: true, config: { sockets: { messageRate: { max: 5, policy: 'pause' }, backpressure: { maxBufferedBytes: 65_536 } } } }, () => {})
expectError(app.get('/', { websocket: true, config: { sockets: { messageRate: { max: '5' } } } }, () => {}))

// ——— mode

expectAssignable<Mode>('enforce')
expectAssignable<LifecycleOptions>({ mode: 'observe' })
expectAssignable<LifecycleOptions>({ mode: { origin: 'observe', total: 'enforce' } })
expectNotAssignable<LifecycleOptions>({ mode: 'report' })
expectNotAssignable<LifecycleOptions>({ mode: { origin: 'off' } })
expectError(await app.register(plugin, { mode: { drain: 'observe' } }))
for (const name of ['heartbeat', 'idle', 'lifetime', 'expiry', 'origin', 'total', 'perOwner', 'perAddress', 'handshakes', 'pressure', 'backpressure', 'messageRate'] as const) expectAssignable<PolicyName>(name)
expectNotAssignable<PolicyName>('drain')
expectType<Partial<Record<PolicyName, number>>>(app.sockets.stats().observed)
expectType<number | undefined>(app.sockets.stats().observed.origin)
app.sockets.on('observed', (observation) => {
  expectType<Observation>(observation)
  expectType<PolicyName>(observation.policy)
  expectType<'refuse' | 'evict' | 'close' | 'terminate' | 'drop' | 'pause'>(observation.action)
  expectType<Connection | undefined>(observation.connection)
  expectType<string | undefined>(observation.path)
})
expectType<[observation: Observation]>({} as LifecycleEvents['observed'])
expectAssignable<Refusal['reason']>('perOwner')
expectAssignable<Refusal['reason']>('origin')
expectNotAssignable<Refusal['reason']>('full')

// ——— what a tracker and a connection offer

expectType<Promise<BroadcastResult>>(app.sockets.broadcast('text', 'all'))
expectType<Promise<BroadcastResult>>(app.sockets.broadcast(new Uint8Array(1), { tag: 'lobby' }))
expectType<Promise<BroadcastResult>>(app.sockets.broadcast(Buffer.alloc(1), {} as Filter))
expectType<{ sent: number, queued: number, dropped: number }>({ ...({} as BroadcastResult) })
expectError(app.sockets.broadcast('to whom?'))
expectError(app.sockets.broadcast({ json: true }, 'all'))
expectError(app.sockets.broadcast('text', 'everyone'))
expectError(app.sockets.broadcast('text', { owner: 42 }))

declare const connection: Connection
expectType<Promise<void>>(connection.writable())
expectType<Promise<void>>(connection.writable({ signal: connection.drainSignal }))
expectAssignable<WritableOptions>({ signal: AbortSignal.timeout(1) })
expectError(connection.writable({ timeout: 1 }))
expectError(connection.writable(new AbortController().signal.aborted))

expectType<4001>(CloseCode.Replaced)
expectType<4008>(CloseCode.SlowReader)
expectType<1013>(CloseCode.TryAgainLater)
for (const cause of ['replaced', 'refused', 'rate', 'slow', 'rebalance', 'expired', 'disconnected'] as const) expectAssignable<CloseCause>(cause)

expectType<number | false>(defaults.backpressure.maxStallTime)
expectType<boolean>(defaults.limits.pressure)
expectError(defaults.limits.pressure = true)
expectError(defaults.refusal = 'close')
