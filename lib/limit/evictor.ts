/**
 * Evicts connections to make room under limits: 4001, cause `replaced`. victim.ts chooses them, eviction-budget.ts bounds
 * their number.
 */
import { CAUSE_CODES } from '../base/close-codes.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { Registry } from '../track/registry.ts'
import { addressKey } from './address-key.ts'
import type { CountedLimit, Limit, Limits } from './admission-decision.ts'
import type { EvictionBudget } from './eviction-budget.ts'
import type { Keys, Places } from './places.ts'
import { victimOf } from './victim.ts'

const REPLACED = 'replaced'

const NARROW_FIRST: readonly CountedLimit[] = ['perOwner', 'perAddress', 'total']

/** What evictions need. */
export interface EvictorHost {
  readonly registry: Registry
  readonly enforcement: Enforcement
}

export class Evictor {
  readonly #host: EvictorHost
  readonly #limits: Limits
  readonly #places: Places
  readonly #budget: EvictionBudget

  constructor (host: EvictorHost, limits: Limits, places: Places, budget: EvictionBudget) {
    this.#host = host
    this.#limits = limits
    this.#places = places
    this.#budget = budget
  }

  /** Returns whether one more eviction under a limit is allowed. */
  mayEvict (name: CountedLimit, keys: Keys): boolean { return this.#budget.has(budgetKey(name, keys), (this.#limits[name] as Limit).max) }

  /** Evicts an open connection under each limit, if there is one besides `admitted`; the ceiling bounds those that are closing. */
  makeRoom (names: readonly CountedLimit[], keys: Keys, admitted: ManagedConnection): void {
    const victims: ManagedConnection[] = []
    // Narrow limits first: an eviction under one makes room under the wider ones.
    for (const name of NARROW_FIRST) {
      if (!names.includes(name)) continue
      if (victims.some(({ ip }) => name === 'total' || (name === 'perAddress' && addressKey(ip) === keys.address))) continue
      const victim = this.#victim(name, keys, admitted)
      if (victim !== undefined && this.#evict(victim, name, keys)) victims.push(victim)
    }
  }

  /** Returns the connection that would be evicted under a limit that nodes share; undefined if there is none. */
  oldestOf (owner: string | undefined): ManagedConnection | undefined { return this.#victim(owner === undefined ? 'total' : 'perOwner', { owner }) }

  /** Evicts that connection for one of another node. Returns false if there is none, or there were too many. */
  evictOldest (owner: string | undefined): boolean {
    const name = owner === undefined ? 'total' : 'perOwner'
    const victim = this.oldestOf(owner)
    return victim !== undefined && this.#host.enforcement.enforces(name) && this.mayEvict(name, { owner }) && this.#evict(victim, name, { owner })
  }

  /** Closes a connection to make room, and the other one of its move; returns false if it was closing already. */
  #evict (victim: ManagedConnection, name: CountedLimit, keys: Keys): boolean {
    const connection = this.#places.of(victim)?.previous ?? victim
    const next = this.#places.part(connection)
    const both = next === null ? [connection] : [connection, next]
    const ended = both.filter((each) => each.end('replaced', CAUSE_CODES.replaced, REPLACED))
    if (ended.length === 0) return false
    for (const each of both) this.#places.evict(each)
    this.#budget.spend(budgetKey(name, keys))
    return true
  }

  #victim (name: CountedLimit, { address, owner }: Keys, admitted?: ManagedConnection): ManagedConnection | undefined {
    const limit = this.#limits[name]
    if (limit === false || limit.policy === 'refuse') return undefined
    if (name === 'total' && limit.policy === 'evict-oldest') return this.#oldest(admitted)
    const members = name === 'total' ? this.#host.registry.snapshot().filter((connection) => this.#countsHere(connection)) : name === 'perOwner' ? this.#places.owners.members(owner!) : this.#places.addresses.members(address!)
    return victimOf(limit.policy, members, admitted)
  }

  /** Returns the oldest open connection. The registry is in that order: victimOf() would read every connection. */
  #oldest (admitted: ManagedConnection | undefined): ManagedConnection | undefined {
    let oldest: ManagedConnection | undefined
    this.#host.registry.visit((connection) => {
      if (connection !== admitted && connection.state === 'open' && this.#countsHere(connection)) oldest = connection
      return oldest === undefined
    })
    return oldest
  }

  /** False for one whose client moves to another node, and for one that waits for a place of all nodes: its end would make no room. */
  #countsHere (connection: ManagedConnection): boolean { return this.#places.of(connection)?.movesAway === false }
}

function budgetKey (name: CountedLimit, { address, owner }: Keys): string {
  return name === 'total' ? 'total' : name === 'perOwner' ? `owner ${owner!}` : `address ${address!}`
}
