/**
 * While the process is under pressure: nobody new, and those who have been silent longest have to go, a few at a time.
 *
 * What pressure is, @fastify/under-pressure says. It begins at once and is over after a while without: a server at its
 * limit must not open and close its door all the time.
 */
import { inSlices } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Registry } from '../track/registry.ts'

/** Milliseconds between two looks. */
const INTERVAL = 1_000

/** Looks without pressure until it is over. */
const CALM = 5

/** Part of the connections that has to go at a look. */
const PART = 0.01

const REASON = 'server under pressure'

/** What it needs. */
export interface PressureHost {
  readonly clock: Clock
  readonly running: Deadlines
  readonly registry: Registry
  readonly enforcement: Enforcement
  readonly random: () => number
  /** Milliseconds after which a client may come back, at least. */
  readonly minDelay: number
  /** What @fastify/under-pressure says now. */
  isUnderPressure (): boolean
  /** It has begun, or is over; with the number of connections evicted. */
  pressureChanged (under: boolean, evicted: number): void
}

export class Pressure {
  readonly #host: PressureHost
  readonly #look = new Deadline(() => { this.#onLook() })
  #under = false
  #calm = 0
  #evicted = 0

  constructor (host: PressureHost) {
    this.#host = host
  }

  /** Whether handshakes are to be turned away. */
  get under (): boolean {
    if (!this.#under && this.#host.isUnderPressure()) this.#begin()
    return this.#under
  }

  /** Whether it is to look again, also where there is no connection any more: pressure ends after looks without. */
  get standing (): boolean { return this.#look.due !== -1 }

  /** Looks while there are connections. */
  opened (): void {
    if (!this.standing) this.#arm()
  }

  closing (): void {
    // The last one is still counted.
    if (this.#host.registry.size <= 1 && !this.#under) this.#host.running.cancel(this.#look)
  }

  /** Leaves no deadline behind. */
  close (): void { this.#host.running.cancel(this.#look) }

  #arm (): void { this.#host.running.set(this.#look, INTERVAL) }

  #begin (): void {
    this.#under = true
    this.#calm = this.#evicted = 0
    this.#host.pressureChanged(true, 0)
    this.#arm()
  }

  #onLook (): void {
    const { registry, isUnderPressure } = this.#host
    if (isUnderPressure()) {
      if (!this.#under) this.#begin()
      this.#calm = 0
      this.#evict()
    } else if (this.#under && ++this.#calm >= CALM) {
      this.#under = false
      this.#host.pressureChanged(false, this.#evicted)
    }
    if (this.#under || registry.size > 0) this.#arm()
  }

  #evict (): void {
    const { clock, registry, enforcement, random, minDelay } = this.#host
    const open = registry.snapshot().filter(({ state, working }) => state === 'open' && !working)
    inSlices(clock, idlest(open, Math.ceil(registry.size * PART)), (connection) => {
      if (connection.state !== 'open' || !enforcement.allows('pressure', 'evict', connection)) return
      this.#evicted++
      connection.end('rebalance', CAUSE_CODES.rebalance, withRetry(REASON, minDelay * (1 + random())))
    })
  }
}

/** The `count` that have been silent longest. */
export function idlest (connections: ManagedConnection[], count: number): ManagedConnection[] {
  return connections.sort((a, b) => a.lastMessage - b.lastMessage || a.id - b.id).slice(0, count)
}
