/**
 * A node that leaves: books the turns of its clients in the calendar of the fleet, for its drain.
 */
import type { Booked } from '../drain/booked-turns.ts'
import type { DrainFleet } from '../drain/bookings.ts'
import { Capacity } from './capacity.ts'
import type { FleetCore, FleetPart } from './core.ts'
import type { Turns } from './engine.ts'
import type { FleetHost } from './host.ts'
import { OwnTurns } from './own-turns.ts'

/** Part of the capacity of the nodes that stay that is booked. The rest is for clients that come late, twice, or for the first time. */
export const SHARE = 0.8

const SECOND = 1_000

/** Most seconds of an answer: an hour, and the part of a second before it. */
const MOST_SECONDS = 3_601

export class Leaving implements FleetPart, DrainFleet {
  readonly #core: FleetCore
  readonly #ceiling: number
  readonly #capacity: Capacity
  readonly #turns = new OwnTurns()
  #leaves = false

  constructor (core: FleetCore, { reconnectCeiling, counters }: Pick<FleetHost, 'reconnectCeiling' | 'counters'>) {
    this.#core = core
    this.#ceiling = reconnectCeiling
    this.#capacity = new Capacity(core.reconnectRate, counters)
  }

  get rate (): number { return Math.min(this.#ceiling, SHARE * this.#core.others.reduce((sum, { state, capacity }) => sum + (state === 'running' ? capacity : 0), 0)) }
  get leavers (): number { return 1 + this.#core.others.filter(({ state }) => state === 'draining').length }

  /** From the first booking on the engine does not count the node; its beats must not change that. */
  capacity (): number { return this.#leaves ? 0 : this.#capacity.measure() }

  info (): Record<string, unknown> {
    const booked = this.#turns.at(this.#core.clock.now())
    return booked === null ? {} : { booked }
  }

  async book (clients: number, from: number): Promise<Booked | null> {
    const { clock, node, engine } = this.#core
    this.#leaves = true
    const sent = clock.now()
    try {
      const booked = toBooked(await engine.book(node, { clients, from, share: SHARE, ceiling: this.#ceiling, leaves: true }), from, sent, clock.now())
      this.#turns.replace(booked?.begins ?? sent + from, booked)
      return booked
    } catch {
      return null
    }
  }
}

/**
 * Returns turns as a drain takes them; null if there are none. They were asked for at `sent`, to begin `from` milliseconds later, and
 * answered at `received`, by the clock of the node: the engine booked them in between. What an engine answers is not trusted.
 */
export function toBooked ({ first, seconds }: Turns, from: number, sent: number, received: number): Booked | null {
  const isSound = first > 0 && first <= SECOND && Array.isArray(seconds) && seconds.length <= MOST_SECONDS && seconds.every((turns) => turns >= 0 && turns < Infinity)
  if (!isSound || !seconds.some((turns) => turns > 0)) return null
  return { begins: (sent + received) / 2 + from, first, length: SECOND, turns: seconds }
}
