/**
 * `app.sockets` as users see it; tracker.ts makes it true.
 */
import type { WebSocket, WebSocketServer } from 'ws'
import type { CloseRecord, Connection } from '../connection/connection.ts'
import type { DrainReport } from './drain-report.ts'
import type { PolicyName } from './observation.ts'
import type { LifecycleEvents, Listener } from './events.ts'
import type { Filter } from './filter.ts'
import type { Counters } from './registry.ts'
import type { BroadcastResult } from './broadcast.ts'
import type { DrainPlan } from './drain-report.ts'

/** What the server is doing with its connections. */
export type TrackerState = 'running' | 'draining' | 'drained'

/** Code and reason of a close. */
export interface CloseOptions {
  /** Close code. @default 3003 (forbidden, IANA) */
  code?: number
  /** At most 123 bytes of UTF-8; what is over is cut. @default '' */
  reason?: string
}

/** A snapshot of numbers. */
export interface TrackerStats extends Counters {
  /** Connections now. */
  connections: number
  /** Connections with work in flight now; closed ones count until their work is done. */
  working: number
  /** What the server is doing with its connections. */
  state: TrackerState
  /** How often policies that only observe would have acted. */
  observed: Partial<Record<PolicyName, number>>
}

/** `app.sockets`. */
export interface Tracker {
  /** Connections that are not closed. */
  readonly size: number
  /** Whether handshakes are let in. */
  readonly accepting: boolean
  /** What the server is doing with its connections. */
  readonly state: TrackerState
  /** Records of the recently closed, oldest first. */
  readonly history: CloseRecord[]
  /** The connection of a socket. Throws SOCKETS_ERR_UNKNOWN_SOCKET. */
  of (socket: WebSocket): Connection
  /** A connection by its id. */
  get (id: number): Connection | undefined
  /** A snapshot. Throws SOCKETS_ERR_INVALID_FILTER. @default filter 'all' */
  list (filter?: Filter): Connection[]
  /** How many match. Throws SOCKETS_ERR_INVALID_FILTER. @default filter 'all' */
  count (filter?: Filter): number
  /**
   * Sends one message to whoever matches now and is open: text as text, bytes as binary. Encoded once; a crowd is served
   * in slices of 2 ms, so that nobody else has to wait, in order with what is sent to each alone. Resolves when it was
   * handed to all, never rejects. Throws SOCKETS_ERR_INVALID_FILTER, SOCKETS_ERR_INVALID_ARGUMENT.
   */
  broadcast (data: string | Uint8Array, filter: Filter): Promise<BroadcastResult>
  /**
   * Closes the connections that match; returns how many it closed. Throws SOCKETS_ERR_INVALID_FILTER,
   * SOCKETS_ERR_INVALID_CLOSE_CODE, SOCKETS_ERR_INVALID_ARGUMENT.
   */
  disconnect (filter: Filter, close?: CloseOptions): number
  /**
   * Drains: no new ones, work in flight finishes, everyone is closed and cleaned up, within `drain.timeout`. The
   * listener stays open. One drain for all callers; rejects with SOCKETS_ERR_CLEANUP_DEADLOCK inside a cleanup only.
   */
  drain (): Promise<DrainReport>
  /** The drain's timeline with its arithmetic; `String(plan)` is the text. */
  plan (): DrainPlan
  /** Tracks a ws server made elsewhere; one that it tracks already stays as it is. Throws SOCKETS_ERR_CANNOT_ADOPT. */
  adopt (server: WebSocketServer): void
  /** Numbers of connections, closes by cause, refused handshakes, faults and cleanups, as they are now. */
  stats (): TrackerStats
  /** Adds a listener; one that is there already is not added again. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  on<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this
  /** Removes a listener. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  off<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this
}
