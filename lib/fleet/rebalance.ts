/**
 * Sends clients of this node to other nodes, one after another, in turns that it books in the calendar of the fleet: all nodes that
 * send clients away together stay within what the fleet can take.
 *
 * Turns are booked again while connections wait, for other nodes join, leave and drain. If a booking fails, the turns of the one before
 * are taken; before the first one, turns at this node's part of `drain.reconnect.rate`.
 *
 * A client that can move is asked to. If it has not moved in time, or cannot, its connection goes on, or is closed with 1012, cause
 * `rebalance`: as was asked for.
 */
import type { Timer } from '../base/clock.ts'
import { CAUSE_CODES } from '../base/close-codes.ts'
import type { ActOptions } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MOVE_TIME } from '../connection/mover.ts'
import { BookedTurns } from '../drain/booked-turns.ts'
import type { Booked } from '../drain/booked-turns.ts'
import type { FleetCore } from './core.ts'
import { bookTurns } from './turns.ts'

const REASON = 'rebalance'

const SECOND = 1_000

/** Time between two bookings, milliseconds. */
const BOOKING_INTERVAL = 500

/** What is asked of a connection. */
interface Departure {
  /** Whether it is closed if its client does not move. */
  readonly closes: boolean
  readonly asked: ActOptions
}

export class Rebalance {
  readonly #core: FleetCore
  readonly #ceiling: number
  readonly #random: () => number
  /** Connections that wait for their turn. */
  readonly #queue = new Map<ManagedConnection, Departure>()
  /** Connections whose client was asked to move, or which work, and until when; in that order. */
  readonly #late = new Map<ManagedConnection, Departure & { readonly until: number }>()
  #timer: Timer | null = null
  #turns: BookedTurns | null = null
  /** A booking is under way, or the next one is due at that time; Infinity: none. */
  #booking = false
  #bookAt = Infinity
  #unhook: (() => void) | null = null

  /** `ceiling`: clients a second of all nodes together, at most. */
  constructor (core: FleetCore, ceiling: number, random: () => number) {
    this.#core = core
    this.#ceiling = ceiling
    this.#random = random
  }

  get #isEmpty (): boolean { return this.#queue.size + this.#late.size === 0 }

  /** Whether a connection leaves. */
  has (connection: ManagedConnection): boolean { return this.#queue.has(connection) || this.#late.has(connection) }

  /** Adds connections, in this order. */
  add (connections: readonly ManagedConnection[], departure: Departure): void {
    for (const connection of connections) if (!this.has(connection)) this.#queue.set(connection, departure)
    if (this.#isEmpty) return
    // Connections that close must not be kept until their turn.
    this.#unhook ??= this.#core.hooks.add(this, 'closing')
    this.#bookAt = this.#core.clock.now()
    this.#next()
  }

  closing (connection: ManagedConnection): void {
    const waited = this.#queue.delete(connection)
    this.#late.delete(connection)
    if (waited && this.#queue.size === 0) this.#giveBack()
    if (this.#isEmpty) this.clear()
  }

  /** No connection leaves any more, unless its client has moved. */
  clear (): void {
    this.#queue.clear()
    this.#late.clear()
    this.#turns = null
    this.#unhook?.()
    this.#unhook = null
    if (this.#timer !== null) this.#core.clock.clearTimeout(this.#timer)
    this.#timer = null
  }

  // ——— turns

  async #book (): Promise<void> {
    const { clock, nodes, reconnectRate } = this.#core
    this.#booking = true
    this.#bookAt = Infinity
    const booked = await this.#bookFor(this.#queue.size)
    this.#booking = false
    if (this.#queue.size === 0) return
    const now = clock.now()
    if (booked !== null) this.#turns = new BookedTurns(booked, this.#turns?.shareAfter(booked.begins) ?? this.#random())
    else this.#turns ??= new BookedTurns({ begins: now, first: SECOND, length: SECOND, turns: [reconnectRate / nodes.size] }, this.#random())
    this.#turns.skip(now)
    this.#bookAt = Math.min(this.#bookAt, now + BOOKING_INTERVAL)
    this.#next()
  }

  /** No connection waits: the turns that are left are free for other nodes. A drain of this node books over them. */
  #giveBack (): void {
    this.#turns = null
    if (!this.#drains) void this.#bookFor(0)
  }

  #bookFor (clients: number): Promise<Booked | null> {
    return bookTurns(this.#core, { clients, from: 0, ceiling: this.#ceiling, leaves: false }).catch(() => null)
  }

  get #drains (): boolean { return this.#core.nodes.get(this.#core.node)?.state === 'draining' }

  // ——— departures

  /** Books if it is time, and sets the timer of what comes next. */
  #next (): void {
    const { clock } = this.#core
    if (this.#queue.size > 0 && !this.#booking && this.#bookAt <= clock.now()) void this.#book()
    if (this.#timer !== null) clock.clearTimeout(this.#timer)
    this.#timer = null
    const [first] = this.#late.values()
    // A booking under way calls this again when it ends.
    const bookAt = this.#booking ? Infinity : this.#bookAt
    const turn = this.#queue.size > 0 ? Math.min(this.#turns?.next ?? Infinity, bookAt) : Infinity
    const at = Math.min(turn, first?.until ?? Infinity)
    if (at === Infinity) return
    this.#timer = clock.setTimeout(() => { this.#onTimer() }, Math.max(0, at - clock.now()))
    this.#timer.unref()
  }

  #onTimer (): void {
    this.#timer = null
    // From now on all connections leave, in turns of the drain.
    if (this.#drains) return this.clear()
    const now = this.#core.clock.now()
    for (const [connection, departure] of this.#late) {
      if (departure.until > now) break
      this.#late.delete(connection)
      this.#close(connection, departure)
    }
    for (const [connection, departure] of this.#queue) {
      if (this.#turns === null || this.#turns.next > now) break
      this.#queue.delete(connection)
      // It may drain, or its client may have moved.
      if (connection.state !== 'open') continue
      this.#turns.take(now)
      this.#leave(connection, departure)
    }
    if (!this.#isEmpty) this.#next()
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
