/**
 * For how long the owner of a connection that closes is expected back.
 */
import type { CloseCause } from '../base/close-codes.ts'
import { retryIn } from '../base/close-codes.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { RETURN } from './membership.ts'

/** Closes after which the client connects again. */
const RETURNING: ReadonlySet<CloseCause> = new Set(['drain', 'leave', 'lifetime', 'rebalance'])
/** Closes by the client: it connects again if it was told that the server drains. */
const BY_CLIENT: ReadonlySet<CloseCause> = new Set(['client', 'network'])

/** Returns for how long the owner of a connection that closes is expected back, milliseconds; 0: it is not. */
export function timeAway ({ ending }: ManagedConnection): number {
  const { cause, reason, drained } = ending!
  if (RETURNING.has(cause)) return retryIn(reason) + RETURN
  return drained && BY_CLIENT.has(cause) ? RETURN : 0
}
