/**
 * Every option with its type. `undefined` means the default, `false` means off. Durations are milliseconds,
 * sizes are bytes. resolve.ts checks and fills them.
 */
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyRequest, RouteShorthandOptions } from 'fastify'
import type { Connection, ConnectionData } from '../connection/connection.ts'
import type { Mode, PolicyName } from '../track/observation.ts'
import type { Clock } from '../base/clock.ts'
import type { FleetProvider } from '../fleet/engine.ts'
import type { LimitPolicy, LimitScope } from '../limit/admission-decision.ts'
import type { DrainReason, ReconnectOptions } from '../drain/reconnect.ts'
import type { StopSignal } from '../drain/signals.ts'
import type { AllowedOrigins } from '../limit/origin.ts'

/** How the server drains its connections. */
export interface DrainOptions {
  /** Maximum time from the start of a drain to its end. @default 8000, or terminationGracePeriod − preStop − reserve */
  timeout?: number
  /** `terminationGracePeriodSeconds` of the pod, in milliseconds; `timeout` follows from it. @default undefined */
  terminationGracePeriod?: number
  /** Duration of the pod's `preStop` hook, which is part of the grace period. @default 0 */
  preStop?: number
  /** Time kept back after the drain, for HTTP requests under way and other plugins' onClose. @default 5000 */
  reserve?: number
  /** Keep serving this long first, so that load balancers notice; for signals and `drain()`, not for `app.close()`. @default 0 */
  settleDelay?: number
  /**
   * `'auto'`: close each client when it may come back, at `reconnect.rate`. A number: send the close frames evenly over this time.
   * `false`: as fast as the window of at most 64 closing handshakes allows. @default 'auto'
   */
  spread?: 'auto' | number | false
  /** Close code; 1001 if clients should not reconnect to this server. @default 1012 */
  code?: number
  /** Close reason, to which `; retry=<ms>` is added; or a function that creates the whole reason (false: none). @default 'service restart' */
  reason?: DrainReason
  /** When clients should reconnect. */
  reconnect?: Partial<ReconnectOptions>
  /** Ask clients that can to move to a new connection before the old one closes; also at the end of a lifetime and under pressure. @default true */
  move?: boolean
  /** Send messages that close listeners and cleanups of drained connections address to other connections. @default false */
  farewells?: boolean
}

/** Options of `signals`. */
export interface SignalOptions {
  /** Handle these signals and no others; false: all of them, except those that have another use in this process. @default false */
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

/** Options of connections, for the plugin and for a route in its `config.sockets`. */
export interface TermsOptions {
  /** Ping silent peers, destroy dead ones; false: neither. @default true */
  heartbeat?: HeartbeatOptions | boolean
  /** Close a client that has sent no message for this long, with 3008. @default false */
  idleTimeout?: number | false
  /** Close a connection with 1012 after this long, less a jitter of up to 20 %. @default false */
  maxLifetime?: number | false
  /** Limit on the messages of a client. @default false */
  messageRate?: MessageRateOptions | false
  /** Limits on unsent data per connection; false: no limit. */
  backpressure?: BackpressureOptions | false
}

/** Limit on the messages of a client. */
export interface MessageRateOptions {
  /** Messages per `timeWindow`. */
  max: number
  /** Length of the window. @default 1000 */
  timeWindow?: number
  /** Maximum number of messages at once. @default max */
  burst?: number
  /** Above the rate: close with 1008, or read nothing until the rate allows it. @default 'close' */
  policy?: 'close' | 'pause'
}

/** Limits on unsent data per connection. */
export interface BackpressureOptions {
  /** Close a client with 4008 that takes none of its unsent data for this long. At least 200. @default 300000 */
  maxStallTime?: number | false
  /** Maximum number of unsent bytes of a client. @default false */
  maxBufferedBytes?: number | false
  /** Above `maxBufferedBytes`: close with 4008, or skip frames of broadcasts; other messages close either way. @default 'close' */
  policy?: 'close' | 'drop'
}

/** A limit on connections. */
export interface LimitOptions {
  /** Maximum number of connections. */
  max: number
  /** Above the limit: refuse the new handshake, or evict a connection. @default 'refuse' */
  policy?: LimitPolicy
}

/** A limit on connections that the nodes of a fleet can share. */
export interface SharedLimitOptions extends LimitOptions {
  /** Count the connections of this node, or those of all nodes; that needs the option `fleet`. @default 'node' */
  scope?: LimitScope
}

/** Limits on connections and handshakes. */
export interface LimitsOptions {
  /** Of the server, handshakes under way included. @default false */
  total?: SharedLimitOptions | false
  /** Of one owner. @default false */
  perOwner?: SharedLimitOptions | false
  /** Of one `request.ip` (`trustProxy` applies). @default false */
  perAddress?: LimitOptions | false
  /** While `@fastify/under-pressure` reports pressure, refuse handshakes and close the idlest connections. @default false */
  pressure?: boolean
  /** Handshakes that are not open sockets yet. */
  handshakes?: {
    /** Maximum number of handshakes under way. @default false */
    max?: number | false
    /** Maximum time from the upgrade request to the open socket; data that arrives meanwhile does not extend it. @default 10000 */
    timeout?: number | false
  }
}

/** What the history keeps. */
export interface HistoryOptions {
  /** Number of records of closed connections; 0 keeps none. @default 256 */
  size?: number
  /** What is kept besides: the owner, and the address of the client. @default [] */
  keep?: ReadonlyArray<'owner' | 'ip'>
}

/** The option `data`. It is required if `ConnectionData` has a required field, because nothing else fills that field. */
type DataOptions = Partial<ConnectionData> extends ConnectionData
  ? {
      /** Fills `connection.data` when the connection opens. Required if `ConnectionData` has a required field. @default an empty object */
      data?: (request: FastifyRequest) => ConnectionData
    }
  : {
      /** Fills `connection.data` when the connection opens. Required, because `ConnectionData` has a required field. */
      data: (request: FastifyRequest) => ConnectionData
    }

/** Options of the plugin. `options`, `errorHandler` and `preClose` are those of `@fastify/websocket`. */
export interface LifecycleOptions extends WebsocketPluginOptions, TermsOptions, DataOptions {
  /** Returns the owner of a connection; called when it opens, after the route's hooks. */
  owner?: (request: FastifyRequest) => string | undefined
  /** Called when a connection opens, before its handler. */
  onOpen?: (connection: Connection) => unknown
  /** Called for each connection when a drain begins. It may send; the promise that it returns is awaited until grace ends. */
  onDrain?: (connection: Connection) => unknown
  /** The drain: budget, pace, close code and reason. */
  drain?: DrainOptions
  /** Time for a client to answer the server's close frame (RFC 6455 §7.1.1). @default min(2000, drain.timeout / 5) */
  closeTimeout?: number
  /** Time for one cleanup. @default 5000 */
  cleanupTimeout?: number
  /** Drain and exit on SIGTERM, SIGINT and other stop signals, or on the signals of a list, through close-with-grace. @default false */
  signals?: boolean | readonly StopSignal[] | SignalOptions
  /** A route that answers 200, and 503 from the first moment of a drain. @default false */
  readiness?: ReadinessOptions | false
  /** How many records of closed connections to keep for `app.sockets.history` and `explain()`; an object can say more. @default 256 */
  history?: number | HistoryOptions
  /** A listener that throws or rejects ends its own connection, not the process. @default true */
  isolation?: boolean
  /** Close code after such a fault. @default 1011 */
  errorCode?: number
  /** Limits on connections and handshakes. @default no limits */
  limits?: LimitsOptions
  /**
   * Pages that may open a WebSocket, by their Origin header: `'report'` admits all and logs foreign origins; `'same-origin'`
   * compares with the host of the request; a list; a function; false: all. Clients without the header are admitted: browsers send it.
   * @default 'report'
   */
  allowedOrigins?: AllowedOrigins<FastifyRequest>
  /** How a handshake is refused: with an HTTP status, or by a close frame with 1013, which browsers show to pages. @default 'http' */
  refusal?: 'http' | 'close'
  /** `'observe'`: policies only report what they would have done. For all policies, or for single ones by name. @default 'enforce' */
  mode?: Mode | Partial<Record<PolicyName, Mode>>
  /**
   * Makes the engine that the nodes of a fleet share, such as `redisFleet()` of `fastify-websocket-lifecycle/redis`.
   * @default a fleet of this node alone
   */
  fleet?: FleetProvider
  /** What limits with `scope: 'fleet'` do while the engine does not answer: apply to this node alone, or refuse handshakes. @default 'local' */
  onOutage?: 'local' | 'refuse'
  /** The source of time; tests pass the clock of `createClock()`. @default the real clock */
  clock?: Clock
}

/** Options of one route, in its `config.sockets`. */
export interface RouteSocketOptions extends TermsOptions {
  /** Read nothing until the first message listener or `messages()`. @default false */
  holdMessages?: boolean
  /** Keep the upgrade request as `connection.request`. @default false */
  keepRequest?: boolean
  /** Track the promise of the handler as work in flight, which a drain waits for. @default false */
  waitForHandler?: boolean
}
