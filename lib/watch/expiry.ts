/**
 * Closes connections at `expiresAt` with 3000 (IANA registry: unauthorized), and at the end of their maximum lifetime with 1012
 * and a reconnect delay (IANA registry: service restart).
 *
 * `expiresAt` is wall time: every tick compares the wall clock with the monotonic one, and deadlines move when the wall clock was
 * set. A lifetime is monotonic; a jitter shortens it, so that clients that connected together do not close together. The earlier
 * of the two applies, and the expiry if both are due. At the end of its lifetime a connection may move its client, and finish work in
 * flight, within bounds; an expired connection may not.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import { Deadline, Entry, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MOVE_TIME } from '../connection/mover.ts'
import type { Mover } from '../connection/mover.ts'
import type { Enforcement } from '../track/enforcement.ts'

/** Largest part of a lifetime that the jitter takes away. */
const JITTER = 0.2
/** Largest `shortening` of a deadline: V8 stores an integer of this size without a heap object, and a fraction with one. */
const MAX_SHORTENING = 1e9

const EXPIRED = 'session expired'
const ENDED = 'maximum lifetime'

/** What expiry needs. */
export interface ExpiryHost {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly enforcement: Enforcement
  readonly mover: Pick<Mover<ManagedConnection>, 'ask'>
  readonly random: () => number
  /** Maximum wait for work in flight at the end of a lifetime, milliseconds. */
  readonly grace: number
  /** Shortest reconnect delay, milliseconds; the longest is twice as long. */
  readonly minDelay: number
}

/** The deadline of one connection: its expiry or the end of its lifetime. */
class EndDeadline extends Entry {
  readonly connection: ManagedConnection
  readonly #due: (end: EndDeadline) => void
  /** The jitter, 0 to MAX_SHORTENING; drawn when it is first needed. */
  shortening: number | undefined
  /** When its client must have moved, monotonic milliseconds; 0: it was not asked. */
  movingUntil = 0
  /** Values of `expiresAt` and `maxLifetime` that were due while the policy only observes: each is reported once. */
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
  /** Deadlines of connections that have an `expiresAt`. */
  readonly #expiring = new Set<EndDeadline>()
  readonly #tick = new Deadline(() => { this.#onTick() })
  readonly #due = (end: EndDeadline): void => { this.#onDue(end) }
  /** The difference between the clocks by which the deadlines are set. */
  #lead = 0

  constructor (host: ExpiryHost) {
    this.#host = host
  }

  /** Number of connections with an expiry or a lifetime. */
  get size (): number { return this.#ends.size }

  opened (connection: ManagedConnection): void { this.lifetimeSet(connection) }

  lifetimeSet (connection: ManagedConnection): void {
    const { expiresAt, maxLifetime } = connection
    let end = this.#ends.get(connection)
    if (end === undefined) {
      if (expiresAt === undefined && maxLifetime === false) return
      this.#ends.set(connection, end = new EndDeadline(connection, this.#due))
    }
    // The application has made the lifetime longer.
    if (this.#lifetimeLeft(end) > 0) end.movingUntil = 0
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
      this.#lead = this.#wallLead
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

  /** Time until the end of the lifetime, and of the move that it has caused. */
  #untilLifetime (end: EndDeadline): number {
    return Math.max(this.#lifetimeLeft(end), end.movingUntil - this.#host.clock.now())
  }

  #lifetimeLeft (end: EndDeadline): number {
    const { clock, random } = this.#host
    const { startedAt, maxLifetime } = end.connection
    if (maxLifetime === false || end.observedLifetime === maxLifetime) return Infinity
    end.shortening ??= Math.round(random() * MAX_SHORTENING)
    return startedAt + maxLifetime * (1 - JITTER * end.shortening / MAX_SHORTENING) - clock.now()
  }

  #onDue (end: EndDeadline): void {
    const { connection } = end
    // A drain or a close is under way.
    if (connection.state !== 'open') return
    const { clock, deadlines, enforcement, grace, minDelay, mover, random } = this.#host
    if (this.#untilExpiry(end) <= 0) {
      if (enforcement.allows('expiry', 'close', connection)) {
        connection.end('expired', CAUSE_CODES.expired, EXPIRED)
        return
      }
      end.observedExpiry = connection.expiresAt
      return this.#goOn(end)
    }
    const left = this.#untilLifetime(end)
    if (left > 0) return this.#set(end)
    if (end.movingUntil === 0 && enforcement.enforces('lifetime') && mover.ask(connection, 0)) {
      end.movingUntil = clock.now() + MOVE_TIME
      return this.#set(end)
    }
    if (connection.working && left > -grace) return deadlines.set(end, TICK)
    if (enforcement.allows('lifetime', 'close', connection)) {
      connection.end('lifetime', CAUSE_CODES.lifetime, withRetry(ENDED, minDelay * (1 + random())))
      return
    }
    end.observedLifetime = connection.maxLifetime
    this.#goOn(end)
  }

  /** Waits for the other end, unless a listener of 'observed' has closed the connection. */
  #goOn (end: EndDeadline): void { if (end.connection.state === 'open') this.#set(end) }

  /** Wall time minus monotonic time, milliseconds. */
  get #wallLead (): number { return this.#host.clock.wallNow() - this.#host.clock.now() }

  /** Sets the deadlines anew if the wall clock was set, at once or in small steps. */
  #onTick (): void {
    this.#host.deadlines.set(this.#tick, TICK)
    const lead = this.#wallLead
    if (Math.abs(lead - this.#lead) < TICK) return
    this.#lead = lead
    for (const end of this.#expiring) this.#set(end)
  }
}
