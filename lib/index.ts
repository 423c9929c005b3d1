/**
 * The package's main entry. scripts/build.js turns the default export into `module.exports`, with the other exports as its
 * properties.
 */
import { CloseCode } from './core/close-codes.ts'
import { CHANNELS } from './observe/diagnostics.ts'
import { defaults } from './options.ts'
import { plugin } from './plugin.ts'

/** The plugin: `app.register(sockets, options)` takes charge of every WebSocket of the server and adds `app.sockets`. */
const sockets: typeof plugin = plugin

export default sockets
export { CloseCode, CHANNELS, defaults }
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
