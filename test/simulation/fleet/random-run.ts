/**
 * A random fleet of which random nodes leave: clients that come back when they are told never exceed what the nodes that stay can
 * take.
 */
import { LEAD } from '../../../lib/drain/bookings.ts'
import { Random } from '../random.ts'
import { ours } from './leaver.ts'
import type { Leaver } from './leaver.ts'
import { Node, World } from './world.ts'

export interface RandomResult {
  readonly seed: number
  /** Clients in the busiest second, as a part of what the nodes that stay can take. */
  readonly busiest: number
  readonly clients: number
  readonly what: string
}

export function randomRun (seed: number): RandomResult {
  const random = new Random(seed)
  const count = random.between(2, 24)
  const capacity = random.between(40, 120)
  // With few clients a second, one more or less is too much.
  const leaving = random.between(1, Math.max(1, Math.min(count - 2, Math.floor(count * 0.75))))
  // Those that stay have as many each, also those that join: with least connections an empty one gets all clients.
  const nodes = Array.from({ length: count }, (_, i) => new Node(random.chance(0.5) ? capacity : random.between(40, 120), i >= leaving ? 100 : random.chance(0.1) ? 0 : random.upTo(200)))
  const world = new World(random, nodes, random.pick(['round robin', 'random', 'least connections']))
  const { events, arrivals } = world
  const within = random.pick([0, 500, 2_000, 10_000])
  const slowest = random.pick([2, 20, 100])
  const deadly = random.chance(0.3)
  const clients = nodes.slice(0, leaving).reduce((sum, { connections }) => sum + connections, 0)
  for (const [i, node] of nodes.slice(0, leaving).entries()) {
    const circumstances = {
      manners: random.pick(['obey', 'move'] as const),
      gracePeriod: random.between(8_000, 40_000),
      settleDelay: random.chance(0.3) ? random.between(LEAD, 2_000) : LEAD,
      latency: () => world.between(1, slowest),
      fails: () => random.chance(0.02),
      lateness: () => random.chance(0.001) ? world.between(1, 300) : world.between(1, 3)
    }
    events.at(random.upTo(within), () => {
      const leaver: Leaver = ours()(world, node, String(i), circumstances)
      if (deadly && random.chance(0.3)) events.at(events.now + random.upTo(3_000), () => { leaver.die() })
    })
  }
  for (let i = random.chance(0.3) ? random.between(1, 3) : 0; i > 0; i--) {
    events.at(random.upTo(10_000), () => {
      nodes.push(new Node(random.between(40, 120), 100))
      world.capacityChanged()
    })
  }
  events.run()
  return { seed, busiest: arrivals.busiest, clients, what: `${leaving} of ${count} nodes leave within ${within} ms, ${clients} clients, an engine that takes ${slowest} ms` }
}
