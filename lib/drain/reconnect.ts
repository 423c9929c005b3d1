/**
 * Reconnect delays: they spread the clients evenly over the time that the other servers need to accept all of them.
 *
 * `n` clients at `rate` a second take `n / rate` seconds, at most `maxDelay`. No delay is shorter than `minDelay`, counted from
 * the client's own close frame. The delay in a frame is the target minus the time since the first frame, so that a late frame
 * does not make its client reconnect late. A single client gets `minDelay`.
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
  /** Shortest delay. @default 1000 */
  minDelay: number
  /** Longest delay. @default 60000 */
  maxDelay: number
}

/** Returns the delay for frame `index` of `count`, sent `elapsed` milliseconds after the first one. */
export function reconnectDelay (options: ReconnectOptions, index: number, count: number, elapsed: number): number {
  const { rate, minDelay, maxDelay } = options
  const span = Math.min(count / rate * 1000, maxDelay - minDelay)
  const target = minDelay + index / count * span
  return Math.round(Math.max(minDelay, target - elapsed))
}

/** Returns the reason of one close frame: the text with the delay, or the result of the application's function. */
export function drainReason (reason: DrainReason, connection: Connection, delay: number): string {
  if (typeof reason === 'string') return withRetry(reason, delay)
  const text = atOnce('drain.reason()', reason(connection, delay))
  return typeof text === 'string' ? text : ''
}
