/**
 * Decides about a handshake or a connection from counts and limits. Pure; cheap checks come first.
 */
import type { PolicyName } from '../track/observation.ts'

/** What happens above a limit: the new connection is refused, or another one is closed to make room. */
export const LIMIT_POLICIES = ['refuse', 'evict-oldest', 'evict-idlest'] as const

/** One of LIMIT_POLICIES. */
export type LimitPolicy = typeof LIMIT_POLICIES[number]

/** Whose connections a limit counts. */
export const LIMIT_SCOPES = ['node', 'fleet'] as const

/** One of LIMIT_SCOPES. */
export type LimitScope = typeof LIMIT_SCOPES[number]

/** A limit on connections. */
export interface Limit {
  /** Maximum number of connections. */
  readonly max: number
  readonly policy: LimitPolicy
  /** Whose connections it counts: those of this node, or of all nodes of the fleet. */
  readonly scope: LimitScope
}

/** The limits of a server; false: no limit. */
export interface Limits {
  readonly total: Limit | false
  readonly perOwner: Limit | false
  readonly perAddress: Limit | false
  /** Maximum number of handshakes under way. */
  readonly handshakes: number | false
}

/** Limits that count connections. */
export type CountedLimit = 'total' | 'perAddress' | 'perOwner'

/** Number of connections under a limit, with the one that is decided about. */
export interface Count {
  /** Without those that were evicted. */
  readonly counted: number
  /** With those that were evicted and whose raw sockets are not gone yet. */
  readonly physical: number
}

/** What is known at the time of a decision; a limit without its count is not checked. */
export interface AdmissionFacts {
  readonly pressure?: boolean
  /** Number of handshakes under way, with this one. */
  readonly handshakes?: number
  readonly total?: Count | undefined
  readonly perAddress?: Count | undefined
  readonly perOwner?: Count | undefined
}

/** Admit, and close a connection under each of these limits; or refuse, by this policy. */
export type Decision =
  | { readonly admit: true, readonly evict: CountedLimit[] }
  | { readonly admit: false, readonly policy: PolicyName }

/** In the order in which they are checked. */
const COUNTED: readonly CountedLimit[] = ['total', 'perAddress', 'perOwner']

/** Decides. `ignored` returns true for a policy that only observes, and reports what the policy would have done. */
export function decide (limits: Limits, facts: AdmissionFacts, ignored: (policy: PolicyName, action: 'refuse' | 'evict') => boolean): Decision {
  const refuses = (policy: PolicyName) => !ignored(policy, 'refuse')
  if (facts.pressure && refuses('pressure')) return { admit: false, policy: 'pressure' }
  if (limits.handshakes !== false && (facts.handshakes ?? 0) > limits.handshakes && refuses('handshakes')) return { admit: false, policy: 'handshakes' }
  const evict: CountedLimit[] = []
  for (const name of COUNTED) {
    const limit = limits[name]
    const count = facts[name]
    if (limit === false || count === undefined) continue
    // Above the ceiling every limit refuses, also if few are counted: raw sockets of connections evicted under another limit count here.
    const full = count.physical > ceiling(limit.max)
    if (count.counted <= limit.max && !full) continue
    if (limit.policy === 'refuse' || full) {
      if (refuses(name)) return { admit: false, policy: name }
    } else if (!ignored(name, 'evict')) {
      evict.push(name)
    }
  }
  return { admit: true, evict }
}

/** Maximum number of raw sockets under a limit, those of evicted connections included: a tenth more than `max`, at least one. */
export function ceiling (max: number): number {
  return max + Math.max(1, Math.floor(max / 10))
}
