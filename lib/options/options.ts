/**
 * Every option: what can be given, and what stands where nothing is. `undefined` means the default, `false` means off.
 * Durations are milliseconds, sizes bytes. resolve-options.ts checks and fills them.
 */
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyRequest, RouteShorthandOptions } from 'fastify'
import { CloseCode } from '../base/close-codes.ts'
import type { Connection, ConnectionData } from '../connection/connection.ts'
import type { Mode, PolicyName } from '../track/observation.ts'
import type { RateSettings } from '../connection/settings.ts'
import type { Clock } from '../base/clock.ts'
import type { LimitPolicy } from '../limit/admission-decision.ts'
import type { DrainReason, ReconnectOptions } from '../drain/reconnect.ts'
import type { StopSignal } from '../drain/signals.ts'
import type { AllowedOrigins } from '../limit/origin.ts'

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
  /** Send the close frames evenly over this time; false: as fast as the window of at most 64 closing handshakes permits. @default false */
  spread?: number | false
  /** Close code; 1001 when nobody should come back here. @default 1012 */
  code?: number
  /** Close reason, to which `; retry=<ms>` is added; or a function that makes the whole reason (false: none). @default 'service restart' */
  reason?: DrainReason
  /** When clients should come back. */
  reconnect?: Partial<ReconnectOptions>
  /** Send what close listeners and cleanups of drained connections send to other connections. @default false */
  farewells?: boolean
}

/** Options of `signals`. */
export interface SignalOptions {
  /** Take these and no other; false: all of them, but for those that have another use here. @default false */
  only?: readonly StopSignal[] | false
  /** Also drain and exit 1 on an uncaught exception or an unhandled rejection, and on beforeExit. @default false */
  errors?: boolean
}

/** Readiness route: its path, or a Fastify route's options with a `url`. */
export type ReadinessOptions = string | (RouteShorthandOptions & {
  /** Path of the route. */
  url: string
})

/** How dead peers are found. */
export interface HeartbeatOptions {
  /** A silent peer is pinged after at most this long (RFC 6455 §5.5.2). At least 100. @default 25000 */
  interval?: number
  /** Intervals without a sign of life, after the ping, until the peer is dead. @default 2 */
  maxMissed?: number
}

/** What connections may do and cost; of the plugin, and of a route in its `config.sockets`. */
export interface TermsOptions {
  /** Ping the silent, destroy the dead; false: neither. @default true */
  heartbeat?: HeartbeatOptions | boolean
  /** Close a client that has sent no message for this long, with 3008. @default false */
  idleTimeout?: number | false
  /** Close a connection after this long, less up to 20 % by chance, with 1012. @default false */
  maxLifetime?: number | false
  /** How many messages a client may send. @default false */
  messageRate?: MessageRateOptions | false
  /** What a slow reader may hold; false: whatever it likes. */
  backpressure?: BackpressureOptions | false
}

/** How many messages a client may send. */
export interface MessageRateOptions {
  /** Messages in a window. */
  max: number
  /** Length of the window. @default 1000 */
  timeWindow?: number
  /** Messages at once, at most. @default max */
  burst?: number
  /** Over it: close with 1008, or stop reading until it is paid for. @default 'close' */
  policy?: 'close' | 'pause'
}

/** What a slow reader may hold. */
export interface BackpressureOptions {
  /** A peer that takes nothing of what waits for it for this long is closed. @default 60000 */
  maxStallTime?: number | false
  /** Bytes that may wait for a peer. @default false */
  maxBufferedBytes?: number | false
  /** Over the bytes: close with 4008, or skip frames of broadcasts; plain sends over it close either way. @default 'close' */
  policy?: 'close' | 'drop'
}

/** A limit on connections. */
export interface LimitOptions {
  /** Connections, at most. */
  max: number
  /** What is done with a newcomer above it. @default 'refuse' */
  policy?: LimitPolicy
}

/** How many connections there may be, and who may have them. */
export interface LimitsOptions {
  /** Of the server. @default false */
  total?: LimitOptions | false
  /** Of one owner. @default false */
  perOwner?: LimitOptions | false
  /** Of one address, as `request.ip` says (`trustProxy` counts). @default false */
  perAddress?: LimitOptions | false
  /** Refuse newcomers and evict the idlest while `@fastify/under-pressure` says so. @default false */
  pressure?: boolean
  /** Handshakes that are not open sockets yet. */
  handshakes?: {
    /** Handshakes under way, at most. @default false */
    max?: number | false
    /** From the upgrade request to the open socket, at most; what arrives meanwhile does not extend it. @default 10000 */
    timeout?: number | false
  }
}

/** The option `data`: required as soon as `ConnectionData` has a required field, which nothing else fills. */
type DataOptions = Partial<ConnectionData> extends ConnectionData
  ? {
      /** Fills `connection.data` when the connection opens. Required if `ConnectionData` has a required field. @default an empty object */
      data?: (request: FastifyRequest) => ConnectionData
    }
  : {
      /** Fills `connection.data` when the connection opens. Required, for `ConnectionData` has a required field. */
      data: (request: FastifyRequest) => ConnectionData
    }

/** Options of the plugin. `options`, `errorHandler` and `preClose` are those of `@fastify/websocket`. */
export interface LifecycleOptions extends WebsocketPluginOptions, TermsOptions, DataOptions {
  /** Whom a connection belongs to; called when it opens, after the route's hooks. */
  owner?: (request: FastifyRequest) => string | undefined
  /** Called when a connection opens, before its handler. */
  onOpen?: (connection: Connection) => unknown
  /** Called for each connection when the server leaves; may send; what it returns is awaited until grace ends. */
  onDrain?: (connection: Connection) => unknown
  /** How the server leaves: budget, pace, close code and reason. */
  drain?: DrainOptions
  /** How long a peer may take to answer our close frame (RFC 6455 §7.1.1). @default min(2000, drain.timeout / 5) */
  closeTimeout?: number
  /** How long one cleanup may take. @default 5000 */
  cleanupTimeout?: number
  /** Drain and exit on SIGTERM, SIGINT and the like, or on the signals of a list, through close-with-grace. @default false */
  signals?: boolean | readonly StopSignal[] | SignalOptions
  /** A route that answers 200, and 503 from the first moment of a drain. @default false */
  readiness?: ReadinessOptions | false
  /** Close records kept. @default 256 */
  history?: number
  /** A listener that throws or rejects ends its own connection, not the process. @default true */
  isolation?: boolean
  /** Close code after such a fault. @default 1011 */
  errorCode?: number
  /** How many connections and handshakes there may be. @default no limits */
  limits?: LimitsOptions
  /**
   * Pages that may open a WebSocket, by their Origin header: `'report'` lets all in and logs the foreign ones; `'same-origin'`
   * compares with the host of the request; a list; a function; false: all. Clients without the header are no browsers.
   * @default 'report'
   */
  allowedOrigins?: AllowedOrigins<FastifyRequest>
  /** How a handshake is turned away: over HTTP, or by a close frame with 1013, which browsers can see. @default 'http' */
  refusal?: 'http' | 'close'
  /** `'observe'`: policies only report what they would have done; of all, or of some by name. @default 'enforce' */
  mode?: Mode | Partial<Record<PolicyName, Mode>>
  /** The source of time; in tests that of `createClock()`. @default the real one */
  clock?: Clock
}

/** Options of one route, in its `config.sockets`. */
export interface RouteSocketOptions extends TermsOptions {
  /** Read nothing until the first message listener or `messages()`. @default false */
  holdMessages?: boolean
  /** Keep the upgrade request as `connection.request`. @default false */
  keepRequest?: boolean
  /** The handler's promise is work that a drain waits for. @default false */
  waitForHandler?: boolean
}

/** What stands where nothing is given; docs/reference/options.md is tested against it. */
export const defaults = Object.freeze({
  drain: Object.freeze({
    timeout: 8_000,
    preStop: 0,
    reserve: 5_000,
    settleDelay: 0,
    spread: false as number | false,
    code: CloseCode.ServiceRestart as number,
    reason: 'service restart' as DrainReason,
    reconnect: Object.freeze({ rate: 200, minDelay: 1_000, maxDelay: 60_000 }),
    farewells: false as boolean
  }),
  cleanupTimeout: 5_000,
  signals: false as boolean,
  readiness: false as ReadinessOptions | false,
  history: 256,
  isolation: true,
  errorCode: CloseCode.InternalError as number,
  heartbeat: Object.freeze({ interval: 25_000, maxMissed: 2 }),
  idleTimeout: false as number | false,
  maxLifetime: false as number | false,
  messageRate: false as RateSettings | false,
  backpressure: Object.freeze({ maxStallTime: 60_000 as number | false, maxBufferedBytes: false as number | false, policy: 'close' as 'close' | 'drop' }),
  limits: Object.freeze({
    total: false as LimitOptions | false,
    perOwner: false as LimitOptions | false,
    perAddress: false as LimitOptions | false,
    pressure: false as boolean,
    handshakes: Object.freeze({ max: false as number | false, timeout: 10_000 as number | false })
  }),
  allowedOrigins: 'report' as AllowedOrigins<FastifyRequest>,
  refusal: 'http' as 'http' | 'close',
  mode: 'enforce' as Mode,
  route: Object.freeze({ holdMessages: false, keepRequest: false, waitForHandler: false })
})
