/**
 * The public interface of `app.sockets`. managed-tracker.ts implements it.
 */
import type { WebSocket, WebSocketServer } from 'ws'
import type { ActOptions, CloseRecord, Connection } from '../connection/connection.ts'
import type { CloseOptions } from './close-options.ts'
import type { DrainPlan, DrainReport } from './drain-report.ts'
import type { LifecycleEvents, Listener } from './events.ts'
import type { StoryQuery } from './explain.ts'
import type { Filter } from './filter.ts'
import type { Fleet } from './fleet.ts'
import type { BroadcastResult } from './broadcast.ts'
import type { TrackerState, TrackerStats } from './stats.ts'
import type { Story } from './story.ts'

/** The tracker: `app.sockets`. */
export interface Tracker {
  /** Connections that are not closed. */
  readonly size: number
  /** Whether handshakes are admitted. */
  readonly accepting: boolean
  /** State of the server. */
  readonly state: TrackerState
  /** Records of recently closed connections, oldest first. */
  readonly history: CloseRecord[]
  /** All nodes of the fleet; without the option `fleet` it is this node alone. */
  readonly fleet: Fleet
  /** Returns the connection of a socket. Throws SOCKETS_ERR_UNKNOWN_SOCKET. */
  of (socket: WebSocket): Connection
  /** Returns the connection with an id, unless it is closed. */
  get (id: number): Connection | undefined
  /**
   * Returns the stories of the connections that match, the newest first, at most 100: those that are open, and those that the history
   * has. By owner it finds closed ones only if the option `history` keeps owners. Throws SOCKETS_ERR_INVALID_ARGUMENT.
   */
  explain (query: StoryQuery): Story[]
  /** Returns the connections that match: a snapshot. Throws SOCKETS_ERR_INVALID_FILTER. @default filter 'all' */
  list (filter?: Filter): Connection[]
  /** Returns how many connections match. Throws SOCKETS_ERR_INVALID_FILTER. @default filter 'all' */
  count (filter?: Filter): number
  /**
   * Sends a message to the connections that match now and are open: text as text, bytes as binary. It is encoded once, and sent
   * in slices of 2 ms between turns of the event loop, in order with messages to one connection alone. Resolves when it was
   * sent to all, never rejects. Throws SOCKETS_ERR_INVALID_FILTER, SOCKETS_ERR_INVALID_ARGUMENT.
   */
  broadcast (data: string | Uint8Array, filter: Filter): Promise<BroadcastResult>
  /**
   * Closes the connections that match. Returns how many it closed. Throws SOCKETS_ERR_INVALID_FILTER,
   * SOCKETS_ERR_INVALID_CLOSE_CODE, SOCKETS_ERR_INVALID_ARGUMENT.
   */
  disconnect (filter: Filter, close?: CloseOptions): number
  /**
   * Drains within `drain.timeout`: refuses handshakes, waits for work in flight, closes every connection, and runs the cleanups.
   * The server keeps listening. Later calls join the drain and get the same report. Rejects only in a cleanup, with
   * SOCKETS_ERR_CLEANUP_DEADLOCK. The audit has who has asked for it, and why.
   */
  drain (asked?: ActOptions): Promise<DrainReport>
  /** Returns the timeline of the drain with its arithmetic; `String(plan)` is the text. */
  plan (): DrainPlan
  /** Tracks a ws server made elsewhere; a second call does nothing. Throws SOCKETS_ERR_CANNOT_ADOPT. */
  adopt (server: WebSocketServer): void
  /** Returns the current numbers: a new object, made without a walk over the connections. */
  stats (): TrackerStats
  /** Adds a listener; a listener that was added is not added again. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  on<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this
  /** Removes a listener. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  off<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this
}
