/**
 * The policies that look after connections, put together: who may have one, for how long, and what it may cost. Each
 * knows nothing of the others; where two speak of one connection, the first close wins.
 */
import type { Enforcement } from './track/enforcement.ts'
import type { Meter, Timekeeper } from './connection/host.ts'
import type { ManagedConnection } from './connection/managed-connection.ts'
import { Admission } from './limit/admission.ts'
import { Backpressure } from './limit/backpressure.ts'
import { Broadcasts } from './track/broadcast.ts'
import type { DrainHost } from './drain/host.ts'
import { Expiry } from './watch/expiry.ts'
import { Heartbeats } from './watch/heartbeat.ts'
import { Idle } from './watch/idle.ts'
import { MessageRate } from './limit/message-rate.ts'
import { Pressure } from './limit/pressure.ts'
import type { ResolvedOptions } from './options/resolve.ts'

/** What it asks and tells. */
export interface PolicyParts {
  /** What @fastify/under-pressure says. */
  isUnderPressure (): boolean
  /** Pressure has begun, or is over. */
  pressureChanged (under: boolean, evicted: number): void
}

interface Watcher {
  add? (connection: ManagedConnection): void
  remove (connection: ManagedConnection): void
  /** Connections it looks at in rounds. */
  readonly size?: number
}

export class Policies {
  /** Where anything is limited. */
  readonly admission: Admission | null
  readonly broadcasts: Broadcasts
  readonly timekeeper: Timekeeper
  readonly meter: Meter
  readonly #pressure: Pressure | null
  readonly #watchers: Watcher[]
  readonly #enforcement: Enforcement

  constructor (host: DrainHost, { limits, plan, drain }: ResolvedOptions, parts: PolicyParts) {
    const { minDelay } = drain.reconnect
    const { pressure, total, perOwner, perAddress, handshakes } = limits
    this.#enforcement = host.enforcement
    const idle = new Idle(host)
    const expiry = new Expiry({ ...host, grace: plan.grace, minDelay })
    const rate = new MessageRate(host)
    const backpressure = new Backpressure(host)
    this.broadcasts = new Broadcasts({ ...host, skips: (connection, bytes) => backpressure.skips(connection, bytes) })
    this.#pressure = pressure ? new Pressure({ ...host, ...parts, minDelay }) : null
    const limited = pressure || [total, perOwner, perAddress, handshakes].some((limit) => limit !== false)
    this.admission = limited ? new Admission({ ...host, minDelay }, limits, () => this.#pressure?.under ?? false) : null
    this.timekeeper = {
      idleTimeoutSet: (connection) => { idle.idleTimeoutSet(connection) },
      idleDue: (connection) => { idle.idleDue(connection) },
      endSet: (connection) => { expiry.endSet(connection) },
      endDue: (connection) => { expiry.endDue(connection) }
    }
    this.meter = {
      spend: (connection, settings) => rate.spend(connection, settings),
      sent: (connection) => { backpressure.sent(connection) }
    }
    this.#watchers = [new Heartbeats(host), idle, expiry, rate, backpressure]
    if (this.#pressure !== null) this.#watchers.push(this.#pressure)
  }

  /** A connection has opened. */
  opened (connection: ManagedConnection): void {
    for (const watcher of this.#watchers) watcher.add?.(connection)
  }

  /** A connection is closing. */
  closing (connection: ManagedConnection): void {
    for (const watcher of this.#watchers) watcher.remove(connection)
  }

  /** Connections looked at and places taken: 0 when nobody is there. */
  get leftovers (): number {
    return this.#watchers.reduce((sum, { size = 0 }) => sum + size, this.admission?.leftovers ?? 0)
  }

  /** Deadlines of its own that are set, and belong to no connection. */
  get standing (): number { return Number(this.#enforcement.standing) + Number(this.#pressure?.standing ?? false) }

  /** Leaves no deadline behind. */
  close (): void {
    this.#pressure?.close()
    this.#enforcement.close()
  }
}
