/**
 * What a route grants its connections; one frozen object for all of them.
 */

/** Milliseconds between two looks at a silent peer, and how many it may miss. */
export interface HeartbeatSettings {
  readonly interval: number
  readonly maxMissed: number
}

/** Messages per time. */
export interface RateSettings {
  /** Messages in a window. */
  readonly max: number
  /** Milliseconds. */
  readonly timeWindow: number
  /** Messages at once, at most. */
  readonly burst: number
  /** Over it: close, or stop reading until it is paid for. */
  readonly policy: 'close' | 'pause'
}

/** What a slow reader may hold. */
export interface BackpressureSettings {
  /** Milliseconds in which a peer must take something. */
  readonly maxStallTime: number | false
  /** Bytes that may wait for it. */
  readonly maxBufferedBytes: number | false
  /** Over the bytes: close it, or skip frames of broadcasts; what is sent to it alone closes it either way. */
  readonly policy: 'close' | 'drop'
}

/** What the connections of a route may do and cost. */
export interface Settings {
  readonly heartbeat: HeartbeatSettings | false
  readonly idleTimeout: number | false
  readonly maxLifetime: number | false
  readonly messageRate: RateSettings | false
  readonly backpressure: BackpressureSettings
}
