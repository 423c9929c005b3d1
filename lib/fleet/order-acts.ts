/**
 * What a node does with an order: it closes connections, or lets them leave one after another.
 */
import { inSlices } from '../base/clock.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { FleetCore } from './core.ts'
import { selectOn } from './fleet-filter.ts'
import type { Order } from './order.ts'
import { Rebalance } from './rebalance.ts'

export class OrderActs {
  readonly #core: FleetCore
  readonly #random: () => number
  readonly #rebalance: Rebalance

  /** `ceiling`: clients a second that leave all nodes together, at most. */
  constructor (core: FleetCore, ceiling: number, random: () => number) {
    this.#core = core
    this.#random = random
    this.#rebalance = new Rebalance(core, ceiling, random)
  }

  /** Begins to carry out an order. Returns the number of connections that are closed, asked to move, or leave. */
  carryOut (order: Order): number {
    const { clock } = this.#core
    const { act, by, why } = order
    const asked = { by, why }
    if (act === 'disconnect') {
      const { filter, code, reason } = order
      const connections = selectOn(this.#core, filter).filter(({ state }) => !isClosing(state))
      inSlices(clock, connections, (connection) => { connection.end('disconnected', code, reason, asked) })
      return connections.length
    }
    const open = selectOn(this.#core, act === 'move' ? order.filter : 'all').filter((connection) => connection.state === 'open' && !this.#rebalance.has(connection))
    const connections = act === 'move' ? open.filter((connection) => connection.host.mover.canAsk(connection)) : this.#part(open, order.fraction)
    this.#rebalance.add(connections, { closes: act === 'drain', asked })
    return connections.length
  }

  close (): void { this.#rebalance.clear() }

  /** Picks a part of connections at random; of few, as many on average. */
  #part (connections: ManagedConnection[], fraction: number): ManagedConnection[] {
    const random = this.#random
    const count = Math.min(connections.length, Math.floor(connections.length * fraction + random()))
    for (let i = 0; i < count; i++) {
      const j = i + Math.floor(random() * (connections.length - i))
      const picked = connections[j]!
      connections[j] = connections[i]!
      connections[i] = picked
    }
    return connections.slice(0, count)
  }
}
