/**
 * How many messages a client may send: a token bucket for each connection, kept as one number.
 *
 * The number is the moment at which all that was sent is paid for, a message costing `timeWindow / max`. A client may be
 * ahead of time by `burst` messages. Over it the connection is closed with 1008 (RFC 6455 §7.4.1: policy violation), or
 * not read until it is paid for: TCP then holds the client back.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES } from '../base/close-codes.ts'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'

const REASON = 'too many messages'

/** What message rates need. */
export interface RateHost {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly enforcement: Enforcement
}

/** What a client has used of its rate. */
interface Bucket {
  /** Monotonic time at which the messages so far are paid for. */
  paidAt: number
  /** When the client may be read again; made when it first may not. */
  pause: Deadline | null
}

export class MessageRate {
  readonly #host: RateHost
  readonly #buckets = new Map<ManagedConnection, Bucket>()

  constructor (host: RateHost) {
    this.#host = host
  }

  /** Connections whose messages were counted. */
  get size (): number { return this.#buckets.size }

  received (connection: ManagedConnection): boolean {
    const { messageRate: rate } = connection.settings
    // What still arrives while the connection closes is the application's, and no deadline may be set any more.
    if (rate === false || connection.state === 'closing') return true
    const { clock, deadlines, enforcement } = this.#host
    const now = clock.now()
    const cost = rate.timeWindow / rate.max
    let bucket = this.#buckets.get(connection)
    if (bucket === undefined) this.#buckets.set(connection, bucket = { paidAt: 0, pause: null })
    const paidAt = bucket.paidAt = Math.max(bucket.paidAt, now) + cost
    const over = paidAt - now - rate.burst * cost
    // A tolerance for sums of fractions.
    if (over <= cost * 1e-6) return true
    if (!enforcement.allows('messageRate', rate.policy, connection)) {
      // Otherwise a client that is over the rate once would stay over it.
      bucket.paidAt = paidAt - cost
      return true
    }
    if (rate.policy === 'close') {
      connection.end('rate', CAUSE_CODES.rate, REASON)
      return false
    }
    // Before the pause: a `pause` of the application's that throws closes the connection, which takes the deadline back.
    deadlines.set(bucket.pause ??= new Deadline(() => { connection.incoming.resume('rate') }), over)
    connection.incoming.pause('rate')
    return true
  }

  closing (connection: ManagedConnection): void {
    const pause = this.#buckets.get(connection)?.pause
    this.#buckets.delete(connection)
    if (pause != null) this.#host.deadlines.cancel(pause)
  }
}
