/**
 * What users see of one accepted WebSocket. The class behind it is in managed-connection.ts.
 */
import type { Buffer } from 'node:buffer'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Cleanup } from './cleanups.ts'
import type { CloseCause } from '../base/close-codes.ts'
import type { WritableOptions } from './writable.ts'

/** States of a connection, in order, never backwards. */
export const STATES = ['open', 'draining', 'closing', 'closed'] as const

/** `open → draining → closing → closed`. */
export type ConnectionState = typeof STATES[number]

/** Says whether a close frame is out, or the connection is closed. */
export function isClosing (state: ConnectionState): boolean {
  return state === 'closing' || state === 'closed'
}

/**
 * What you keep with a connection; augment it:
 * `declare module 'fastify-websocket-lifecycle' { interface ConnectionData { userId: string } }`.
 */
export interface ConnectionData {}

/** How a connection ended: a plain record, kept in the history. */
export interface CloseRecord {
  /** Id of the connection. */
  id: number
  /** Route pattern of the connection. */
  route: string
  /** What ended it; the first cause counts. */
  cause: CloseCause
  /** Close code that ended it, ours or the peer's; 1006 where there was none (RFC 6455 §7.1.5). */
  code: number
  /** Close reason, ours or the peer's; a peer's is cut and escaped. */
  reason: string
  /** Whether both close frames were exchanged (RFC 6455 §7.1.4). */
  clean: boolean
  /** Epoch milliseconds. */
  openedAt: number
  /** Milliseconds from the handshake to the last cleanup. */
  duration: number
  /** Bytes read from the raw socket, frames and handshake. */
  bytesReceived: number
  /** Bytes written to the raw socket, frames and handshake. */
  bytesSent: number
  /** Messages received. */
  messages: number
  /** Messages that arrived and nobody saw: after our close frame, or left over in `messages()`. */
  dropped: number
}

/** A message: text as string, binary as Buffer (RFC 6455 §5.6). */
export type Message = string | Buffer

/** Options of `messages()`. */
export interface MessagesOptions {
  /** Bytes queued before the socket is paused; each message counts 64 more than its length. @default 65536 */
  highWaterMark?: number
}

/** One accepted WebSocket, from its handshake to its last cleanup. */
export interface Connection {
  /** A number, unique in the process. */
  readonly id: number
  /** The `ws` socket. */
  readonly socket: WebSocket
  /** `open`, `draining`, `closing` or `closed`; never goes back. */
  readonly state: ConnectionState
  /** Epoch milliseconds. */
  readonly openedAt: number
  /** Pattern of the route, as `/rooms/:id`; for adopted servers the path of the request, without its query string. */
  readonly route: string
  /** Address of the peer as Fastify sees it (`trustProxy` counts); empty where it has none, as over a Unix socket. */
  readonly ip: string
  /** Fastify's request id; empty for adopted servers. */
  readonly requestId: string
  /** Whom it belongs to; undefined until known. */
  readonly owner: string | undefined
  /** Labels; a snapshot. */
  readonly tags: ReadonlySet<string>
  /** Yours. */
  data: ConnectionData
  /** The upgrade request; only on routes with `keepRequest: true`. */
  readonly request: FastifyRequest | undefined
  /** Child logger with the connection's id, made when first read. */
  readonly log: FastifyBaseLogger
  /** Messages received so far. */
  readonly messagesReceived: number
  /** Milliseconds from our last ping to its pong (RFC 6455 §5.5.3); undefined until one was needed: whoever talks is not asked. */
  readonly rtt: number | undefined
  /**
   * Milliseconds without a message from the client after which it is closed with 3008; pings, pongs and what we send do
   * not count. Setting it starts the time anew. Throws SOCKETS_ERR_INVALID_ARGUMENT. @default the route's
   */
  idleTimeout: number | false
  /**
   * Milliseconds from its start after which it is closed with 1012, shortened by up to 20 % so that not all end at once.
   * Throws SOCKETS_ERR_INVALID_ARGUMENT. @default the route's
   */
  maxLifetime: number | false
  /**
   * Wall time at which it is closed with 3000: that of its token. Movable at any time, so that a client can bring a new
   * token without reconnecting; undefined is never. Epoch milliseconds or Date; reads as the former.
   * Throws SOCKETS_ERR_INVALID_ARGUMENT, also for a time in seconds.
   */
  get expiresAt (): number | undefined
  set expiresAt (time: number | Date | undefined)
  /** Aborted when the server starts to leave; its reason is an error with code SOCKETS_ERR_DRAINING. Made when first read. */
  readonly drainSignal: AbortSignal
  /** Aborted when the connection is closing; its reason is a `ClosedError`. Made when first read. */
  readonly signal: AbortSignal
  /**
   * Resolves with the record when the raw socket is gone and every cleanup has settled or was given up; never rejects,
   * except with SOCKETS_ERR_CLEANUP_DEADLOCK when it is read inside a cleanup of this connection.
   */
  readonly closed: Promise<CloseRecord>
  /** Sets or moves the owner. Answers whether the connection may stay. */
  setOwner (owner: string | undefined): boolean
  /** Adds labels. */
  tag (...tags: string[]): void
  /** Takes labels away. */
  untag (...tags: string[]): void
  /**
   * Declares work in flight: a drain waits for it. Returns what it was given; a rejection stays yours and is logged. A drain
   * that has waited long says so with the name. @default 'track()'
   */
  track<T extends PromiseLike<unknown>> (promise: T, name?: string): T
  /**
   * Adds a cleanup, run once when the connection closes, whoever closes it: last in, first out, each awaited for up to
   * `cleanupTimeout`. On a closing or closed connection it runs at once. Returns a function that takes the cleanup back; once
   * the cleanup has started, and when called again, that does nothing. Throws SOCKETS_ERR_INVALID_ARGUMENT.
   */
  defer (cleanup: Cleanup): () => void
  /**
   * Iterates over the messages that arrive from now on, one at a time, with backpressure; a drain waits for the body.
   * Ends when the server leaves and the queued ones were delivered, or when the connection closes.
   * Throws SOCKETS_ERR_MESSAGES_CONSUMED on the second call, SOCKETS_ERR_INVALID_ARGUMENT on a wrong mark.
   */
  messages (options?: MessagesOptions): AsyncIterableIterator<Message>
  /**
   * Sends a close frame and waits for the peer's, up to `closeTimeout`; resolves as `closed` does. Repeated calls do
   * nothing. Throws SOCKETS_ERR_INVALID_CLOSE_CODE. A reason over 123 bytes is cut (RFC 6455 §5.5).
   *
   * @default code 1000
   */
  close (code?: number, reason?: string): Promise<CloseRecord>
  /**
   * Resolves when a slow reader has caught up: when less than 64 KiB wait for it, or half of `maxBufferedBytes`. Rejects with
   * the reason of `signal`, or that of the connection's own signal when it closes.
   */
  writable (options?: WritableOptions): Promise<void>
  /** Destroys the raw socket; resolves as `closed` does. */
  terminate (): Promise<CloseRecord>
}
