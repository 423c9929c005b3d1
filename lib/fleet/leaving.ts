/**
 * A node that leaves: books the turns of its clients in the calendar of the fleet, for its drain.
 */
import type { Booked } from '../drain/booked-turns.ts'
import type { DrainFleet } from '../drain/bookings.ts'
import { Capacity } from './capacity.ts'
import type { FleetCore, FleetPart } from './core.ts'
import type { FleetHost } from './host.ts'
import { OwnTurns } from './own-turns.ts'
import { bookTurns, SHARE } from './turns.ts'

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
    this.#leaves = true
    const sent = this.#core.clock.now()
    try {
      const booked = await bookTurns(this.#core, { clients, from, ceiling: this.#ceiling, leaves: true })
      this.#turns.replace(booked?.begins ?? sent + from, booked)
      return booked
    } catch {
      return null
    }
  }
}
