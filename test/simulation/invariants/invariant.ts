/**
 * What an invariant is.
 *
 * It looks at a step, at an event, or at the end of the run, and says what is wrong; it compares what the tracker did with
 * the truth of the simulation, never with the tracker's own idea of it.
 */
import type { CloseCause } from '../../../lib/base/close-codes.ts'
import type { CloseRecord } from '../../../lib/connection/connection.ts'
import type { PolicyName } from '../../../lib/track/observation.ts'
import type { DrainReport } from '../../../lib/track/drain-report.ts'
import type { Peer } from '../peers.ts'
import type { World } from '../world.ts'

/** What is wrong, or nothing. */
export type Verdict = string | undefined | false

export interface Invariant {
  /** Shown where it does not hold, and what its sabotage is found by. */
  readonly name: string
  /** After every step. */
  step? (world: World): Verdict
  /** The tracker is about to end a connection that is open or draining; without a close frame, `reason` is null. */
  ending? (world: World, peer: Peer, cause: CloseCause, reason: string | null): Verdict
  /** The tracker stops reading a connection, for it sends too much. */
  pausing? (world: World, peer: Peer): Verdict
  /** A connection has closed. */
  closed? (world: World, peer: Peer, record: CloseRecord): Verdict
  /** An event of the tracker that concerns one connection. */
  told? (world: World, peer: Peer, event: 'open' | 'draining' | 'closing' | 'closed'): Verdict
  /** The drain has ended. */
  drained? (world: World, report: DrainReport): Verdict
  /** All connections are closed and all promises have settled. */
  end? (world: World): Verdict
}

/** Whether a policy acts in this world. */
export function acts ({ options }: World, policy: PolicyName): boolean { return options.modes[policy] === 'enforce' }

/** The first of these for whom something is wrong. */
export function eachOf (peers: Iterable<Peer>, look: (peer: Peer) => Verdict): Verdict {
  for (const peer of peers) {
    const verdict = look(peer)
    if (verdict) return `${peer.name} (${peer.habit.name}) ${verdict}`
  }
  return undefined
}
