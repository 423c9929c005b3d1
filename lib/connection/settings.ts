/**
 * Timeouts, limits and counters of the connections of a route; one object for all of them.
 */
import type { RouteCounters } from './route-counters.ts'

/** When a silent peer is dead. */
export interface HeartbeatSettings {
  /** Longest time until a silent peer is pinged, milliseconds. */
  readonly interval: number
  /** Intervals after the ping without a sign of life until the peer is dead. */
  readonly maxMissed: number
}

/** Limit on the messages of a client. */
export interface RateSettings {
  /** Messages in a window. */
  readonly max: number
  /** Length of a window, milliseconds. */
  readonly timeWindow: number
  /** Most messages at once. */
  readonly burst: number
  /** Above the limit: close the connection, or pause the socket until the rate is met. */
  readonly policy: 'close' | 'pause'
}

/** Limits on unsent data. */
export interface BackpressureSettings {
  /** Longest time without progress of unsent data, milliseconds. */
  readonly maxStallTime: number | false
  /** Most bytes that may be queued. */
  readonly maxBufferedBytes: number | false
  /** Above the bytes: close the connection, or skip frames of broadcasts. A message to this connection alone closes it in both cases. */
  readonly policy: 'close' | 'drop'
}

/** Timeouts and limits of a connection. */
export interface Settings {
  readonly heartbeat: HeartbeatSettings | false
  readonly idleTimeout: number | false
  readonly maxLifetime: number | false
  readonly messageRate: RateSettings | false
  readonly backpressure: BackpressureSettings
}

/** The settings of a route, and what is counted of its connections. */
export interface RouteSettings extends Settings {
  readonly counters: RouteCounters
}
