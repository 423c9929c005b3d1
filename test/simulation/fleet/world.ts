/**
 * A fleet behind a balancer, and the clients that look for a server.
 *
 * A node takes as many handshakes a second as it has capacity, one after the other; more of them wait, and above QUEUE they are
 * refused. A client that is refused comes again after a random delay that doubles.
 */
import { Calendar } from '../../../lib/fleet/arrivals-calendar.ts'
import type { Random } from '../random.ts'
import { Arrivals } from './arrivals.ts'
import { Events } from './events.ts'

/** Handshakes wait so long at most, milliseconds. */
const QUEUE = 4_000

/** Time of a client to connect, milliseconds. */
const CONNECT = [20, 80] as const

export type Balancer = 'round robin' | 'random' | 'least connections'

/** What clients do when their connection is closed. */
export type Manners =
  /** They come back when they are told; if they are told nothing, within a second. */
  | 'obey'
  /** They open the new connection in their turn, before the old one closes. */
  | 'move'
  /** They come back after 1 to 5 seconds, whatever they are told: the default of two client libraries. */
  | 'do not obey'

export class Node {
  /** Clients a second that it takes, and what it has published. */
  capacity: number
  connections: number
  accepts = true
  /** Whether the engine counts its capacity. */
  counts = true
  /** When the handshakes that wait are done. */
  idleAt = 0
  /** Its arrivals in the second under way, and in its busiest one as a part of its capacity. */
  second = 0
  inSecond = 0
  busiest = 0

  constructor (capacity: number, connections: number) {
    this.capacity = capacity
    this.connections = connections
  }
}

export class World {
  readonly events = new Events()
  /** All attempts of clients whose turns were planned, and the first ones alone. */
  readonly attempts = new Arrivals()
  readonly arrivals = new Arrivals()
  readonly calendar = new Calendar()
  readonly random: Random
  readonly nodes: Node[]
  readonly balancer: Balancer
  /** Clients that are back, how long they were offline in all, and how many were refused. */
  back = 0
  offline = 0
  refused = 0
  #turn = 0

  constructor (random: Random, nodes: Node[], balancer: Balancer) {
    this.random = random
    this.nodes = nodes
    this.balancer = balancer
    this.capacityChanged()
  }

  /** What the engine books of: the capacity of all nodes that do not leave. */
  get capacity (): number { return this.nodes.reduce((sum, { counts, capacity }) => sum + (counts ? capacity : 0), 0) }

  /** Nodes that the engine knows to leave. */
  get leaving (): number { return this.nodes.reduce((sum, { counts }) => sum + Number(!counts), 0) }

  /** A node accepts no more, or has joined. */
  capacityChanged (): void {
    const capacity = this.nodes.reduce((sum, { accepts, capacity }) => sum + (accepts ? capacity : 0), 0)
    for (const arrivals of [this.attempts, this.arrivals]) arrivals.capacityIs(capacity, this.events.now)
  }

  between (least: number, most: number): number { return least + this.random.next() * (most - least) }

  /** The connection of a client is closed, and its delay told; null: none was told. */
  closed (delay: number | null, manners: Manners, planned = true): void {
    const now = this.events.now
    const wait = manners === 'do not obey' ? this.between(1_000, 5_000) : delay ?? this.between(0, 1_000)
    const moves = manners === 'move' && delay === 0
    this.#comes(wait, (at) => { this.offline += moves ? 0 : at - now }, 0, planned)
  }

  #comes (wait: number, back: (at: number) => void, attempts: number, planned: boolean): void {
    this.events.at(this.events.now + wait + this.between(...CONNECT), () => {
      const { now } = this.events
      if (planned) this.attempts.arrived(now)
      if (planned && attempts === 0) this.arrivals.arrived(now)
      const node = this.#balance()
      if (node === null || node.idleAt - now > QUEUE) {
        this.refused++
        this.#comes(this.between(0, Math.min(30_000, 1_000 * 2 ** attempts)), back, attempts + 1, planned)
        return
      }
      node.connections++
      node.idleAt = Math.max(node.idleAt, now) + 1_000 / node.capacity
      const second = Math.floor(now / 1_000)
      node.inSecond = second === node.second ? node.inSecond + 1 : 1
      node.second = second
      node.busiest = Math.max(node.busiest, node.inSecond / node.capacity)
      this.back++
      back(node.idleAt)
    })
  }

  #balance (): Node | null {
    const { nodes, random, balancer } = this
    if (balancer === 'least connections') {
      return nodes.reduce<Node | null>((least, node) => node.accepts && (least === null || node.connections < least.connections) ? node : least, null)
    }
    let index = balancer === 'random' ? random.upTo(nodes.length - 1) : this.#turn++ % nodes.length
    for (let tries = 0; tries < 8 * nodes.length; tries++) {
      const node = nodes[index]!
      if (node.accepts) return node
      index = balancer === 'random' ? random.upTo(nodes.length - 1) : this.#turn++ % nodes.length
    }
    return null
  }
}
