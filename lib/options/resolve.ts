/**
 * Checks, fills and freezes options. The rest of lib/ sees only resolved options and has no defaults of its own. Unknown keys
 * throw; the object that the application passes is never changed.
 */
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyRequest, RouteShorthandOptions } from 'fastify'
import { check, secondsHint, show } from '../base/check.ts'
import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { isSendable } from '../base/close-codes.ts'
import type { FleetProvider } from '../fleet/engine.ts'
import type { HistorySettings } from '../track/history.ts'
import { POLICIES } from '../track/observation.ts'
import type { Mode, PolicyName } from '../track/observation.ts'
import type { BackpressureSettings, HeartbeatSettings, RateSettings, Settings } from '../connection/settings.ts'
import { CONNECTION_KEYS, DRAIN_KEYS, HISTORY_KEYS, PLUGIN_KEYS, ROUTE_KEYS, knownKeys } from './keys.ts'
import { defaults } from './defaults.ts'
import { resolveLimits } from './limits.ts'
import type { ResolvedLimits } from './limits.ts'
import type { LifecycleOptions, RouteSocketOptions, SignalOptions, TermsOptions } from './options.ts'
import { resolveReadiness, resolveSignals } from './resolve-process.ts'
import { LEAST_STALL_TIME } from '../limit/backpressure.ts'
import { LEAD } from '../drain/bookings.ts'
import { makePlan } from '../drain/plan.ts'
import type { DrainPlan } from '../track/drain-report.ts'
import type { DrainReason, ReconnectOptions } from '../drain/reconnect.ts'
import type { Spread } from '../drain/schedule.ts'
import { integerOrFalse, oneOf, required } from './values.ts'
import { LEAST_INTERVAL } from '../watch/heartbeat.ts'
import { canonicalOrigin, mistakeInPlaceOfAList, mistakesIn } from '../limit/origin.ts'
import type { AllowedOrigins } from '../limit/origin.ts'

const MODES: readonly Mode[] = ['enforce', 'observe']

/** Options of the plugin, checked, filled and frozen. */
export interface ResolvedOptions {
  readonly websocket: Readonly<WebsocketPluginOptions>
  readonly owner: LifecycleOptions['owner']
  readonly data: LifecycleOptions['data']
  readonly onOpen: LifecycleOptions['onOpen']
  readonly onDrain: LifecycleOptions['onDrain']
  readonly drain: { readonly code: number, readonly reason: DrainReason, readonly reconnect: ReconnectOptions, readonly spread: Spread, readonly takeover: boolean, readonly move: boolean, readonly farewells: boolean }
  readonly plan: DrainPlan
  /** `drain.reconnect.rate` if it is set, else Infinity: in a fleet the nodes measure what they take. */
  readonly reconnectCeiling: number
  /** Shortest delay of clients that are refused, or closed while the server goes on, milliseconds. */
  readonly retryDelay: number
  readonly closeTimeout: number
  readonly cleanupTimeout: number
  readonly signals: false | Required<SignalOptions>
  readonly readiness: false | (RouteShorthandOptions & { url: string })
  readonly history: HistorySettings
  readonly isolation: boolean
  readonly errorCode: number
  readonly settings: Settings
  readonly limits: ResolvedLimits
  readonly allowedOrigins: AllowedOrigins<FastifyRequest>
  readonly refusal: 'http' | 'close'
  readonly modes: Readonly<Record<PolicyName, Mode>>
  readonly clock: Clock
  readonly fleet: FleetProvider | undefined
  readonly onOutage: 'local' | 'refuse'
}

/** Options of a route, checked, filled and frozen. */
export interface ResolvedRouteOptions {
  readonly holdMessages: boolean
  readonly keepRequest: boolean
  readonly waitForHandler: boolean
  readonly settings: Settings
}

/**
 * Checks and fills the plugin's options; never changes what it is given.
 * Throws SOCKETS_ERR_INVALID_OPTION and SOCKETS_ERR_OPTION_CONFLICT.
 */
export function resolveOptions (given: LifecycleOptions = {}): ResolvedOptions {
  knownKeys('', given, PLUGIN_KEYS)
  const { drain = {} } = given
  knownKeys('drain', drain, DRAIN_KEYS, 'timeout')
  const code = closeCode('drain.code', drain.code, defaults.drain.code)
  const reason = check.where('drain.reason', drain.reason, defaults.drain.reason,
    (value) => typeof value === 'string' || typeof value === 'function', 'a string or a function')
  const spread = resolveSpread(drain.spread)
  const plan = makePlan({
    timeout: check.positive('drain.timeout', drain.timeout, undefined),
    defaultTimeout: defaults.drain.timeout,
    terminationGracePeriod: check.positive('drain.terminationGracePeriod', drain.terminationGracePeriod, undefined),
    preStop: check.duration('drain.preStop', drain.preStop, defaults.drain.preStop),
    reserve: check.duration('drain.reserve', drain.reserve, defaults.drain.reserve),
    // A node of a fleet books turns first, and serves on until the others have counted that.
    settleDelay: check.duration('drain.settleDelay', drain.settleDelay, given.fleet === undefined ? defaults.drain.settleDelay : Math.min(LEAD, Math.floor((drain.timeout ?? Infinity) / 10))),
    spread,
    closeTimeout: check.positive('closeTimeout', given.closeTimeout, undefined)
  })
  // These options are about a server that another one replaces; a server alone must start again before its clients come back.
  const takeover = given.fleet !== undefined || plan.terminationGracePeriod !== undefined || plan.preStop > 0 || plan.settleDelay > 0
  const reconnect = resolveReconnect(drain.reconnect, takeover ? 0 : defaults.drain.reconnect.minDelay)
  return Object.freeze({
    websocket: Object.freeze({ options: given.options, errorHandler: given.errorHandler, preClose: given.preClose }) as WebsocketPluginOptions,
    owner: check.fn('owner', given.owner),
    data: check.fn('data', given.data),
    onOpen: check.fn('onOpen', given.onOpen),
    onDrain: check.fn('onDrain', given.onDrain),
    drain: Object.freeze({ code, reason, reconnect, spread, takeover, move: check.flag('drain.move', drain.move, defaults.drain.move), farewells: check.flag('drain.farewells', drain.farewells, defaults.drain.farewells) }),
    plan,
    reconnectCeiling: drain.reconnect?.rate ?? Infinity,
    retryDelay: drain.reconnect?.minDelay ?? defaults.drain.reconnect.minDelay,
    closeTimeout: plan.closeTimeout,
    cleanupTimeout: check.positive('cleanupTimeout', given.cleanupTimeout, defaults.cleanupTimeout),
    signals: resolveSignals(given.signals),
    readiness: resolveReadiness(given.readiness),
    history: resolveHistory(given.history),
    isolation: check.flag('isolation', given.isolation, defaults.isolation),
    errorCode: closeCode('errorCode', given.errorCode, defaults.errorCode),
    settings: resolveSettings('', given, defaults),
    limits: resolveLimits(given.limits, given.fleet !== undefined),
    allowedOrigins: resolveOrigins(given.allowedOrigins),
    refusal: oneOf('refusal', given.refusal, defaults.refusal, ['http', 'close']),
    modes: resolveModes(given.mode),
    clock: check.where('clock', given.clock, systemClock, isClock, 'a clock, as createClock() makes one'),
    fleet: check.fn('fleet', given.fleet),
    onOutage: oneOf('onOutage', given.onOutage, defaults.onOutage, ['local', 'refuse'])
  })
}

/** Checks and fills a route's `config.sockets`. `route` is named in errors; `settings` are those of the plugin. */
export function resolveRouteOptions (route: string, given: RouteSocketOptions = {}, settings: Settings = resolveSettings('', {}, defaults)): ResolvedRouteOptions {
  const path = `config.sockets of route ${route}`
  knownKeys(path, given, ROUTE_KEYS)
  return Object.freeze({
    holdMessages: check.flag(`${path}.holdMessages`, given.holdMessages, defaults.route.holdMessages),
    keepRequest: check.flag(`${path}.keepRequest`, given.keepRequest, defaults.route.keepRequest),
    waitForHandler: check.flag(`${path}.waitForHandler`, given.waitForHandler, defaults.route.waitForHandler),
    settings: CONNECTION_KEYS.some((key) => key in given) ? resolveSettings(`${path}.`, given, settings) : settings
  })
}

function resolveSettings (path: string, given: TermsOptions, fallback: Settings): Settings {
  const settings = Object.freeze({
    heartbeat: resolveHeartbeat(`${path}heartbeat`, given.heartbeat, fallback.heartbeat),
    idleTimeout: integerOrFalse(`${path}idleTimeout`, given.idleTimeout, fallback.idleTimeout, 'a positive integer (ms)'),
    maxLifetime: integerOrFalse(`${path}maxLifetime`, given.maxLifetime, fallback.maxLifetime, 'a positive integer (ms)'),
    messageRate: resolveRate(`${path}messageRate`, given.messageRate, fallback.messageRate),
    backpressure: resolveBackpressure(`${path}backpressure`, given.backpressure, fallback.backpressure)
  })
  const { heartbeat, idleTimeout } = settings
  if (typeof given.heartbeat === 'object' && heartbeat !== false && idleTimeout !== false && idleTimeout <= heartbeat.interval) {
    check.conflict(`${path}idleTimeout ${idleTimeout} ms is not longer than heartbeat.interval ${heartbeat.interval} ms: a silent client would be closed before it is pinged${secondsHint('idleTimeout', idleTimeout)}`)
  }
  return settings
}

function resolveHeartbeat (path: string, given: TermsOptions['heartbeat'], fallback: Settings['heartbeat']): Settings['heartbeat'] {
  if (given === undefined) return fallback
  if (given === false) return false
  const known = fallback === false ? defaults.heartbeat : fallback
  if (given === true) return known
  knownKeys(path, given, Object.keys(defaults.heartbeat), 'interval', 'true, false or ')
  return Object.freeze({
    interval: check.duration(`${path}.interval`, given.interval, known.interval, `an integer of ${LEAST_INTERVAL} or more (ms)`, LEAST_INTERVAL),
    maxMissed: check.duration(`${path}.maxMissed`, given.maxMissed, known.maxMissed, 'a positive integer', 1)
  } satisfies HeartbeatSettings)
}

function resolveRate (path: string, given: TermsOptions['messageRate'], fallback: Settings['messageRate']): Settings['messageRate'] {
  if (given === undefined) return fallback
  if (given === false) return false
  knownKeys(path, given, ['max', 'timeWindow', 'burst', 'policy'], 'max', 'false or ')
  const max = required(`${path}.max`, given.max)
  return Object.freeze({
    max,
    timeWindow: check.positive(`${path}.timeWindow`, given.timeWindow, 1_000),
    burst: check.duration(`${path}.burst`, given.burst, max, 'a positive integer', 1),
    policy: oneOf(`${path}.policy`, given.policy, 'close', ['close', 'pause'])
  } satisfies RateSettings)
}

function resolveBackpressure (path: string, given: TermsOptions['backpressure'], fallback: BackpressureSettings): BackpressureSettings {
  if (given === undefined) return fallback
  if (given === false) return Object.freeze({ maxStallTime: false, maxBufferedBytes: false, policy: fallback.policy })
  knownKeys(path, given, Object.keys(defaults.backpressure), 'maxBufferedBytes', 'false or ')
  return Object.freeze({
    maxStallTime: integerOrFalse(`${path}.maxStallTime`, given.maxStallTime, fallback.maxStallTime, `an integer of ${LEAST_STALL_TIME} or more (ms)`, LEAST_STALL_TIME),
    maxBufferedBytes: integerOrFalse(`${path}.maxBufferedBytes`, given.maxBufferedBytes, fallback.maxBufferedBytes, 'an integer of 1 or more (bytes)'),
    policy: oneOf(`${path}.policy`, given.policy, fallback.policy, ['close', 'drop'])
  })
}

function resolveHistory (given: LifecycleOptions['history']): HistorySettings {
  if (typeof given !== 'object') return resolveHistory({ size: check.duration('history', given, defaults.history, 'a non-negative integer or an object') })
  knownKeys('history', given, HISTORY_KEYS, 'size', 'a non-negative integer or ')
  const { size, keep = [] } = given
  const isList = Array.isArray(keep) && keep.every((what) => what === 'owner' || what === 'ip')
  if (!isList) check.wrong('history.keep', "a list of 'owner' and 'ip'", show(keep))
  return Object.freeze({ size: check.duration('history.size', size, defaults.history, 'a non-negative integer'), owner: keep.includes('owner'), ip: keep.includes('ip') })
}

function resolveOrigins (given: LifecycleOptions['allowedOrigins']): ResolvedOptions['allowedOrigins'] {
  if (given === undefined) return defaults.allowedOrigins
  if (given === 'report' || given === 'same-origin' || given === false || typeof given === 'function') return given
  const mistake = Array.isArray(given) ? mistakesIn(given) : mistakeInPlaceOfAList(given)
  if (mistake === '') return Object.freeze((given as readonly string[]).map(canonicalOrigin))
  return check.wrong('allowedOrigins', "'report', 'same-origin', false, a function, or a list of origins such as ['https://example.com']", mistake)
}

function resolveModes (given: LifecycleOptions['mode']): ResolvedOptions['modes'] {
  if (typeof given !== 'object' || given === null) {
    const mode = oneOf('mode', given, defaults.mode, MODES, "'enforce', 'observe', or an object with either for single policies")
    return resolveModes(Object.fromEntries(POLICIES.map((policy) => [policy, mode])))
  }
  knownKeys('mode', given, POLICIES)
  return Object.freeze(Object.fromEntries(POLICIES.map((policy) =>
    [policy, oneOf(`mode.${policy}`, given[policy], defaults.mode, MODES)]))) as ResolvedOptions['modes']
}

function resolveSpread (given: Spread | undefined): Spread {
  if (given === 'auto' || given === false) return given
  return check.duration('drain.spread', given, defaults.drain.spread, "'auto', false or a non-negative integer (ms)")
}

function closeCode (path: string, given: number | undefined, fallback: number): number {
  return check.where(path, given, fallback, isSendable, 'a close code (1000-1003, 1007-1014, 3000-4999)')
}

function isClock (value: unknown): boolean {
  return Object.keys(systemClock).every((key) => typeof (value as Record<string, unknown> | null)?.[key] === 'function')
}

function resolveReconnect (given: Partial<ReconnectOptions> = {}, minDelay: number): ReconnectOptions {
  const { rate, maxDelay } = defaults.drain.reconnect
  knownKeys('drain.reconnect', given, ['rate', 'minDelay', 'maxDelay'], 'rate')
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
