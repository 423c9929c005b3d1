/**
 * Limits the messages of a client by the generic cell rate algorithm (ITU-T I.371): a token bucket kept as one number.
 *
 * The number is the theoretical arrival time: the moment at which the next message would arrive if all came at the rate, one
 * every `timeWindow / max`. A client may be ahead of it by `burst` messages. Above that the connection is closed with 1008
 * (RFC 6455 §7.4.1: policy violation), or is not read until the rate allows it: TCP then slows the client down.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES } from '../base/close-codes.ts'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import { isClosing } from '../connection/connection.ts'
import type { Hooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'

const REASON = 'too many messages'

/** What message rates need. */
export interface RateHost {
  readonly hooks: Hooks<ManagedConnection>
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly enforcement: Enforcement
}

/** The state of one client. */
interface Bucket {
  /** The theoretical arrival time of the next message, monotonic milliseconds. */
  arrivalAt: number
  /** Ends a pause; null before the first one. */
  pause: Deadline | null
}

export class MessageRate {
  readonly #host: RateHost
  readonly #buckets = new Map<ManagedConnection, Bucket>()
  /** Whether messages are heard of: a message costs nothing before the first connection with a rate. */
  #hears = false

  constructor (host: RateHost) {
    this.#host = host
  }

  /** Number of connections whose messages were counted. */
  get size (): number { return this.#buckets.size }

  opened ({ settings }: ManagedConnection): void {
    if (this.#hears || settings.messageRate === false) return
    this.#hears = true
    this.#host.hooks.add(this, 'received')
  }

  received (connection: ManagedConnection): boolean {
    const { messageRate: rate } = connection.settings
    // Messages may still arrive while the connection closes, and after: they are not counted, and set no deadline.
    if (rate === false || isClosing(connection.state)) return true
    const { clock, deadlines, enforcement } = this.#host
    const now = clock.now()
    const gap = rate.timeWindow / rate.max
    let bucket = this.#buckets.get(connection)
    if (bucket === undefined) this.#buckets.set(connection, bucket = { arrivalAt: 0, pause: null })
    const arrivalAt = bucket.arrivalAt = Math.max(bucket.arrivalAt, now) + gap
    const ahead = arrivalAt - now - rate.burst * gap
    // Sums of fractions have rounding errors.
    if (ahead <= gap * 1e-6) return true
    if (!enforcement.allows('messageRate', rate.policy, connection)) {
      // A message that is only observed does not count, or a client that was above the rate once would stay above it.
      bucket.arrivalAt = arrivalAt - gap
      return true
    }
    if (rate.policy === 'close') {
      connection.end('rate', CAUSE_CODES.rate, REASON)
      return false
    }
    // Set before the pause: if the application has replaced `pause` and it throws, the connection closes and cancels the deadline.
    deadlines.set(bucket.pause ??= new Deadline(() => { connection.incoming.resume('rate') }), ahead)
    connection.incoming.pause('rate')
    return true
  }

  closing (connection: ManagedConnection): void {
    const pause = this.#buckets.get(connection)?.pause
    this.#buckets.delete(connection)
    if (pause != null) this.#host.deadlines.cancel(pause)
  }
}
