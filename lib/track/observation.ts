/**
 * The policies by name, and the observation of one that does not act.
 */
import type { Connection } from '../connection/connection.ts'

/** All policies: what may refuse a handshake, or limit or close a connection. */
export const POLICIES = [
  'heartbeat', 'idle', 'lifetime', 'expiry', 'origin', 'total', 'perOwner', 'perAddress', 'handshakes', 'pressure', 'backpressure',
  'messageRate'
] as const

/** A policy by name. */
export type PolicyName = typeof POLICIES[number]

/** `enforce`: a policy acts. `observe`: it only reports what it would have done. */
export type Mode = 'enforce' | 'observe'

/** An action that a policy would have taken. */
export interface Observation {
  /** The policy. */
  policy: PolicyName
  /** The action. */
  action: 'refuse' | 'evict' | 'close' | 'terminate' | 'drop' | 'pause'
  /** The connection; undefined for a handshake. */
  connection?: Connection | undefined
  /** Path of the handshake, without its query string. */
  path?: string | undefined
}
