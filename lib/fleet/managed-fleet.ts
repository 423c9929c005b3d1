/**
 * The fleet: implements `app.sockets.fleet` (track/fleet.ts) by its parts.
 */
import type { ActOptions } from '../connection/connection.ts'
import type { DrainFleet } from '../drain/bookings.ts'
import type { BroadcastResult } from '../track/broadcast.ts'
import type { CloseOptions } from '../track/close-options.ts'
import type { Fleet, FleetDrainOptions, FleetEvents, FleetFilter, FleetListener, FleetNode, FleetPage, FleetPageOptions, FleetStory, FleetStoryQuery, OwnerPresence } from '../track/fleet.ts'
import type { FleetStats } from '../track/stats.ts'
import type { Answer, FleetPart } from './core.ts'
import type { FleetEngine } from './engine.ts'
import type { FleetHost } from './host.ts'
import { ManagedCore } from './managed-core.ts'
import { makeParts } from './parts.ts'
import { toPlain } from './remote-node.ts'

export class ManagedFleet implements Fleet {
  readonly #core: ManagedCore
  readonly #parts: ReturnType<typeof makeParts>

  constructor (host: FleetHost, engine: FleetEngine) {
    this.#core = new ManagedCore(host, engine)
    this.#parts = makeParts(this.#core, host)
    this.#core.take(Object.values<FleetPart>(this.#parts))
  }

  get node (): string { return this.#core.node }
  get nodes (): readonly FleetNode[] { return [...this.#core.nodes.values()].map(toPlain).sort((a, b) => a.id < b.id ? -1 : 1) }
  get state (): 'up' | 'down' { return this.#core.up ? 'up' : 'down' }
  get ignored (): number { return this.#core.ignored }

  count (filter?: FleetFilter): Promise<Answer<number>> { return this.#parts.questions.count(filter) }
  list (filter?: FleetFilter, page?: FleetPageOptions): Promise<FleetPage> { return this.#parts.questions.list(filter, page) }
  explain (query: FleetStoryQuery): Promise<Answer<readonly FleetStory[]>> { return this.#parts.questions.explain(query) }
  broadcast (data: string | Uint8Array, filter: FleetFilter): Promise<Answer<BroadcastResult>> { return this.#parts.broadcast.send(data, filter) }
  presence (owner: string): Promise<OwnerPresence> { return this.#parts.presence.of(owner) }
  disconnect (filter: FleetFilter, close?: CloseOptions): Promise<Answer<number>> { return this.#parts.orders.disconnect(filter, close) }
  move (filter: FleetFilter, asked?: ActOptions): Promise<Answer<number>> { return this.#parts.orders.move(filter, asked) }
  drain (options: FleetDrainOptions): Promise<Answer<number>> { return this.#parts.orders.drain(options) }

  on<K extends keyof FleetEvents> (event: K, listener: FleetListener<K>): this {
    this.#core.events.on(event, listener as never)
    return this
  }

  off<K extends keyof FleetEvents> (event: K, listener: FleetListener<K>): this {
    this.#core.events.off(event, listener as never)
    return this
  }

  // ——— what the plugin does

  /** Joins. Resolves when the node has joined, or could not in time; it then goes on trying. Never rejects. */
  start (): Promise<void> { return this.#core.start() }

  /** What this node knows of the fleet: nothing is asked for. */
  get stats (): FleetStats {
    const { up, nodes, node, lost, questions, ignored } = this.#core
    const all = [...nodes.values()]
    const draining = all.filter(({ state }) => state === 'draining').length
    return {
      state: up ? 'up' : 'down',
      nodes: { running: all.length - draining, draining },
      lost,
      questions: { ...questions },
      orders: { waiting: this.#parts.orders.waiting, done: this.#parts.orders.carriedOut },
      capacity: nodes.get(node)!.capacity,
      arrivals: all.reduce((sum, { booked }) => sum + (booked?.rate ?? 0), 0),
      ignored
    }
  }

  /** What a drain of this node needs of the fleet. */
  get leaving (): DrainFleet { return this.#parts.leaving }

  /** The node begins to drain: it tells the others at once. */
  draining (): void { this.#core.beat() }

  /** Leaves, and ends the engine. Never rejects. */
  close (): Promise<void> { return this.#core.close() }
}
