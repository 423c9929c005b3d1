/**
 * S29–S31: no peer that lives is killed, and no dead peer outlives `interval × (maxMissed + 1)` of running time.
 */
import { TICK } from '../time.ts'
import { acts, eachOf } from './invariant.ts'
import type { Invariant } from './invariant.ts'

export const heartbeat: readonly Invariant[] = [
  {
    name: 'no peer that lives is killed',
    ending: (_, peer, cause) => cause === 'heartbeat' && peer.alive && `${peer.name} (${peer.habit.name}) was alive when it was destroyed`
  },
  {
    name: 'no dead peer outlives the bound',
    step: (world) => acts(world, 'heartbeat') && eachOf(world.live, ({ diedAt, lastSign, openedAt, settings, socket, connection }) => {
      if (diedAt === null || openedAt === null || settings.heartbeat === false || !socket.handle || socket.paused) return undefined
      if (connection.state !== 'open' && connection.state !== 'draining') return undefined
      const { interval, maxMissed } = settings.heartbeat
      const since = world.time.slow - Math.max(diedAt, lastSign, world.time.restartedAt(interval))
      // A tick's rounding at either end.
      return since > interval * (maxMissed + 1) + 2 * TICK && `has been dead for ${since} ms, with an interval of ${interval} ms and ${maxMissed} to miss`
    })
  }
]
