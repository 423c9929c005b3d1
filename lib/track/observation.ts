/**
 * The policies by name, and what is told of one that only observes.
 */
import type { Connection } from '../connection/connection.ts'

/** Everything that may turn somebody away or end a connection by itself. */
export const POLICIES = [
  'heartbeat', 'idle', 'lifetime', 'expiry', 'origin', 'total', 'perOwner', 'perAddress', 'handshakes', 'pressure', 'backpressure',
  'messageRate'
] as const

/** A policy by name. */
export type PolicyName = typeof POLICIES[number]

/** `enforce`: policies act. `observe`: they only report what they would have done. */
export type Mode = 'enforce' | 'observe'

/** What a policy would have done. */
export interface Observation {
  /** The policy that only observes. */
  policy: PolicyName
  /** What it would have done. */
  action: 'refuse' | 'evict' | 'close' | 'terminate' | 'drop' | 'pause'
  /** Whom it would have hit; undefined for a handshake. */
  connection?: Connection | undefined
  /** Path of the handshake, without its query string. */
  path?: string | undefined
}
