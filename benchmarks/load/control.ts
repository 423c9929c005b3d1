/**
 * Calls of the load client. Types only. Points in time are microseconds of the monotonic clock.
 */

/** The protocol of the peers after the handshake. */
export type Dialect = 'plain' | 'socketio'

export interface OpenOptions {
  port: number
  count: number
  /** Handshakes under way at a time. */
  parallel: number
  dialect: Dialect
  /** Number of them that never answer a close frame. */
  silent: number
  /** Beginning of the owner that the query of each names; its number follows. None by default. */
  owner?: string
  /** The tag that the query of each names. None by default. */
  tag?: string
}

export interface EchoOptions {
  /** Connections that take part. */
  busy: number
  /** Messages under way on each of them. */
  inFlight: number
  bytes: number
  /** Messages in all. */
  messages: number
}

/** Counts so far. */
export interface Counts {
  open: number
  /** Data frames. */
  frames: number
  bytes: number
  pings: number
}

/** How connections ended: close code → how many; 1005 for a close frame without a code, 1006 for none. */
export interface Ends {
  codes: Record<number, number>
  lastAt: number
}

export interface LoadControl {
  open (options: OpenOptions): Promise<{ startedAt: number, endedAt: number }>
  counts (): Counts
  /** Waits for `count` data frames from now on. */
  expect (frames: number): void
  /** Resolves when all have arrived. */
  reached (): Promise<{ lastAt: number }>
  /** Waits for the end of `count` connections from now on. */
  expectEnds (count: number): void
  /** Resolves when they have ended. */
  endsReached (): Promise<{ lastAt: number }>
  /** Makes every connection send a short message at this interval in milliseconds, evenly spread; 0 ends it. */
  talk (period: number): void
  echo (options: EchoOptions): Promise<{ startedAt: number, endedAt: number }>
  /** Resolves when no connection is left. */
  ended (): Promise<Ends>
  /** Resets all connections, and resolves when they are gone. */
  drop (): Promise<void>
}
