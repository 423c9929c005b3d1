/**
 * What most connections never need: one object beside the connection, made with the first of it, so that an idle
 * connection does not pay for what others use.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { CleanupStack } from './cleanups.ts'
import type { CloseRecord, ConnectionData } from './connection.ts'
import type { Deadline } from '../base/deadlines.ts'
import type { Deferred } from '../base/deferred.ts'
import type { LazySignal } from './lazy-signal.ts'
import type { MessageQueue } from './message-queue.ts'
import type { Frame } from './transport.ts'
import type { UnreadInput } from './unread-input.ts'
import type { EndDeadline, IdleDeadline, Stall } from './liveness.ts'

/** Where a client stands whose messages are counted. */
export interface Bucket {
  /** Monotonic time at which the messages so far are paid for. */
  paidAt: number
  /** When it may be read again; made when it first may not. */
  pause: Deadline | null
}

export interface Extras {
  data?: ConnectionData
  tags?: ReadonlySet<string>
  log?: FastifyBaseLogger
  request?: FastifyRequest
  drainSignal?: LazySignal
  signal?: LazySignal
  cleanups?: CleanupStack
  /** The wait for a socket that has not told that it is closed. */
  untold?: Deadline
  closed?: Deferred<CloseRecord>
  bucket?: Bucket
  stall?: Stall | null
  idle?: IdleDeadline
  end?: EndDeadline
  /** Work in flight that has a name. */
  works?: Set<{ readonly name: string }>
  /** Behind `messages()`. */
  queue?: MessageQueue
  /** Input that had arrived before the drain. */
  unread?: UnreadInput | undefined
  /** Looks again whether too many pongs wait. */
  pongs?: Deadline | undefined
  /** Messages that were not delivered. */
  dropped?: number
  /** Whether its place is its own; lost: it has made room for another, and its raw socket is still there. */
  place?: 'kept' | 'lost' | undefined
  /** The owner under whose limit it has that place. */
  placeOwner?: string | undefined
  /** Broadcasts that wait for the end of a fragmented message. */
  held?: { frames: Frame[], bytes: number } | undefined
  /** The application's errorHandler is running. */
  faulting?: boolean
}
