/**
 * Sends clients of this node to other nodes, one after another: so many a second that all nodes together, if each of them does the
 * same, stay within `drain.reconnect.rate`.
 *
 * A client that can move is asked to. If it has not moved in time, or cannot, its connection goes on, or is closed with 1012, cause
 * `rebalance`: as was asked for.
 */
import type { Timer } from '../base/clock.ts'
import { CAUSE_CODES } from '../base/close-codes.ts'
import type { ActOptions } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MOVE_TIME } from '../connection/mover.ts'
import type { FleetCore } from './core.ts'

const REASON = 'rebalance'

/** Lateness that the next turns make up for, milliseconds. */
const MAX_LATENESS = 50

/** What is asked of a connection. */
interface Departure {
  /** Whether it is closed if its client does not move. */
  readonly closes: boolean
  readonly asked: ActOptions
}

export class Rebalance {
  readonly #core: FleetCore
  /** Connections that wait for their turn. */
  readonly #queue = new Map<ManagedConnection, Departure>()
  /** Connections whose client was asked to move, or which work, and until when; in that order. */
  readonly #late = new Map<ManagedConnection, Departure & { readonly until: number }>()
  #timer: Timer | null = null
  /** The next turn. */
  #turn = 0
  #unhook: (() => void) | null = null

  constructor (core: FleetCore) {
    this.#core = core
  }

  /** Number of connections that leave. */
  get size (): number { return this.#queue.size + this.#late.size }

  /** Whether a connection leaves. */
  has (connection: ManagedConnection): boolean { return this.#queue.has(connection) || this.#late.has(connection) }

  /** Adds connections, in this order. */
  add (connections: readonly ManagedConnection[], departure: Departure): void {
    for (const connection of connections) if (!this.has(connection)) this.#queue.set(connection, departure)
    if (this.size === 0) return
    // Connections that close must not be kept until their turn.
    this.#unhook ??= this.#core.hooks.add(this, 'closing')
    this.#turn = Math.max(this.#turn, this.#core.clock.now())
    this.#arm()
  }

  closing (connection: ManagedConnection): void {
    this.#queue.delete(connection)
    this.#late.delete(connection)
    if (this.size === 0) this.clear()
  }

  /** No connection leaves any more, unless its client has moved. */
  clear (): void {
    this.#queue.clear()
    this.#late.clear()
    this.#unhook?.()
    this.#unhook = null
    if (this.#timer !== null) this.#core.clock.clearTimeout(this.#timer)
    this.#timer = null
  }

  #arm (): void {
    const { clock } = this.#core
    if (this.#timer !== null) clock.clearTimeout(this.#timer)
    const [first] = this.#late.values()
    const next = Math.min(this.#queue.size > 0 ? this.#turn : Infinity, first?.until ?? Infinity)
    this.#timer = clock.setTimeout(() => { this.#onTimer() }, Math.max(0, next - clock.now()))
    this.#timer.unref()
  }

  #onTimer (): void {
    const { clock, node, nodes, reconnectRate } = this.#core
    this.#timer = null
    // From now on all connections leave, in turns of the drain.
    if (nodes.get(node)?.state === 'draining') return this.clear()
    const now = clock.now()
    for (const [connection, departure] of this.#late) {
      if (departure.until > now) break
      this.#late.delete(connection)
      this.#close(connection, departure)
    }
    this.#turn = Math.max(this.#turn, now - MAX_LATENESS)
    for (const [connection, departure] of this.#queue) {
      if (this.#turn > now) break
      this.#queue.delete(connection)
      // It may drain, or its client may have moved.
      if (connection.state !== 'open') continue
      this.#turn += 1_000 * nodes.size / reconnectRate
      this.#leave(connection, departure)
    }
    if (this.size > 0) this.#arm()
    else this.clear()
  }

  #leave (connection: ManagedConnection, departure: Departure): void {
    const { mover } = connection.host
    if (!departure.closes) void connection.move()
    else if (mover.ask(connection, 0) || connection.working) this.#late.set(connection, { ...departure, until: this.#core.clock.now() + MOVE_TIME })
    else this.#close(connection, departure)
  }

  #close (connection: ManagedConnection, { asked }: Departure): void {
    if (connection.state === 'open') connection.end('rebalance', CAUSE_CODES.rebalance, REASON, asked)
  }
}
