/**
 * Who is let in: one pure decision over counts and limits, the cheap questions first.
 */
import type { PolicyName } from '../track/observation.ts'

/** What is done with a newcomer when a limit is reached: turn it away, or close somebody else to make room. */
export const LIMIT_POLICIES = ['refuse', 'evict-oldest', 'evict-idlest'] as const

/** One of them. */
export type LimitPolicy = typeof LIMIT_POLICIES[number]

/** A limit. */
export interface Limit {
  /** Connections, at most. */
  readonly max: number
  readonly policy: LimitPolicy
}

/** The limits of a server; false where there is none. */
export interface Limits {
  readonly total: Limit | false
  readonly perOwner: Limit | false
  readonly perAddress: Limit | false
  /** Handshakes under way, at most. */
  readonly handshakes: number | false
}

/** Limits that count connections. */
export type CountedLimit = 'total' | 'perAddress' | 'perOwner'

/** Connections in a class, with the newcomer. */
export interface Count {
  /** Those that keep their place. */
  readonly counted: number
  /** Those that have a raw socket: evicted ones too, until it is gone. */
  readonly physical: number
}

/** What is known of a newcomer; what is not known yet, or was asked before, is not asked. */
export interface AdmissionFacts {
  readonly pressure?: boolean
  /** Handshakes under way, with this one. */
  readonly handshakes?: number
  readonly total?: Count | undefined
  readonly perAddress?: Count | undefined
  readonly perOwner?: Count | undefined
}

/** What is to be done with it. */
export type Decision =
  | { readonly admit: true, readonly evict: CountedLimit[] }
  | { readonly admit: false, readonly policy: PolicyName }

/** Cheap to dear. */
const COUNTED: readonly CountedLimit[] = ['total', 'perAddress', 'perOwner']

/** Decides; `ignored` are policies that only observe: each is told and then passed over. */
export function decide (limits: Limits, facts: AdmissionFacts, ignored: (policy: PolicyName, action: 'refuse' | 'evict') => boolean): Decision {
  const refuses = (policy: PolicyName) => !ignored(policy, 'refuse')
  if (facts.pressure && refuses('pressure')) return { admit: false, policy: 'pressure' }
  if (limits.handshakes !== false && (facts.handshakes ?? 0) > limits.handshakes && refuses('handshakes')) return { admit: false, policy: 'handshakes' }
  const evict: CountedLimit[] = []
  for (const name of COUNTED) {
    const limit = limits[name]
    const count = facts[name]
    if (limit === false || count === undefined) continue
    // Also where those on their way out made room under another limit: they may be here all the same.
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

/** Sockets there may be while evicted ones are on their way out: a tenth more, and one at least. */
export function ceiling (max: number): number {
  return max + Math.max(1, Math.floor(max / 10))
}
