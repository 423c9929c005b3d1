/**
 * While the process is under pressure, handshakes are refused, and the idlest connections are closed, a few at a time. Clients that can
 * move are asked first: to another server, because this one refuses them.
 *
 * @fastify/under-pressure reports the pressure. Pressure begins at the first report and ends after several checks without one: a
 * server near a threshold must not alternate between refusing and accepting.
 */
import { inSlices } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MOVE_TIME } from '../connection/mover.ts'
import type { Mover } from '../connection/mover.ts'
import type { Registry } from '../track/registry.ts'
import { idlestFirst } from './victim.ts'

/** Time between two checks, milliseconds. */
const INTERVAL = 1_000

/** Number of checks without pressure after which it is over. */
const CALM_CHECKS = 5

/** Part of the connections that one check closes. */
const PART = 0.01

const REASON = 'server under pressure'

/** What the pressure policy needs. */
export interface PressureHost {
  readonly clock: Clock
  readonly running: Deadlines
  readonly registry: Registry
  readonly enforcement: Enforcement
  readonly mover: Pick<Mover<ManagedConnection>, 'ask'>
  readonly random: () => number
  /** Shortest reconnect delay, milliseconds; the longest is twice as long. */
  readonly minDelay: number
  /** What @fastify/under-pressure reports now. */
  isUnderPressure (): boolean
  /** Pressure has begun, or has ended after `evicted` connections were closed. */
  pressureChanged (under: boolean, evicted: number): void
}

export class Pressure {
  readonly #host: PressureHost
  readonly #check = new Deadline(() => { this.#onCheck() })
  #under = false
  /** Connections whose clients were asked to move, and until when they have time. */
  readonly #asked = new Map<ManagedConnection, number>()
  #calmChecks = 0
  #evicted = 0

  constructor (host: PressureHost) {
    this.#host = host
  }

  /** Whether handshakes are to be refused. */
  get under (): boolean {
    if (!this.#under && this.#host.isUnderPressure()) this.#begin()
    return this.#under
  }

  /** Whether a check is due; there are checks without connections too, until the pressure is over. */
  get standing (): boolean { return this.#check.due !== -1 }

  /** Checks while there are connections. */
  opened (): void {
    if (!this.standing) this.#arm()
  }

  closing (connection: ManagedConnection): void {
    this.#asked.delete(connection)
    // The registry still counts this connection.
    if (this.#host.registry.size <= 1 && !this.#under) this.close()
  }

  /** Leaves no deadline behind. */
  close (): void { this.#host.running.cancel(this.#check) }

  #arm (): void { this.#host.running.set(this.#check, INTERVAL) }

  #begin (): void {
    this.#under = true
    this.#calmChecks = this.#evicted = 0
    this.#host.pressureChanged(true, 0)
    this.#arm()
  }

  #onCheck (): void {
    const { registry, isUnderPressure } = this.#host
    this.#closeAsked()
    if (isUnderPressure()) {
      if (!this.#under) this.#begin()
      this.#calmChecks = 0
      this.#evict()
    } else if (this.#under && ++this.#calmChecks >= CALM_CHECKS) {
      this.#under = false
      this.#host.pressureChanged(false, this.#evicted)
    }
    if (this.#under || registry.size > 0) this.#arm()
  }

  #evict (): void {
    const { clock, registry, enforcement, mover } = this.#host
    const open = registry.snapshot().filter((connection) => connection.state === 'open' && !connection.working && !this.#asked.has(connection))
    inSlices(clock, open.sort(idlestFirst).slice(0, Math.ceil(registry.size * PART)), (connection) => {
      if (connection.state !== 'open' || !enforcement.allows('pressure', 'evict', connection)) return
      this.#evicted++
      if (mover.ask(connection, 0)) this.#asked.set(connection, clock.now() + MOVE_TIME)
      else this.#close(connection)
    })
  }

  /** Closes connections whose clients have not moved in time; a connection that works again may stay. */
  #closeAsked (): void {
    const now = this.#host.clock.now()
    for (const [connection, until] of this.#asked) {
      if (now < until) continue
      this.#asked.delete(connection)
      if (connection.state === 'open' && !connection.working) this.#close(connection)
    }
  }

  #close (connection: ManagedConnection): void {
    const { minDelay, random } = this.#host
    connection.end('rebalance', CAUSE_CODES.rebalance, withRetry(REASON, minDelay * (1 + random())))
  }
}
