/**
 * S15, S32, S33: the idle timeout, the expiry and the lifetime end a connection when they are due, and never before.
 *
 * "Late" is measured in time during which the loop ran for certain, "early" in time of which it ran at most so much.
 */
import type { Peer } from '../peers.ts'
import { TICK } from '../time.ts'
import type { World } from '../world.ts'
import { acts, eachOf } from './invariant.ts'
import type { Invariant, Verdict } from './invariant.ts'

/** A deadline is rounded up to a tick, looked at a tick later, and may be set anew once. */
const LATE = 3 * TICK

/** What chance may take from a lifetime. */
const JITTER = 0.2

/** Since when, in `slow`, something has been due without a break. */
type Since = WeakMap<Peer, number>

const expiredSince: Since = new WeakMap()
const endedSince: Since = new WeakMap()

export const deadlines: readonly Invariant[] = [
  {
    name: 'the idle timeout is never early',
    ending ({ time }, peer, cause) {
      if (cause !== 'idle') return undefined
      const { idleTimeout } = peer.connection
      const silent = time.moment.fast - Math.max(peer.lastMessage.fast, peer.idleSince.fast)
      return (idleTimeout === false || silent < idleTimeout) && `${peer.name} was idle for ${silent} ms at most, and may be for ${idleTimeout}`
    }
  },
  {
    name: 'the idle timeout is never late',
    step: (world) => acts(world, 'idle') && eachOpen(world, ({ connection, socket, lastMessage, idleSince, pausedUntil, openedAt }) => {
      const { idleTimeout } = connection
      if (socket.paused || idleTimeout === false) return undefined
      const silent = world.time.slow - Math.max(lastMessage.slow, idleSince.slow, pausedUntil, openedAt!.slow)
      return silent > idleTimeout + LATE && `was idle for ${silent} ms, and may be for ${idleTimeout}`
    })
  },
  {
    name: 'the expiry is never early',
    ending ({ clock }, peer, cause) {
      if (cause !== 'expired') return undefined
      const left = (peer.connection.expiresAt ?? Infinity) - clock.wallNow()
      return left > 0 && `${peer.name} had ${left} ms left`
    }
  },
  {
    name: 'the expiry is never late',
    step: (world) => acts(world, 'expiry') && eachOpen(world, (peer) => late(world, peer, expiredSince,
      (peer.connection.expiresAt ?? Infinity) <= world.clock.wallNow(), 'has expired'))
  },
  {
    name: 'the lifetime is never early, and gives way to the expiry',
    ending (world, peer, cause) {
      const { clock, time } = world
      if (cause !== 'lifetime') return undefined
      const { maxLifetime, expiresAt } = peer.connection
      const age = time.moment.now - peer.acceptedAt.now
      if (maxLifetime === false || age < maxLifetime * (1 - JITTER)) return `${peer.name} lived for ${age} ms, and may for ${maxLifetime}`
      return acts(world, 'expiry') && expiresAt !== undefined && expiresAt <= clock.wallNow() && `${peer.name} had expired, too`
    }
  },
  {
    name: 'the lifetime is never late',
    step: (world) => acts(world, 'lifetime') && eachOpen(world, (peer) => {
      const { maxLifetime, working } = peer.connection
      const now = world.clock.now()
      const over = maxLifetime === false ? -1 : now - peer.acceptedAt.now - maxLifetime
      // The code that reads its messages was at work on the one of this step when the deadline was looked at.
      const worked = working || peer.deliveredAt.at(-1) === now
      return late(world, peer, endedSince, over >= (worked ? world.options.plan.grace : 0), 'has lived too long')
    })
  }
]

/** Connections that are open and were announced; a close under way is not counted as late. */
function eachOpen ({ live }: World, look: (peer: Peer) => Verdict): Verdict {
  return eachOf(live, (peer) => peer.openedAt !== null && peer.connection.state === 'open' && look(peer))
}

function late ({ time }: World, peer: Peer, since: Since, due: boolean, what: string): Verdict {
  if (!due) return since.delete(peer) && undefined
  if (!since.has(peer)) since.set(peer, time.slow)
  const overdue = time.slow - since.get(peer)!
  return overdue > LATE && `${what}, and is open ${overdue} ms later`
}
