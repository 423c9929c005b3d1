/**
 * When each client should come back: evenly over the time the rest of the fleet needs to take them all.
 *
 * `n` clients at `rate` a second take `n / rate` seconds (at most `maxDelay`); nobody is asked back sooner than
 * `minDelay` after its own close frame. The delay in a frame is the target less the time already spent, so that clients
 * told late do not also come late. One client alone gets `minDelay`.
 */
import { withRetry } from '../base/close-codes.ts'
import type { Connection } from '../connection/connection.ts'
import { atOnce } from '../base/guard.ts'

/** Makes the reason of a close frame; false for none. */
export type DrainReason = string | ((connection: Connection, delay: number) => string | false)

/** Milliseconds, and clients a second. */
export interface ReconnectOptions {
  /** Clients a second that the rest of the fleet can take. @default 200 */
  rate: number
  /** Shortest delay. @default 1000 */
  minDelay: number
  /** Longest delay. @default 60000 */
  maxDelay: number
}

/** The delay for frame `index` of `count`, sent `elapsed` milliseconds after the first. */
export function reconnectDelay (options: ReconnectOptions, index: number, count: number, elapsed: number): number {
  const { rate, minDelay, maxDelay } = options
  const span = Math.min(count / rate * 1000, maxDelay - minDelay)
  const target = minDelay + index / count * span
  return Math.round(Math.max(minDelay, target - elapsed))
}

/** The reason of one close frame: the text with the delay in it, or what the application makes of the delay. */
export function drainReason (reason: DrainReason, connection: Connection, delay: number): string {
  if (typeof reason === 'string') return withRetry(reason, delay)
  const text = atOnce('drain.reason()', reason(connection, delay))
  return typeof text === 'string' ? text : ''
}
