/**
 * One handshake: what is known of it until it is over, and where it is found, on its request.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Deadline } from '../base/deadlines.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { HandshakeTrace } from '../connection/tracing.ts'
import type { StoreWait } from './store-wait.ts'

export type Trace = HandshakeTrace<ManagedConnection>

/** A handshake in progress. */
export interface Handshake {
  readonly request: IncomingMessage
  /** Monotonic time of its start, milliseconds. */
  readonly startedAt: number
  readonly raw: Duplex
  /** Bytes that had been written to its raw socket when it began. */
  readonly written: number
  /** Whether it was admitted on arrival. */
  readonly counted: boolean
  /** Whether it was refused, and opens only to be closed. */
  readonly refused: boolean
  /** Null without tracing, and once the socket has opened: the application may keep the request. */
  trace: Trace | null
  deadline?: Deadline
  /** Whether the end of an HTTP answer ends it. */
  endsWithAnswer?: boolean
  /** Status with which ws has refused it. */
  declined?: number
  storeWait?: StoreWait
}

/** Key of the handshake on its request. */
export const kHandshake = Symbol('fastify-websocket-lifecycle.handshake')

export type Request = IncomingMessage & { [kHandshake]?: Handshake }

/** Returns whether a request has begun a handshake. */
export function isHandshake (request: IncomingMessage): boolean {
  return (request as Request)[kHandshake] !== undefined
}

/** Returns whether a handshake was refused, and its socket is to be closed when it opens. */
export function isRefused (request: IncomingMessage): boolean {
  return (request as Request)[kHandshake]?.refused === true
}

/** Returns whether a handshake in progress was admitted on arrival. */
export function isCounted (request: IncomingMessage): boolean {
  return (request as Request)[kHandshake]?.counted === true
}

/** Returns the trace of a handshake that is not over, if it has one. */
export function traceOf (request: IncomingMessage): Trace | null {
  return (request as Request)[kHandshake]?.trace ?? null
}

/** The same for the last time. */
export function takeTrace (request: IncomingMessage): Trace | null {
  const trace = traceOf(request)
  if (trace !== null) (request as Request)[kHandshake]!.trace = null
  return trace
}
