/**
 * Who has to go, and how often: two clients of one owner must not evict each other for ever.
 */
import type { Clock } from '../base/clock.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { LimitPolicy } from './admission-decision.ts'

/** Milliseconds of a window. */
const WINDOW = 60_000

/** Evictions under one key that are always allowed in a window. */
const LEAST = 10

/** Counts evictions by key. */
export class EvictionBudget {
  readonly #clock: Clock
  readonly #spent = new Map<string, number>()
  #since: number

  constructor (clock: Clock) {
    this.#clock = clock
    this.#since = clock.now()
  }

  /** Says whether one more is allowed under this key, whose limit is `max`. */
  has (key: string, max: number): boolean {
    // One window for all: nothing has to be cleaned up key by key.
    if (this.#clock.now() - this.#since >= WINDOW) {
      this.#spent.clear()
      this.#since = this.#clock.now()
    }
    return (this.#spent.get(key) ?? 0) < Math.max(LEAST, max)
  }

  spend (key: string): void { this.#spent.set(key, (this.#spent.get(key) ?? 0) + 1) }
}

/** The one to go of those who may stay; undefined when there is nobody. */
export function victimOf (policy: LimitPolicy, members: Iterable<ManagedConnection>, newcomer?: ManagedConnection): ManagedConnection | undefined {
  let victim: ManagedConnection | undefined
  for (const connection of members) {
    if (connection === newcomer || connection.state !== 'open') continue
    if (victim === undefined || before(policy, connection, victim)) victim = connection
  }
  return victim
}

function before (policy: LimitPolicy, a: ManagedConnection, b: ManagedConnection): boolean {
  if (policy === 'evict-idlest' && a.lastMessage !== b.lastMessage) return a.lastMessage < b.lastMessage
  return a.id < b.id
}
