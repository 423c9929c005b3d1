/**
 * S34, S35: which connections may have a place, and which are evicted for others.
 */
import type { PolicyName } from '../../../lib/track/observation.ts'
import type { CloseCause } from '../../../lib/base/close-codes.ts'
import type { Limit } from '../../../lib/limit/admission-decision.ts'
import type { Peer } from '../peers.ts'
import type { World } from '../world.ts'
import { acts } from './invariant.ts'
import type { Invariant, Verdict } from './invariant.ts'

/** Milliseconds in which evictions under one key are counted, and how many there may always be. */
const MINUTE = 60_000
const LEAST = 10

const KEYS = {
  total: () => 'all',
  perOwner: ({ heldOwner }: Peer) => heldOwner,
  perAddress: ({ connection }: Peer) => connection.ip
} as const

type Name = keyof typeof KEYS

/** Limits of a world that act. */
function limitsOf (world: World): Array<[name: Name, limit: Limit]> {
  return (Object.keys(KEYS) as Name[]).flatMap((name) => {
    const limit = world.options.limits[name]
    return limit !== false && acts(world, name) ? [[name, limit] as [Name, Limit]] : []
  })
}

/** Counts the connections that hold a place, by key. */
function countBy (world: World, name: Name, counts: (peer: Peer) => boolean, lenient = false): Map<string, number> {
  const found = new Map<string, number>()
  for (const peer of world.live) {
    const key = KEYS[name](peer)
    // A raw socket that is destroyed tells a turn later, or much later below a broken receiver.
    if (key !== undefined && peer.entered && (peer.goneAt === null || (lenient && !peer.connection.gone)) && counts(peer)) found.set(key, (found.get(key) ?? 0) + 1)
  }
  return found
}

/** The policy behind a cause. */
const POLICY_OF: Partial<Record<CloseCause, PolicyName>> = {
  heartbeat: 'heartbeat', idle: 'idle', lifetime: 'lifetime', expired: 'expiry', rate: 'messageRate', slow: 'backpressure', rebalance: 'pressure'
}

export const limits: readonly Invariant[] = [
  {
    name: 'no limit is exceeded',
    step (world): Verdict {
      for (const [name, { max }] of limitsOf(world)) {
        for (const [key, count] of countBy(world, name, ({ connection }) => connection.state === 'open')) {
          if (count > max) return `${count} of ${key} are open, and ${name} is ${max}`
        }
        // Those that are closing as well. A connection whose owner was set while it closed counts for the owner before.
        for (const [key, count] of countBy(world, name, () => true)) {
          if (count > max + Math.max(1, Math.floor(max / 10))) return `${count} sockets of ${key} are there, and ${name} is ${max}`
        }
      }
      return undefined
    }
  },
  {
    name: 'no connection is evicted in vain',
    ending (world, victim, cause) {
      if (cause !== 'replaced') return undefined
      const { arriving } = world
      if (arriving === null) return `${victim.name} had to make room for no connection`
      const needed = limitsOf(world).some(([name, { max, policy }]) => {
        const key = KEYS[name](arriving)
        if (policy === 'refuse' || key === undefined || KEYS[name](victim) !== key) return false
        return countBy(world, name, ({ ended }) => ended !== 'replaced', true).get(key)! > max
      })
      return !needed && `${victim.name} had to make room for ${arriving.name} while there was some`
    }
  },
  {
    name: 'evictions are bounded',
    ending (world, victim, cause) {
      const evicting = limitsOf(world).filter(([, { policy }]) => policy !== 'refuse')
      // Which limit it was is only plain where there is one.
      if (cause !== 'replaced' || evicting.length !== 1) return undefined
      const [[name, { max }]] = evicting as [[Name, Limit]]
      const key = KEYS[name](victim)!
      const times = world.evictions.get(key) ?? []
      world.evictions.set(key, times)
      const now = world.clock.now()
      times.push(now)
      const count = times.filter((time) => time > now - MINUTE).length
      // Minutes are counted one after the other: two of them may meet.
      return count > (now < MINUTE ? 1 : 2) * Math.max(LEAST, max) && `${count} of ${key} had to make room within a minute`
    }
  },
  {
    name: 'pressure evicts while it lasts, and only idle connections',
    ending: ({ underPressure }, peer, cause) => cause === 'rebalance' && (!underPressure || peer.jobs > 0) &&
      `${peer.name} had to go ${underPressure ? 'while it worked' : 'without pressure'}`
  },
  {
    name: 'a policy that only observes ends no connection',
    ending (world, peer, cause) {
      const policy = POLICY_OF[cause]
      if (policy !== undefined) return !acts(world, policy) && `${peer.name} was ended by ${policy}, which only observes`
      if (cause !== 'replaced' && cause !== 'refused') return undefined
      return limitsOf(world).length === 0 && `${peer.name} was ended with cause "${cause}", and no limit acts`
    }
  }
]
