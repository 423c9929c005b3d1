/**
 * Ends connections whose time is over: 3000 when a token has expired (IANA registry: unauthorized), 1012 with a
 * reconnect delay at the end of the longest life (IANA registry: service restart).
 *
 * `expiresAt` is wall time and is looked at every tick; a wall clock that was set moves what is set by it. A lifetime is
 * monotonic, and shortened by chance so that those who came together do not leave together. The earlier of the two
 * counts, and the expiry where both are due. Who works at the end of its life may finish, within bounds; who has
 * expired may not.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import type { Timekeeper } from '../connection/host.ts'
import { Deadline, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { EndDeadline } from '../connection/liveness.ts'

/** Part of a lifetime that chance may take away. */
const JITTER = 0.2
/** `chance` of a deadline at its greatest. */
const CERTAIN = 1e9

const EXPIRED = 'session expired'
const ENDED = 'maximum lifetime'

/** What expiry leans on. */
export interface ExpiryHost {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly enforcement: Enforcement
  readonly random: () => number
  /** Longest wait for work in flight at the end of a life, milliseconds. */
  readonly grace: number
  /** Shortest delay before a client comes back, milliseconds; longest is twice as much. */
  readonly minDelay: number
}

export class Expiry implements Pick<Timekeeper, 'endSet' | 'endDue'> {
  readonly #host: ExpiryHost
  /** Connections with an `expiresAt`. */
  readonly #watched = new Set<ManagedConnection>()
  /** Ends that came and were only observed: they are told once, and the other one still counts. */
  readonly #spared = new WeakMap<EndDeadline, { expiresAt?: number | undefined, maxLifetime?: number | false }>()
  readonly #tick = new Deadline(() => { this.#onTick() })
  /** Wall time less monotonic time, when the deadlines were set by it. */
  #offset = 0

  constructor (host: ExpiryHost) {
    this.#host = host
  }

  /** Watches a connection that has opened. */
  add (connection: ManagedConnection): void {
    if (connection.endDeadline !== undefined) this.endSet(connection)
  }

  /** Lets go of a connection that is closing. */
  remove (connection: ManagedConnection): void {
    if (connection.endDeadline === undefined) return
    this.#host.deadlines.cancel(connection.endDeadline)
    this.#unwatch(connection)
  }

  /** Its `expiresAt` or `maxLifetime` has changed. */
  endSet (connection: ManagedConnection): void {
    const end = connection.endDeadline!
    const untilExpiry = this.#untilExpiry(end)
    const left = Math.min(untilExpiry, this.#untilEnd(connection, end))
    if (left === Infinity) return this.remove(connection)
    if (untilExpiry === Infinity) this.#unwatch(connection)
    else this.#watch(connection)
    this.#host.deadlines.set(end, left)
  }

  #watch (connection: ManagedConnection): void {
    if (this.#watched.size === 0) {
      this.#offset = this.#wallLead
      this.#host.deadlines.set(this.#tick, TICK)
    }
    this.#watched.add(connection)
  }

  #unwatch (connection: ManagedConnection): void {
    if (this.#watched.delete(connection) && this.#watched.size === 0) this.#host.deadlines.cancel(this.#tick)
  }

  #untilExpiry (end: EndDeadline): number {
    const { expiresAt } = end
    if (expiresAt === undefined || this.#spared.get(end)?.expiresAt === expiresAt) return Infinity
    return expiresAt - this.#host.clock.wallNow()
  }

  #untilEnd (connection: ManagedConnection, end: EndDeadline): number {
    const { clock, random } = this.#host
    const { maxLifetime } = end
    if (maxLifetime === false || this.#spared.get(end)?.maxLifetime === maxLifetime) return Infinity
    end.chance ??= Math.round(random() * CERTAIN)
    return connection.bornAt + maxLifetime * (1 - JITTER * end.chance / CERTAIN) - clock.now()
  }

  endDue (connection: ManagedConnection): void {
    // A close is under way, or about to come.
    if (connection.state !== 'open') return
    const { deadlines, enforcement, grace, minDelay, random } = this.#host
    const end = connection.endDeadline!
    if (this.#untilExpiry(end) <= 0) {
      if (!enforcement.allows('expiry', 'close', connection)) {
        this.#spared.set(end, { ...this.#spared.get(end), expiresAt: end.expiresAt })
        return this.endSet(connection)
      }
      connection.end('expired', CAUSE_CODES.expired, EXPIRED)
      return
    }
    const left = this.#untilEnd(connection, end)
    if (left > 0) return this.endSet(connection)
    if (connection.working && left > -grace) return deadlines.set(end, TICK)
    if (!enforcement.allows('lifetime', 'close', connection)) {
      this.#spared.set(end, { ...this.#spared.get(end), maxLifetime: end.maxLifetime })
      return this.endSet(connection)
    }
    connection.end('lifetime', CAUSE_CODES.lifetime, withRetry(ENDED, minDelay * (1 + random())))
  }

  /** Wall time less monotonic time. */
  get #wallLead (): number { return this.#host.clock.wallNow() - this.#host.clock.now() }

  /** Somebody may have set the wall clock; small steps add up. */
  #onTick (): void {
    this.#host.deadlines.set(this.#tick, TICK)
    const lead = this.#wallLead
    if (Math.abs(lead - this.#offset) < TICK) return
    this.#offset = lead
    for (const connection of this.#watched) this.endSet(connection)
  }
}
