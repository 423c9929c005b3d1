/**
 * The connection to evict, and how many evictions are allowed: two clients of one owner must not evict each other for ever.
 */
import type { Clock } from '../base/clock.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { LimitPolicy } from './admission-decision.ts'

/** Length of a window, milliseconds. */
const WINDOW = 60_000

/** Number of evictions under one key that are always allowed in a window. */
const LEAST = 10

/** Bounds the evictions under each key. */
export class EvictionBudget {
  readonly #clock: Clock
  readonly #spent = new Map<string, number>()
  #since: number

  constructor (clock: Clock) {
    this.#clock = clock
    this.#since = clock.now()
  }

  /** Returns whether one more eviction is allowed under this key, whose limit is `max`. */
  has (key: string, max: number): boolean {
    // One window for all keys: they need no clean-up of their own.
    if (this.#clock.now() - this.#since >= WINDOW) {
      this.#spent.clear()
      this.#since = this.#clock.now()
    }
    return (this.#spent.get(key) ?? 0) < Math.max(LEAST, max)
  }

  spend (key: string): void { this.#spent.set(key, (this.#spent.get(key) ?? 0) + 1) }
}

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
