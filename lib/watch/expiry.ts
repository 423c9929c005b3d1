/**
 * Ends connections whose time is over: 3000 when a token has expired (IANA registry: unauthorized), 1012 with a
 * reconnect delay at the end of the maximum lifetime (IANA registry: service restart).
 *
 * `expiresAt` is wall time and is looked at every tick; a wall clock that was set moves what is set by it. A lifetime is
 * monotonic, and shortened at random so that clients that came together do not leave together. The earlier of the two
 * counts, and the expiry where both are due. A connection with work in flight may finish it at the end of its lifetime, within
 * bounds; one that has expired may not.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import { Deadline, Entry, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Enforcement } from '../track/enforcement.ts'

/** Part of a lifetime by which it is shortened at most, at random. */
const JITTER = 0.2
/** Greatest `shortening` of a deadline: a whole number takes no memory of its own. */
const MAX_SHORTENING = 1e9

const EXPIRED = 'session expired'
const ENDED = 'maximum lifetime'

/** What expiry needs. */
export interface ExpiryHost {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly enforcement: Enforcement
  readonly random: () => number
  /** Longest wait for work in flight at the end of a lifetime, milliseconds. */
  readonly grace: number
  /** Shortest delay before a client comes back, milliseconds; longest is twice as much. */
  readonly minDelay: number
}

/** The end of one connection. */
class EndDeadline extends Entry {
  readonly connection: ManagedConnection
  readonly #due: (end: EndDeadline) => void
  /** 0 to MAX_SHORTENING, once it was drawn. */
  shortening: number | undefined
  /** Ends that came and were only observed: they are told once, and the other one still counts. */
  observedExpiry: number | undefined
  observedLifetime: number | false | undefined

  constructor (connection: ManagedConnection, due: (end: EndDeadline) => void) {
    super()
    this.connection = connection
    this.#due = due
  }

  expire (): void { this.#due(this) }
}

export class Expiry {
  readonly #host: ExpiryHost
  readonly #ends = new Map<ManagedConnection, EndDeadline>()
  /** Those with an `expiresAt`. */
  readonly #expiring = new Set<EndDeadline>()
  readonly #tick = new Deadline(() => { this.#onTick() })
  readonly #due = (end: EndDeadline): void => { this.#onDue(end) }
  /** Wall time less monotonic time, when the deadlines were set by it. */
  #offset = 0

  constructor (host: ExpiryHost) {
    this.#host = host
  }

  /** Connections that are to end at some time. */
  get size (): number { return this.#ends.size }

  opened (connection: ManagedConnection): void { this.lifetimeSet(connection) }

  lifetimeSet (connection: ManagedConnection): void {
    const { expiresAt, maxLifetime } = connection
    let end = this.#ends.get(connection)
    if (end === undefined) {
      if (expiresAt === undefined && maxLifetime === false) return
      this.#ends.set(connection, end = new EndDeadline(connection, this.#due))
    }
    this.#set(end)
  }

  closing (connection: ManagedConnection): void {
    const end = this.#ends.get(connection)
    if (end === undefined) return
    this.#ends.delete(connection)
    this.#unset(end)
  }

  #set (end: EndDeadline): void {
    const untilExpiry = this.#untilExpiry(end)
    const left = Math.min(untilExpiry, this.#untilLifetime(end))
    if (left === Infinity) return this.#unset(end)
    if (untilExpiry === Infinity) this.#unwatch(end)
    else this.#watch(end)
    this.#host.deadlines.set(end, left)
  }

  #unset (end: EndDeadline): void {
    this.#host.deadlines.cancel(end)
    this.#unwatch(end)
  }

  #watch (end: EndDeadline): void {
    if (this.#expiring.size === 0) {
      this.#offset = this.#wallLead
      this.#host.deadlines.set(this.#tick, TICK)
    }
    this.#expiring.add(end)
  }

  #unwatch (end: EndDeadline): void {
    if (this.#expiring.delete(end) && this.#expiring.size === 0) this.#host.deadlines.cancel(this.#tick)
  }

  #untilExpiry ({ connection: { expiresAt }, observedExpiry }: EndDeadline): number {
    return expiresAt === undefined || observedExpiry === expiresAt ? Infinity : expiresAt - this.#host.clock.wallNow()
  }

  #untilLifetime (end: EndDeadline): number {
    const { clock, random } = this.#host
    const { bornAt, maxLifetime } = end.connection
    if (maxLifetime === false || end.observedLifetime === maxLifetime) return Infinity
    end.shortening ??= Math.round(random() * MAX_SHORTENING)
    return bornAt + maxLifetime * (1 - JITTER * end.shortening / MAX_SHORTENING) - clock.now()
  }

  #onDue (end: EndDeadline): void {
    const { connection } = end
    // A close is under way, or about to come.
    if (connection.state !== 'open') return
    const { deadlines, enforcement, grace, minDelay, random } = this.#host
    if (this.#untilExpiry(end) <= 0) {
      if (enforcement.allows('expiry', 'close', connection)) {
        connection.end('expired', CAUSE_CODES.expired, EXPIRED)
        return
      }
      end.observedExpiry = connection.expiresAt
      return this.#set(end)
    }
    const left = this.#untilLifetime(end)
    if (left > 0) return this.#set(end)
    if (connection.working && left > -grace) return deadlines.set(end, TICK)
    if (enforcement.allows('lifetime', 'close', connection)) {
      connection.end('lifetime', CAUSE_CODES.lifetime, withRetry(ENDED, minDelay * (1 + random())))
      return
    }
    end.observedLifetime = connection.maxLifetime
    this.#set(end)
  }

  /** Wall time less monotonic time. */
  get #wallLead (): number { return this.#host.clock.wallNow() - this.#host.clock.now() }

  /** The wall clock may have been set; small steps add up. */
  #onTick (): void {
    this.#host.deadlines.set(this.#tick, TICK)
    const lead = this.#wallLead
    if (Math.abs(lead - this.#offset) < TICK) return
    this.#offset = lead
    for (const end of this.#expiring) this.#set(end)
  }
}
