/**
 * How many messages a client may send: a token bucket for each connection, kept as one number.
 *
 * The number is the moment at which all that was sent is paid for, a message costing `timeWindow / max`. A client may be
 * ahead of time by `burst` messages. Over it the connection is closed with 1008 (RFC 6455 §7.4.1: policy violation), or
 * not read until it is paid for: TCP then holds the client back.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES } from '../base/close-codes.ts'
import type { Meter } from '../connection/host.ts'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { RateSettings } from '../connection/settings.ts'

const REASON = 'too many messages'

/** What rates lean on. */
export interface RateHost {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly enforcement: Enforcement
}

export class MessageRate implements Pick<Meter, 'spend'> {
  readonly #host: RateHost

  constructor (host: RateHost) {
    this.#host = host
  }

  /** A message has arrived; says whether it may be delivered. */
  spend (connection: ManagedConnection, rate: RateSettings): boolean {
    const { clock, deadlines, enforcement } = this.#host
    // What still arrives is the application's; nothing may be set any more.
    if (connection.state === 'closing') return true
    const now = clock.now()
    const cost = rate.timeWindow / rate.max
    const bucket = connection.extras.bucket ??= { paidAt: 0, pause: null }
    const paidAt = bucket.paidAt = Math.max(bucket.paidAt, now) + cost
    const over = paidAt - now - rate.burst * cost
    // A hair's breadth for sums of fractions.
    if (over <= cost * 1e-6) return true
    if (!enforcement.allows('messageRate', rate.policy, connection)) {
      // Or whoever is over once would be over for ever.
      bucket.paidAt = paidAt - cost
      return true
    }
    if (rate.policy === 'close') {
      connection.end('rate', CAUSE_CODES.rate, REASON)
      return false
    }
    // First: a `pause` of the application's that throws closes the connection, which takes the deadline back.
    deadlines.set(bucket.pause ??= new Deadline(() => { connection.resumeFor('rate') }), over)
    connection.pauseFor('rate')
    return true
  }

  /** Lets go of a connection that is closing. */
  remove (connection: ManagedConnection): void {
    if (connection.settings.messageRate === false) return
    const pause = connection.extras.bucket?.pause
    if (pause != null) this.#host.deadlines.cancel(pause)
  }
}
