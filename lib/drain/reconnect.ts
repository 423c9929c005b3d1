/**
 * What a close frame of a drain says about reconnecting: the delay, and the reason that it is part of.
 */
import { withRetry } from '../base/close-codes.ts'
import type { Connection } from '../connection/connection.ts'
import { atOnce } from '../base/guard.ts'

/** Returns the reason of a close frame; false for none. */
export type DrainReason = string | ((connection: Connection, delay: number) => string | false)

/** When clients should reconnect. */
export interface ReconnectOptions {
  /** Clients a second that the other servers can accept. @default 200 */
  rate: number
  /** Shortest delay. @default 0 if another server takes over (terminationGracePeriod, preStop, settleDelay or fleet is given), else 1000 */
  minDelay: number
  /** Longest delay. @default 60000 */
  maxDelay: number
}

/** Returns the delay of a client whose turn comes in `wait` milliseconds. */
export function reconnectDelay ({ minDelay, maxDelay }: ReconnectOptions, wait: number): number {
  return Math.min(maxDelay, minDelay + Math.ceil(wait))
}

/**
 * Returns the reason of one close frame: the text with the delay, if there is one or it is `named`, or the result of the application's
 * function.
 */
export function drainReason (reason: DrainReason, connection: Connection, delay: number, named = false): string {
  if (typeof reason === 'string') return delay > 0 || named ? withRetry(reason, delay) : reason
  const text = atOnce('drain.reason()', reason(connection, delay))
  return typeof text === 'string' ? text : ''
}
