/**
 * What must hold in every run: the list, one file a concern, and where each invariant is told what happens.
 */
import type { CloseCause } from '../../../lib/base/close-codes.ts'
import type { CloseRecord, Connection } from '../../../lib/connection/connection.ts'
import type { ManagedConnection } from '../../../lib/connection/managed-connection.ts'
import type { Peer } from '../peers.ts'
import type { World } from '../world.ts'
import { broadcasts } from './broadcasts.ts'
import { contexts } from './contexts.ts'
import { deadlines } from './deadlines.ts'
import { drain } from './drain.ts'
import { ends } from './ends.ts'
import { heartbeat } from './heartbeat.ts'
import type { Invariant, Verdict } from './invariant.ts'
import { limits } from './limits.ts'
import { readers } from './readers.ts'
import { states } from './states.ts'

export const INVARIANTS: readonly Invariant[] = [...states, ...ends, ...heartbeat, ...deadlines, ...drain, ...limits, ...readers, ...broadcasts, ...contexts]

/** Has the invariants of a world told what its tracker does. */
export function listen (world: World): void {
  const { tracker, invariants } = world
  const violated = ({ name }: Invariant, verdict: Verdict) => { if (verdict) world.violate(name, verdict) }
  for (const event of ['open', 'draining', 'closing', 'closed'] as const) {
    tracker.on(event, (connection: Connection, record?: CloseRecord) => {
      const peer = world.byConnection.get(connection as ManagedConnection)
      if (peer === undefined) return
      if (event === 'closing') peer.closingAt ??= world.time.moment
      for (const invariant of invariants) {
        violated(invariant, invariant.told?.(world, peer, event))
        if (record !== undefined) violated(invariant, invariant.closed?.(world, peer, record))
      }
      if (record === undefined) return
      world.causes[record.cause] = (world.causes[record.cause] ?? 0) + 1
      world.note(`${peer.name} has closed: ${record.cause}, ${record.code}`)
      peer.closed = true
      world.live.delete(peer)
    })
  }
  tracker.on('drain', () => { world.drain.startedAt ??= world.time.moment })
  tracker.on('drained', (report) => {
    world.drain.doneAt ??= world.time.moment
    world.drain.reports.push(report)
    // But for a handshake that was accepted, or has opened, in the very last turn.
    world.drain.left = [...world.live].filter(({ acceptedAt, openedAt }) => (openedAt ?? acceptedAt).now < world.clock.now() - 1)
    for (const invariant of invariants) violated(invariant, invariant.drained?.(world, report))
  })
}

/** Has the invariants of a world told when its tracker is about to end this connection. */
export function listenTo (world: World, peer: Peer): void {
  const { connection } = peer
  const { end, incoming, kill } = connection
  const { pause } = incoming
  const ending = (cause: CloseCause, reason: string | null) => {
    if (connection.state !== 'open' && connection.state !== 'draining') return
    for (const { name, ending: look } of world.invariants) {
      const verdict = look?.(world, peer, cause, reason)
      if (verdict) world.violate(name, verdict)
    }
    peer.ended = cause
    if (cause === 'replaced') world.victims.push(peer)
  }
  incoming.pause = (reason) => {
    if (reason === 'rate') {
      for (const { name, pausing } of world.invariants) {
        const verdict = pausing?.(world, peer)
        if (verdict) world.violate(name, verdict)
      }
    }
    pause.call(incoming, reason)
  }
  connection.end = (cause, code, reason) => {
    ending(cause, reason)
    return end.call(connection, cause, code, reason)
  }
  connection.kill = (cause) => {
    ending(cause, null)
    kill.call(connection, cause)
  }
}
