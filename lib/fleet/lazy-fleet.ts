/**
 * The fleet of an application: of the engine that the option `fleet` has made, or else a fleet of this node alone, which is made when
 * `app.sockets.fleet` is first read. Until then it costs nothing.
 */
import type { FleetStats } from '../track/stats.ts'
import type { FleetEngine } from './engine.ts'
import type { FleetHost } from './host.ts'
import { ManagedFleet } from './managed-fleet.ts'
import { MemoryFleet } from './memory-engine.ts'

export class LazyFleet {
  readonly #host: FleetHost
  readonly #isAlone: boolean
  #fleet: ManagedFleet | null
  #closed = false

  /** `engine`: null without the option `fleet`. */
  constructor (host: FleetHost, engine: FleetEngine | null) {
    this.#host = host
    this.#isAlone = engine === null
    this.#fleet = engine && new ManagedFleet(host, engine)
  }

  /** The fleet. */
  get fleet (): ManagedFleet {
    if (this.#fleet !== null) return this.#fleet
    const fleet = this.#fleet = new ManagedFleet(this.#host, new MemoryFleet(this.#host.clock).engine())
    if (!this.#closed) void fleet.start()
    return fleet
  }

  /** What this node knows of its fleet; null without the option `fleet`: there is nothing to know. */
  get stats (): FleetStats | null { return this.#isAlone ? null : this.fleet.stats }

  /** The node begins to drain: it tells the others. */
  draining (): void { this.#fleet?.draining() }

  /** Leaves. Never rejects. */
  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#fleet?.close()
  }
}
