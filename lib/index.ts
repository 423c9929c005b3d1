/**
 * What users import. Registering the default export adds `app.sockets`; everything else here is types and constants.
 */
import type { Tracker } from './app-sockets.ts'
import { CloseCode } from './core/close-codes.ts'
import { CHANNELS } from './observe/diagnostics.ts'
import { defaults } from './options.ts'
import type { RouteSocketOptions } from './options.ts'
import { plugin } from './plugin.ts'

// `require('fastify-websocket-lifecycle')` is the plugin itself (Node >= 20.19): the constants travel on it.
const sockets = Object.assign(plugin, { CloseCode, CHANNELS, defaults })

export default sockets
export { sockets as 'module.exports', CloseCode, CHANNELS, defaults }
export type { Clock, Timer } from './core/clock.ts'
export type { CloseCause } from './core/close-codes.ts'
export type { CloseRecord, Connection, ConnectionData, ConnectionState, MessagesOptions } from './core/connection.ts'
export type { AbandonedCleanup, DrainPhase, DrainProgress, DrainReport, DrainStart, DrainTrigger, Holder } from './core/drain-report.ts'
export type { ClosedError } from './core/errors.ts'
export type { Mode, Observation, PolicyName } from './core/enforcement.ts'
export type { LifecycleEvents, Listener, Refusal } from './core/events.ts'
export type { Filter } from './core/filter.ts'
export type { Message } from './core/messages.ts'
export type { WritableOptions } from './core/writable.ts'
export type { ChannelMessages } from './observe/diagnostics.ts'
export type {
  BackpressureOptions, DrainOptions, HeartbeatOptions, LifecycleOptions, LimitOptions, LimitsOptions, MessageRateOptions, ReadinessOptions, RouteSocketOptions, SignalOptions, StopSignal, TermsOptions
} from './options.ts'
export type { BroadcastResult } from './policies/broadcast.ts'
export type { DrainPlan, PlanPhase } from './policies/drain/plan.ts'
export type { CloseOptions, Tracker, TrackerState, TrackerStats } from './app-sockets.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Every WebSocket of this server. */
    sockets: Tracker
  }
  interface FastifyContextConfig {
    /** How this route's WebSockets are treated. */
    sockets?: RouteSocketOptions
  }
}
