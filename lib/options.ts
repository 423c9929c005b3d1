/**
 * Every option: one interface, one defaults object, one function that checks, fills and freezes.
 *
 * The rest of lib/ sees only what `resolveOptions` returns and never fills a gap itself. `undefined` means the default,
 * `false` means off, unknown keys throw. Durations are milliseconds, sizes bytes.
 */
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyRequest, RouteShorthandOptions } from 'fastify'
import { CloseCode, isSendable } from './core/close-codes.ts'
import type { Connection, ConnectionData } from './core/connection.ts'
import { check, knownKeys } from './core/check.ts'
import { makePlan } from './policies/drain/plan.ts'
import type { DrainPlan } from './policies/drain/plan.ts'
import type { DrainReason, ReconnectOptions } from './policies/drain/reconnect.ts'

/** How the server leaves. */
export interface DrainOptions {
  /** From the start of a drain to its end, at most. @default 8000, or terminationGracePeriod − preStop − reserve */
  timeout?: number
  /** `terminationGracePeriodSeconds` of the pod, in milliseconds; `timeout` follows from it. @default undefined */
  terminationGracePeriod?: number
  /** Duration of the preStop hook, which counts inside the grace period. @default 0 */
  preStop?: number
  /** Kept back after the drain for HTTP and other plugins' onClose. @default 5000 */
  reserve?: number
  /** Serve on for this long first, so that load balancers learn; for signals and `drain()`, not for `app.close()`. @default 0 */
  settleDelay?: number
  /** Send the close frames evenly over this time; false: as fast as the window of 64 permits. @default false */
  spread?: number | false
  /** Close code; 1001 when nobody should come back here. @default 1012 */
  code?: number
  /** Close reason, to which `; retry=<ms>` is added; or a function that makes the whole reason (false: none). @default 'service restart' */
  reason?: DrainReason
  /** When clients should come back. */
  reconnect?: Partial<ReconnectOptions>
}

/** Options of `signals`. */
export interface SignalOptions {
  /** Also drain and exit 1 on an uncaught exception or an unhandled rejection, and on beforeExit. @default false */
  errors?: boolean
}

/** Readiness route: its path, or a Fastify route's options with a `url`. */
export type ReadinessOptions = string | (RouteShorthandOptions & { url: string })

/** Options of the plugin. `options`, `errorHandler` and `preClose` are @fastify/websocket's. */
export interface LifecycleOptions extends WebsocketPluginOptions {
  /** Whom a connection belongs to; called when it opens, after the route's hooks. */
  owner?: (request: FastifyRequest) => string | undefined
  /** Fills `connection.data` when it opens. */
  data?: (request: FastifyRequest) => ConnectionData
  /** Called when a connection opens, before its handler. */
  onOpen?: (connection: Connection) => unknown
  /** Called for each connection when the server leaves; may send; what it returns is awaited until grace ends. */
  onDrain?: (connection: Connection) => unknown
  drain?: DrainOptions
  /** How long a peer may take to answer our close frame (RFC 6455 §7.1.1). @default min(2000, drain.timeout / 5) */
  closeTimeout?: number
  /** How long one cleanup may take. @default 5000 */
  cleanupTimeout?: number
  /** Drain and exit on SIGTERM, SIGINT and the like, through close-with-grace. @default false */
  signals?: boolean | SignalOptions
  /** A route that answers 200, and 503 from the first moment of a drain. @default false */
  readiness?: ReadinessOptions | false
  /** Close records kept. @default 256 */
  history?: number
  /** A listener that throws or rejects ends its own connection, not the process. @default true */
  isolation?: boolean
  /** Close code after such a fault. @default 1011 */
  errorCode?: number
}

/** Options of one route, in its `config.sockets`. */
export interface RouteSocketOptions {
  /** Read nothing until the first message listener or `messages()`. @default false */
  holdMessages?: boolean
  /** Keep the upgrade request as `connection.request`. @default false */
  keepRequest?: boolean
  /** The handler's promise is work that a drain waits for. @default false */
  waitForHandler?: boolean
}

/** What stands where nothing is given; docs/options.md is tested against it. */
export const defaults = Object.freeze({
  drain: Object.freeze({
    timeout: 8_000,
    preStop: 0,
    reserve: 5_000,
    settleDelay: 0,
    spread: false as number | false,
    code: CloseCode.ServiceRestart as number,
    reason: 'service restart' as DrainReason,
    reconnect: Object.freeze({ rate: 200, minDelay: 1_000, maxDelay: 60_000 })
  }),
  cleanupTimeout: 5_000,
  signals: false as boolean,
  readiness: false as ReadinessOptions | false,
  history: 256,
  isolation: true,
  errorCode: CloseCode.InternalError as number,
  route: Object.freeze({ holdMessages: false, keepRequest: false, waitForHandler: false })
})

/** Checked, filled and frozen. */
export interface ResolvedOptions {
  readonly websocket: Readonly<WebsocketPluginOptions>
  readonly owner: LifecycleOptions['owner']
  readonly data: LifecycleOptions['data']
  readonly onOpen: LifecycleOptions['onOpen']
  readonly onDrain: LifecycleOptions['onDrain']
  readonly drain: { readonly code: number, readonly reason: DrainReason, readonly reconnect: ReconnectOptions, readonly evenly: boolean }
  readonly plan: DrainPlan
  readonly closeTimeout: number
  readonly cleanupTimeout: number
  readonly signals: false | { readonly errors: boolean }
  readonly readiness: false | (RouteShorthandOptions & { url: string })
  readonly history: number
  readonly isolation: boolean
  readonly errorCode: number
}

/** Options of a route, checked, filled and frozen. */
export type ResolvedRouteOptions = Readonly<Required<RouteSocketOptions>>

/** What Fastify itself takes in the options of `register`. */
const FASTIFY_KEYS = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']
const WEBSOCKET_KEYS = ['options', 'errorHandler', 'preClose']
const OWN_KEYS = [
  'owner', 'data', 'onOpen', 'onDrain', 'drain', 'closeTimeout', 'cleanupTimeout', 'signals', 'readiness', 'history', 'isolation', 'errorCode'
]
const DRAIN_KEYS = ['timeout', 'terminationGracePeriod', 'preStop', 'reserve', 'settleDelay', 'spread', 'code', 'reason', 'reconnect']

/**
 * Checks and fills the plugin's options; never changes what it is given.
 * Throws SOCKETS_ERR_INVALID_OPTION and SOCKETS_ERR_OPTION_CONFLICT.
 */
export function resolveOptions (given: LifecycleOptions = {}): ResolvedOptions {
  knownKeys('', given, [...WEBSOCKET_KEYS, ...OWN_KEYS, ...FASTIFY_KEYS])
  const { drain = {} } = given
  knownKeys('drain', drain, DRAIN_KEYS)
  const reconnect = resolveReconnect(drain.reconnect)
  const code = check.where('drain.code', drain.code, defaults.drain.code, isSendable, 'a close code (1000-1003, 1007-1014, 3000-4999)')
  const reason = check.where('drain.reason', drain.reason, defaults.drain.reason,
    (value) => typeof value === 'string' || typeof value === 'function', 'a string or a function')
  const spread = drain.spread === false ? false : check.duration('drain.spread', drain.spread, defaults.drain.spread, 'false or a non-negative integer (ms)')
  const plan = makePlan({
    timeout: check.positive('drain.timeout', drain.timeout, undefined),
    defaultTimeout: defaults.drain.timeout,
    terminationGracePeriod: check.positive('drain.terminationGracePeriod', drain.terminationGracePeriod, undefined),
    preStop: check.duration('drain.preStop', drain.preStop, defaults.drain.preStop),
    reserve: check.duration('drain.reserve', drain.reserve, defaults.drain.reserve),
    settleDelay: check.duration('drain.settleDelay', drain.settleDelay, defaults.drain.settleDelay),
    spread,
    closeTimeout: check.positive('closeTimeout', given.closeTimeout, undefined)
  })
  return Object.freeze({
    websocket: Object.freeze({ options: given.options, errorHandler: given.errorHandler, preClose: given.preClose }) as WebsocketPluginOptions,
    owner: check.fn('owner', given.owner),
    data: check.fn('data', given.data),
    onOpen: check.fn('onOpen', given.onOpen),
    onDrain: check.fn('onDrain', given.onDrain),
    drain: Object.freeze({ code, reason, reconnect, evenly: spread !== false }),
    plan,
    closeTimeout: plan.closeTimeout,
    cleanupTimeout: check.positive('cleanupTimeout', given.cleanupTimeout, defaults.cleanupTimeout),
    signals: resolveSignals(given.signals),
    readiness: resolveReadiness(given.readiness),
    history: check.duration('history', given.history, defaults.history, 'a non-negative integer'),
    isolation: check.flag('isolation', given.isolation, defaults.isolation),
    errorCode: check.where('errorCode', given.errorCode, defaults.errorCode, isSendable, 'a close code (1000-1003, 1007-1014, 3000-4999)')
  })
}

/** Checks and fills a route's `config.sockets`; `route` names it in errors. */
export function resolveRouteOptions (route: string, given: RouteSocketOptions = {}): ResolvedRouteOptions {
  const path = `config.sockets of route ${route}`
  knownKeys(path, given, Object.keys(defaults.route))
  return Object.freeze({
    holdMessages: check.flag(`${path}.holdMessages`, given.holdMessages, defaults.route.holdMessages),
    keepRequest: check.flag(`${path}.keepRequest`, given.keepRequest, defaults.route.keepRequest),
    waitForHandler: check.flag(`${path}.waitForHandler`, given.waitForHandler, defaults.route.waitForHandler)
  })
}

function resolveReconnect (given: Partial<ReconnectOptions> = {}): ReconnectOptions {
  const { rate, minDelay, maxDelay } = defaults.drain.reconnect
  knownKeys('drain.reconnect', given, ['rate', 'minDelay', 'maxDelay'])
  const resolved = {
    rate: check.where('drain.reconnect.rate', given.rate, rate, (value) => Number.isFinite(value) && (value as number) > 0, 'a positive number (clients a second)'),
    minDelay: check.duration('drain.reconnect.minDelay', given.minDelay, minDelay),
    maxDelay: check.duration('drain.reconnect.maxDelay', given.maxDelay, maxDelay)
  }
  if (resolved.maxDelay < resolved.minDelay) {
    check.conflict(`drain.reconnect: maxDelay ${resolved.maxDelay} ms is less than minDelay ${resolved.minDelay} ms`)
  }
  return Object.freeze(resolved)
}

function resolveSignals (given: LifecycleOptions['signals']): ResolvedOptions['signals'] {
  if (typeof given !== 'object' || given === null) {
    return check.flag('signals', given, defaults.signals, 'true, false or an object') && Object.freeze({ errors: false })
  }
  knownKeys('signals', given, ['errors'])
  return Object.freeze({ errors: check.flag('signals.errors', given.errors, false) })
}

function resolveReadiness (given: LifecycleOptions['readiness']): ResolvedOptions['readiness'] {
  if (given === undefined || given === false) return false
  const route = typeof given === 'object' && given !== null && !Array.isArray(given) ? { ...given } : { url: given }
  const isPath = typeof route.url === 'string' && route.url.startsWith('/')
  check.where('readiness', isPath ? route.url : given, '', () => isPath, 'false, a path that starts with /, or route options with such a url')
  return Object.freeze(route as Exclude<ReadinessOptions, string>)
}
