/**
 * One run: some nodes of a fleet leave.
 */
import { LEAD } from '../../../lib/drain/bookings.ts'
import { Random } from '../random.ts'
import type { Way } from './leaver.ts'
import { Node, World } from './world.ts'
import type { Balancer, Manners } from './world.ts'

export interface RunOptions {
  readonly seed: number
  readonly way: Way
  readonly leaving: number
  /** Time from one node to the next, milliseconds; 0: at once, in random order within half a second. */
  readonly gap: number
  /** @default 'round robin' */
  readonly balancer?: Balancer
  /** @default 'obey' */
  readonly manners?: Manners
  /** How many of the leaving nodes die on the way. @default 0 */
  readonly deaths?: number
  /** @default 30,000, as Kubernetes */
  readonly gracePeriod?: number
}

export interface RunResult {
  /** Clients in the busiest second, as a part of what the nodes that stay can take. */
  readonly busiest: number
  /** The same for the busiest node. */
  readonly busiestNode: number
  /** Mean time offline, seconds. */
  readonly offline: number
  readonly refused: number
  /** Clients in each second. */
  readonly seconds: readonly number[]
}

export const NODES = 50
export const CLIENTS = 1_000_000
/** Clients a second that a node takes. */
export const CAPACITY = 500

export function run ({ seed, way, leaving, gap, balancer = 'round robin', manners = 'obey', deaths = 0, gracePeriod = 30_000 }: RunOptions): RunResult {
  const random = new Random(seed)
  const world = new World(random, Array.from({ length: NODES }, () => new Node(CAPACITY, CLIENTS / NODES)), balancer)
  const { events, nodes, attempts, arrivals } = world
  const circumstances = {
    manners,
    gracePeriod,
    settleDelay: LEAD,
    latency: () => world.between(1, 20),
    fails: () => random.chance(0.01),
    lateness: () => world.between(1, 3)
  }
  for (const [i, node] of nodes.slice(0, leaving).entries()) {
    events.at(gap === 0 ? random.upTo(500) : i * gap, () => {
      const leaver = way(world, node, String(i), circumstances)
      if (i < deaths) events.at(events.now + random.upTo(3_000), () => { leaver.die() })
    })
  }
  events.run()
  const { back, offline, refused } = world
  // Clients of nodes that die fill the queues, and those whose turns were planned are refused: they came in their turns.
  return { busiest: (deaths > 0 ? arrivals : attempts).busiest, busiestNode: Math.max(...nodes.map(({ busiest }) => busiest)), offline: offline / back / 1_000, refused, seconds: attempts.seconds }
}
