/**
 * The package's main entry. scripts/build.js turns the default export into `module.exports`, with the other exports as its
 * properties.
 */
import { CloseCode } from './base/close-codes.ts'
import { CHANNELS, FLEET_CHANNELS } from './show/diagnostics.ts'
import { defaults } from './options/defaults.ts'
import { plugin } from './plugin.ts'

/** The plugin: `app.register(sockets, options)` manages every WebSocket of the server, and adds `app.sockets`. */
const sockets: typeof plugin = plugin

export default sockets
export { CloseCode, CHANNELS, defaults, FLEET_CHANNELS }
export type { Step } from './connection/steps.ts'
export type { Clock, Timer } from './base/clock.ts'
export type { CloseCause } from './base/close-codes.ts'
export type { ActOptions, CloseRecord, Connection, ConnectionData, ConnectionState, MessagesOptions } from './connection/connection.ts'
export type { AbandonedCleanup, DrainPhase, DrainProgress, DrainReport, DrainStart, DrainTrigger, Holder, DrainPlan, PlanPhase } from './track/drain-report.ts'
export type { ClosedError } from './base/errors.ts'
export type { Mode, Observation, PolicyName } from './track/observation.ts'
export type { AuditRecord } from './track/audit.ts'
export type { LifecycleEvents, Listener, Refusal } from './track/events.ts'
export type { StoryQuery } from './track/explain.ts'
export type { Filter } from './track/filter.ts'
export type { Story, StoryEvent } from './track/story.ts'
export type { Message } from './connection/connection.ts'
export type { TraceContext } from './connection/tracing.ts'
export type { WritableOptions } from './connection/writable.ts'
export type { ChannelMessages } from './show/diagnostics.ts'
export type {
  BackpressureOptions, DrainOptions, HeartbeatOptions, HistoryOptions, LifecycleOptions, LimitOptions, LimitsOptions, MessageRateOptions, ReadinessOptions, RouteSocketOptions, SharedLimitOptions, SignalOptions, TermsOptions
} from './options/options.ts'
export type { BroadcastResult } from './track/broadcast.ts'
export type {
  Answer, Fleet, FleetDrainOptions, FleetEvents, FleetFailure, FleetFilter, FleetListener, FleetNode, FleetOutage, FleetPage, FleetPageOptions, FleetPresence, FleetSelection, FleetStory, FleetStoryQuery, FleetTurns, MissingNode, OwnerPresence, RemoteConnection
} from './track/fleet.ts'
export type {
  Beat, Booking, FleetEngine, FleetProvider, LabelCount, NodeRecord, PlacesAsked, PlacesGiven, PresenceChange, Pulse, Turns, Whereabouts
} from './fleet/engine.ts'
export type { HandoverStore } from './move/handover-store.ts'
export type { StopSignal } from './drain/signals.ts'
export type { CloseOptions } from './track/close-options.ts'
export type { Tracker } from './track/tracker.ts'
export type { BroadcastCounts, FleetStats, RouteStats, TrackerState, TrackerStats, Traffic } from './track/stats.ts'
export type { Histogram } from './track/histogram.ts'
export type { Counters } from './track/registry.ts'
export type { ClosedCount } from './connection/route-counters.ts'
