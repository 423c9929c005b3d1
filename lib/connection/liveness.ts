/**
 * Signs of life of a connection, and how long it may live: what the heartbeat, the idle timeout and the expiry look at
 * and keep here. They decide; this only holds, checks and tells them of changes.
 */
import { Entry } from '../base/deadlines.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { show } from '../base/check.ts'
import { Identity } from './identity.ts'
import type { Settings } from './settings.ts'
import type { ConnectionFacts, ConnectionHost } from './host.ts'
import type { ManagedConnection } from './managed-connection.ts'

/** A ping without a pong yet. */
export interface Probe {
  /** Looks at the peer since it has left, or since bytes have left before it. */
  age: number
  /** Whether it has left our write queue. */
  left: boolean
  /** When it was asked for, then when it has left. */
  leftAt: number
  /** Bytes the kernel had taken at the last look. */
  taken: number
  /** Whether no ping before it waits for a pong: else nobody knows which of the two a pong answers. */
  readonly alone: boolean
  /** Which it is of those that the machine slept through. */
  readonly era: number
}

/** A peer that had bytes to take at the last look. */
export interface Stall {
  /** Bytes the kernel had taken. */
  taken: number
  /** Looks since that has changed. */
  looks: number
}

/** How long a connection may be silent; only those have it for whom that is set. */
export class IdleDeadline extends Entry {
  readonly connection: ManagedConnection
  timeout: number | false = false
  /** Tick of running time at the last message, or when the timeout was set. */
  lastMessageTick = 0

  constructor (connection: ManagedConnection) {
    super()
    this.connection = connection
  }

  expire (): void { this.connection.idleDue() }
}

/** How long a connection may live; only those have it for whom that is set. */
export class EndDeadline extends Entry {
  readonly connection: ManagedConnection
  maxLifetime: number | false = false
  expiresAt: number | undefined
  /** What chance has said of its lifetime, once it was asked: 0 to 1,000,000,000, for a whole number needs no memory of its own. */
  chance: number | undefined

  constructor (connection: ManagedConnection) {
    super()
    this.connection = connection
  }

  expire (): void { this.connection.endDue() }
}

/** `connection.seen` where nobody has counted. */
export const UNSEEN = -1

/** `connection.seen` where nobody has looked yet. */
export const NEW = -2

/** Earlier than this is a time in seconds by mistake: it would be in 1973. */
const LEAST_TIME = 1e11

export abstract class Vitals extends Identity {
  readonly settings: Settings
  /** Monotonic time of its start, in whole milliseconds: those need no memory of their own. */
  readonly bornAt: number
  /** Something was received since the heartbeat looked last. */
  heard = true
  /** Bytes received at that look, UNSEEN or NEW. */
  seen = NEW
  probe: Probe | null = null
  /** Number of its last message among those of all, or of the one before its start. */
  lastMessage: number
  #rtt = -1

  constructor (host: ConnectionHost, socket: Identity['socket'], facts: ConnectionFacts) {
    super(host, socket, facts)
    this.settings = facts.settings ?? host.settings
    this.bornAt = Math.ceil(host.clock.now())
    this.lastMessage = host.registry.messages
    const { idleTimeout, maxLifetime } = this.settings
    if (idleTimeout !== false) this.startIdle(idleTimeout)
    if (maxLifetime !== false) this.makeEnd().maxLifetime = maxLifetime
  }

  get idleDeadline (): IdleDeadline | undefined { return this.rare?.idle }
  get endDeadline (): EndDeadline | undefined { return this.rare?.end }

  get stall (): Stall | null { return this.rare?.stall ?? null }
  set stall (stall: Stall | null) { if (stall !== this.stall) this.extras.stall = stall }

  get rtt (): number | undefined { return this.#rtt === -1 ? undefined : this.#rtt / 1000 }

  get idleTimeout (): number | false { return this.rare?.idle?.timeout ?? false }
  set idleTimeout (timeout: number | false) {
    this.startIdle(duration('idleTimeout', timeout))
    if (!this.isEnding) this.host.timekeeper?.idleTimeoutSet(this.self)
  }

  get maxLifetime (): number | false { return this.rare?.end?.maxLifetime ?? false }
  set maxLifetime (lifetime: number | false) {
    this.makeEnd().maxLifetime = duration('maxLifetime', lifetime)
    if (!this.isEnding) this.host.timekeeper?.endSet(this.self)
  }

  get expiresAt (): number | undefined { return this.rare?.end?.expiresAt }
  set expiresAt (time: number | Date | undefined) {
    const at = time instanceof Date ? time.getTime() : time
    if (at !== undefined && !(Number.isFinite(at) && at >= LEAST_TIME)) {
      throw new SOCKETS_ERR_INVALID_ARGUMENT('expiresAt', 'epoch milliseconds (a claim in seconds × 1000), a Date or undefined', show(at))
    }
    this.makeEnd().expiresAt = at
    if (!this.isEnding) this.host.timekeeper?.endSet(this.self)
  }

  /** A pong with our payload is here. */
  ponged (): void {
    const { probe } = this
    if (probe === null || !probe.left) return
    // A whole number: it needs no memory of its own.
    if (probe.alone) this.#rtt = Math.max(0, Math.round((this.host.clock.now() - probe.leftAt) * 1000))
    this.probe = null
  }

  /** Its deadlines are due. */
  idleDue (): void { this.host.timekeeper?.idleDue(this.self) }
  endDue (): void { this.host.timekeeper?.endDue(this.self) }

  protected startIdle (timeout: number | false): void {
    const idle = this.extras.idle ??= new IdleDeadline(this.self)
    idle.timeout = timeout
    idle.lastMessageTick = this.host.running.ticks
  }

  protected makeEnd (): EndDeadline { return (this.extras.end ??= new EndDeadline(this.self)) }
}

function duration (name: string, given: number | false): number | false {
  if (given !== false && !(Number.isInteger(given) && given > 0)) throw new SOCKETS_ERR_INVALID_ARGUMENT(name, 'a positive integer (ms) or false', show(given))
  return given
}
