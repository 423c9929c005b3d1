/**
 * Admits or refuses handshakes and connections by the limits, and evicts connections to make room: 4001, cause `replaced`.
 *
 * A handshake or connection takes a place from the upgrade request until its raw socket is gone. The handshake asks three times:
 * when it arrives, when its address is known, and before it opens. The connection asks once more when it opens, and when its
 * owner changes: only then are the counts exact. admission-decision.ts decides; this file keeps the counts.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { PolicyName } from '../track/observation.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Registry } from '../track/registry.ts'
import { addressKey } from './address-key.ts'
import { decide } from './admission-decision.ts'
import type { AdmissionFacts, CountedLimit, Decision, Limit, Limits } from './admission-decision.ts'
import { EvictionBudget, victimOf } from './evictions.ts'
import { Slots } from './slots.ts'

const REPLACED = 'replaced'
const REFUSED = 'no room'

const NARROW_FIRST: readonly CountedLimit[] = ['perOwner', 'perAddress', 'total']

/** Keys under which a handshake or a connection is counted. */
interface Keys {
  /** The key of the address; undefined if addresses are not limited, or the client has none. */
  readonly address?: string | undefined
  readonly owner?: string | undefined
}

/** What admission needs. */
export interface AdmissionHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly enforcement: Enforcement
  /** Reconnect delay of a refused client, milliseconds. */
  readonly minDelay: number
}

/** The place of one connection. */
interface Place {
  /** As in Keys. */
  readonly address: string | undefined
  /** The owner under which the connection is counted. */
  owner: string | undefined
  /** Whether the connection was evicted; its raw socket is still there. */
  evicted: boolean
}

export class Admission {
  readonly #host: AdmissionHost
  readonly #limits: Limits
  readonly #underPressure: () => boolean
  readonly #addresses: Slots
  readonly #owners: Slots
  readonly #budget: EvictionBudget
  readonly #places = new Map<ManagedConnection, Place>()
  /** Number of handshakes under way. */
  #reserved = 0
  /** Number of connections that were not evicted. */
  #counted = 0

  constructor (host: AdmissionHost, limits: Limits, underPressure: () => boolean) {
    this.#host = host
    this.#limits = limits
    this.#addresses = new Slots(evicts(limits.perAddress))
    this.#owners = new Slots(evicts(limits.perOwner))
    this.#underPressure = underPressure
    this.#budget = new EvictionBudget(host.clock)
  }

  /** Number of places and keys: 0 if there is no connection. */
  get size (): number { return this.#reserved + this.#places.size + this.#addresses.size + this.#owners.size }

  // ——— handshakes

  /** A handshake has arrived and takes a place. Returns the policy that refuses it, or null. */
  arrived (path: string): PolicyName | null {
    this.#reserved++
    const total = { counted: this.#counted + this.#reserved, physical: this.#places.size + this.#reserved }
    const facts = { pressure: this.#underPressure(), handshakes: this.#reserved, total }
    return refusalOf(this.#decide(facts, {}, ['pressure', 'handshakes', 'total'], path))
  }

  /** The address of a handshake is known. Returns the policy that refuses it, or null. */
  addressed (address: string | undefined, path: string): PolicyName | null {
    const keys = { address: this.#keyOf(address) }
    return refusalOf(this.#decide(this.#countsOf(keys), keys, ['perAddress'], path))
  }

  /** A handshake is about to open. `addressed`: it has been through `addressed()`. Returns the policy that refuses it, or null. */
  opening (address: string | undefined, owner: string | undefined, addressed: boolean, path: string): PolicyName | null {
    const keys = { address: this.#keyOf(address), owner }
    return refusalOf(this.#decide(this.#allCountsOf(keys), keys, addressed ? ['perOwner'] : ['perOwner', 'perAddress'], path))
  }

  /** A handshake has ended: opened, refused or gone. */
  left (): void { this.#reserved-- }

  // ——— connections

  /** A connection opens and takes a place. Returns the policy that refuses it, or null. */
  opened (connection: ManagedConnection): PolicyName | null {
    const { ip, owner } = connection
    const keys = { address: this.#keyOf(ip), owner }
    const decision = this.#decide(this.#allCountsOf(keys), keys, [])
    if (!decision.admit) return decision.policy
    this.#enter(connection, keys)
    this.#makeRoom(decision.evict, keys, connection)
    return null
  }

  ownerSet (connection: ManagedConnection, owner: string | undefined): boolean {
    const place = this.#places.get(connection)
    if (this.#limits.perOwner === false || place === undefined || place.evicted || place.owner === owner || isClosing(connection.state)) return true
    if (place.owner !== undefined) this.#owners.remove(place.owner, connection, false)
    place.owner = undefined
    if (owner === undefined) return true
    const decision = this.#decide(this.#countsOf({ owner }), { owner }, ['perOwner'], undefined, connection)
    if (!decision.admit) {
      connection.end('refused', CAUSE_CODES.refused, withRetry(REFUSED, this.#host.minDelay))
      return false
    }
    place.owner = owner
    this.#owners.add(owner, connection)
    this.#makeRoom(decision.evict, { owner }, connection)
    return true
  }

  gone (connection: ManagedConnection): void {
    const place = this.#places.get(connection)
    if (place === undefined) return
    this.#places.delete(connection)
    const { address, owner, evicted } = place
    if (!evicted) this.#counted--
    if (address !== undefined) this.#addresses.remove(address, connection, evicted)
    if (owner !== undefined) this.#owners.remove(owner, connection, evicted)
  }

  /** Closes a connection to make room; returns false if it was closing already. */
  #evict (connection: ManagedConnection): boolean {
    if (!connection.end('replaced', CAUSE_CODES.replaced, REPLACED)) return false
    const place = this.#places.get(connection)
    // A listener of 'closing' may have destroyed the raw socket.
    if (place === undefined) return true
    place.evicted = true
    this.#counted--
    if (place.address !== undefined) this.#addresses.evict(place.address, connection)
    if (place.owner !== undefined) this.#owners.evict(place.owner, connection)
    return true
  }

  #enter (connection: ManagedConnection, { address, owner }: Keys): void {
    const place: Place = { address, owner: this.#limits.perOwner === false ? undefined : owner, evicted: false }
    this.#places.set(connection, place)
    this.#counted++
    if (address !== undefined) this.#addresses.add(address, connection)
    if (place.owner !== undefined) this.#owners.add(place.owner, connection)
  }

  /** Evicts an open connection under each limit, if there is one besides `admitted`; the ceiling bounds those that are closing. */
  #makeRoom (names: readonly CountedLimit[], keys: Keys, admitted: ManagedConnection): void {
    const victims: ManagedConnection[] = []
    // Narrow limits first: an eviction under one makes room under the wider ones.
    for (const name of NARROW_FIRST) {
      const limit = this.#limits[name]
      if (limit === false || !names.includes(name)) continue
      if (victims.some(({ ip }) => name === 'total' || (name === 'perAddress' && this.#keyOf(ip) === keys.address))) continue
      const victim = name === 'total' && limit.policy === 'evict-oldest'
        ? this.#oldest(admitted)
        : victimOf(limit.policy, this.#members(name, keys), admitted)
      if (victim === undefined || !this.#evict(victim)) continue
      victims.push(victim)
      this.#budget.spend(budgetKey(name, keys))
    }
  }

  #members (name: CountedLimit, { address, owner }: Keys): Iterable<ManagedConnection> {
    if (name === 'total') return this.#host.registry.snapshot()
    return name === 'perOwner' ? this.#owners.members(owner!) : this.#addresses.members(address!)
  }

  /** Returns the oldest open connection. The registry is in that order: victimOf() would read every connection. */
  #oldest (admitted: ManagedConnection): ManagedConnection | undefined {
    let oldest: ManagedConnection | undefined
    this.#host.registry.visit((connection) => {
      if (connection !== admitted && connection.state === 'open') oldest = connection
      return oldest === undefined
    })
    return oldest
  }

  /** Returns undefined if addresses are not limited, or the client has none, as over a Unix socket. */
  #keyOf (address: string | undefined): string | undefined {
    return this.#limits.perAddress === false || address === undefined || address === '' ? undefined : addressKey(address)
  }

  /** Counts under these keys, with one more connection. */
  #countsOf ({ address, owner }: Keys): AdmissionFacts {
    const { perOwner } = this.#limits
    return {
      perAddress: address === undefined ? undefined : this.#addresses.withOneMore(address),
      perOwner: perOwner === false || owner === undefined ? undefined : this.#owners.withOneMore(owner)
    }
  }

  /** As #countsOf, and the total without other handshakes: those count when they arrive. */
  #allCountsOf (keys: Keys): AdmissionFacts {
    return { ...this.#countsOf(keys), total: { counted: this.#counted + 1, physical: this.#places.size + 1 } }
  }

  /** `reporting`: policies that report what they only observe. Each is asked several times for a connection, and reports once. */
  #decide (facts: AdmissionFacts, keys: Keys, reporting: readonly PolicyName[], path?: string, connection?: ManagedConnection): Decision {
    const { enforcement } = this.#host
    const limits = this.#limits
    const decision = decide(limits, facts, (policy, action) => !(reporting.includes(policy) ? enforcement.allows(policy, action, connection, path) : enforcement.enforces(policy)))
    if (!decision.admit) return decision
    const spent = decision.evict.find((name) => !this.#budget.has(budgetKey(name, keys), (limits[name] as { max: number }).max))
    return spent === undefined ? decision : { admit: false, policy: spent }
  }
}

function evicts (limit: Limit | false): boolean {
  return limit !== false && limit.policy !== 'refuse'
}

function refusalOf (decision: Decision): PolicyName | null {
  return decision.admit ? null : decision.policy
}

function budgetKey (name: CountedLimit, { address, owner }: Keys): string {
  return name === 'total' ? 'total' : name === 'perOwner' ? `owner ${owner!}` : `address ${address!}`
}
