/**
 * The public interface of a connection: one accepted WebSocket. managed-connection.ts implements it.
 */
import type { Buffer } from 'node:buffer'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Cleanup } from './cleanups.ts'
import type { CloseCause } from '../base/close-codes.ts'
import type { Step } from './steps.ts'
import type { TraceContext } from './tracing.ts'
import type { WritableOptions } from './writable.ts'

/** States of a connection, in order, never backwards. */
export const STATES = ['open', 'draining', 'closing', 'closed'] as const

/** `open → draining → closing → closed`. */
export type ConnectionState = typeof STATES[number]

/** Returns true for `closing` and `closed`. */
export function isClosing (state: ConnectionState): boolean { return state === 'closing' || state === 'closed' }

/**
 * Data of the application on a connection. Augment it:
 * `declare module 'fastify-websocket-lifecycle' { interface ConnectionData { userId: string } }`.
 */
export interface ConnectionData {}

/** Who has asked for an act of administration, and why: for the audit and the history. */
export interface ActOptions {
  /** Who has asked for it, such as the name of an operator. @default undefined */
  by?: string | undefined
  /** Why, as text for people. @default undefined */
  why?: string | undefined
}

/** Record of a closed connection: plain data, kept in the history. */
export interface CloseRecord {
  /** Id of the connection. */
  id: number
  /** Fastify's request id, its first 128 characters; empty for adopted servers. */
  requestId: string
  /** Route pattern of the connection, the path for adopted servers; its first 256 characters. */
  route: string
  /** What ended the connection; the first cause counts. */
  cause: CloseCause
  /** Close code, ours or the peer's; 1006 if there was none (RFC 6455 §7.1.5). */
  code: number
  /** Close reason, ours or the peer's; a peer's is cut to 64 characters and escaped. */
  reason: string
  /** Whether both close frames were exchanged (RFC 6455 §7.1.4). */
  clean: boolean
  /** Code of the peer's close frame, whichever side closed first; 1005 if the frame had none, null if no frame has arrived. */
  receivedCode: number | null
  /** Time of the handshake, epoch milliseconds. */
  openedAt: number
  /** Time from the handshake to the last cleanup, milliseconds. */
  duration: number
  /** Time from the handshake to the start of the close, milliseconds. */
  age: number
  /** What happened before the close: that it drained, was asked to move, has moved. */
  steps: readonly Step[]
  /** Time for which our ping had waited for its pong when the close began, milliseconds; 0 if it was less than an interval of the heartbeat. */
  unanswered: number
  /** Bytes that waited in this process for the peer to read when the close began. */
  unsent: number
  /** Bytes read from the raw socket, frames and handshake. */
  bytesReceived: number
  /** Bytes written to the raw socket, frames and handshake. */
  bytesSent: number
  /** Messages received. */
  messages: number
  /** Messages that arrived and were not delivered: after our close frame, over a rate, or left over in `messages()`. */
  dropped: number
  /** Who has asked for the `disconnect()` or `drain()` that closed it, where that was given. */
  by?: string
  /** Why that was asked for, where that was given. */
  why?: string
  /** The owner at the close; only in `history`, where the option `history` keeps it. */
  owner?: string
  /** Address of the peer; only in `history`, where the option `history` keeps it. */
  ip?: string
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
  /** Time of the handshake, epoch milliseconds. */
  readonly openedAt: number
  /** Pattern of the route, such as `/rooms/:id`; for adopted servers the path of the request, its first 256 characters, without its query string. */
  readonly route: string
  /** Address of the peer as Fastify sees it (`trustProxy` counts), its first 64 characters; empty if it has none, such as over a Unix socket. */
  readonly ip: string
  /** Fastify's request id; empty for adopted servers. */
  readonly requestId: string
  /** The span of the handshake, for links and log lines; undefined without `fastify-websocket-lifecycle/tracing`. */
  readonly traceContext: TraceContext | undefined
  /** The owner, such as a user id; undefined until it is set. */
  readonly owner: string | undefined
  /** The tags; a snapshot. */
  readonly tags: ReadonlySet<string>
  /** The state that the client's last connection has handed over; undefined if there is none, or while the owner is another one. */
  readonly handed: unknown
  /** Data of the application. */
  data: ConnectionData
  /** The upgrade request; only on routes with `keepRequest: true`. */
  readonly request: FastifyRequest | undefined
  /** Child logger with the connection's id, made when first read. */
  readonly log: FastifyBaseLogger
  /** Messages received so far. */
  readonly messagesReceived: number
  /** Milliseconds from our last ping to its pong (RFC 6455 §5.5.3); undefined before the first. Clients that send messages are not pinged. */
  readonly rtt: number | undefined
  /**
   * Milliseconds without a message from the client after which it is closed with 3008; pings, pongs and messages to the client
   * do not count. Setting it restarts the time. Throws SOCKETS_ERR_INVALID_ARGUMENT. @default the route's
   */
  idleTimeout: number | false
  /**
   * Milliseconds after the handshake at which it is closed with 1012, shortened by up to 20 % so that not all end at once.
   * Throws SOCKETS_ERR_INVALID_ARGUMENT. @default the route's
   */
  maxLifetime: number | false
  /**
   * Wall time at which it is closed with 3000, such as the expiry of its token; undefined: never. It may be set at any time, so
   * that a client can send a new token without reconnecting. Set to epoch milliseconds or a Date, read as epoch milliseconds.
   * Throws SOCKETS_ERR_INVALID_ARGUMENT, also for a time in seconds.
   */
  get expiresAt (): number | undefined
  set expiresAt (time: number | Date | undefined)
  /**
   * Aborted when the connection starts to drain: with the server, or because its client has moved. The reason is an error with code
   * SOCKETS_ERR_DRAINING. Made when first read.
   */
  readonly drainSignal: AbortSignal
  /** Aborted when the connection is closing; the reason is a `ClosedError`. Made when first read. */
  readonly signal: AbortSignal
  /**
   * Resolves with the record when the raw socket is gone and every cleanup has settled or was given up. Rejects only with
   * SOCKETS_ERR_CLEANUP_DEADLOCK, if it is read in a cleanup of this connection.
   */
  readonly closed: Promise<CloseRecord>
  /** Sets or changes the owner. Returns whether the connection may stay open. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  setOwner (owner: string | undefined): boolean
  /**
   * Keeps a state for the next connection of the client, which finds it in `handed`: after a move, or after a close that lets the
   * client come back. It is given once, on the same path, to the owner of now, until 30 seconds after the client should be back.
   * At most 4096 bytes of JSON, written at once; the last call counts, and undefined keeps none. Only clients with the class of
   * `fastify-websocket-lifecycle/client` bring it back. Throws SOCKETS_ERR_INVALID_HANDOVER.
   */
  handover (state: unknown): void
  /** Adds tags. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  tag (...tags: string[]): void
  /** Removes tags. */
  untag (...tags: string[]): void
  /**
   * Declares work in flight: a drain waits for it. Returns `promise`; its rejection is logged, and remains the caller's to
   * handle. The report of a drain has the name. Throws SOCKETS_ERR_INVALID_ARGUMENT. @default name 'track()'
   */
  track<T extends PromiseLike<unknown>> (promise: T, name?: string): T
  /**
   * Adds a cleanup. Cleanups run once when the connection closes, for whatever cause: last in, first out, each for up to
   * `cleanupTimeout`. On a closing or closed connection it runs at once. Returns a function that takes the cleanup back; after
   * the cleanup has started, that function does nothing. Throws SOCKETS_ERR_INVALID_ARGUMENT.
   */
  defer (cleanup: Cleanup): () => void
  /**
   * Iterates over the messages that arrive from now on, one at a time, with backpressure; a drain waits for the loop body.
   * Ends when the connection closes, or drains and the queued messages were delivered.
   * Throws SOCKETS_ERR_MESSAGES_CONSUMED on the second call, SOCKETS_ERR_INVALID_ARGUMENT for a wrong `highWaterMark`.
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
   * Resolves when a slow reader has caught up: at most 64 KiB are queued for it, or half of `maxBufferedBytes`. Rejects with
   * the reason of the option `signal`, or that of `connection.signal` when the connection closes.
   */
  writable (options?: WritableOptions): Promise<void>
  /**
   * Asks the client to move: to open a new connection, then to leave this one, which is closed with 1012 `moved` when its work has
   * ended. Resolves with true when the client has moved. Resolves with false if it cannot (its class is not that of
   * `fastify-websocket-lifecycle/client`, or `drain.move` is false) or has not within 5 seconds: the connection then goes on.
   */
  move (): Promise<boolean>
  /** Destroys the raw socket; resolves as `closed` does. */
  terminate (): Promise<CloseRecord>
}
