/**
 * Which connection is evicted: the oldest, or the one that has been silent for longest.
 */
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { LimitPolicy } from './admission-decision.ts'

/** Returns the open connection to evict, other than `admitted`; undefined if there is none. */
export function victimOf (policy: LimitPolicy, members: Iterable<ManagedConnection>, admitted?: ManagedConnection): ManagedConnection | undefined {
  const compare = policy === 'evict-idlest' ? idlestFirst : oldestFirst
  let victim: ManagedConnection | undefined
  for (const connection of members) {
    if (connection === admitted || connection.state !== 'open') continue
    if (victim === undefined || compare(connection, victim) < 0) victim = connection
  }
  return victim
}

/** Compares by the last message, then by age. */
export function idlestFirst (a: ManagedConnection, b: ManagedConnection): number {
  return a.lastMessage - b.lastMessage || oldestFirst(a, b)
}

function oldestFirst (a: ManagedConnection, b: ManagedConnection): number { return a.id - b.id }
