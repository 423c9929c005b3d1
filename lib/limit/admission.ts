/**
 * Who may have a connection: places are counted from the upgrade to the end of the raw socket, the decision is
 * decision.ts's, and whoever has to make room is closed with 4001 and cause `replaced`.
 *
 * It is asked when a handshake arrives, when its address is known, and when it would open; an exact count needs the last.
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

const NONE: readonly PolicyName[] = []

const NARROW_FIRST: readonly CountedLimit[] = ['perOwner', 'perAddress', 'total']

/** What is known of whoever wants a place. */
interface Who {
  /** The key of its address, where that is limited. */
  readonly address?: string | undefined
  readonly owner?: string | undefined
}

/** What admission leans on. */
export interface AdmissionHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly enforcement: Enforcement
  /** Milliseconds after which a client that was turned away may try again. */
  readonly minDelay: number
}

/** The place of one connection. */
interface Place {
  /** The key of its address, where that is limited. */
  readonly address: string | undefined
  /** The owner under whose limit the place is. */
  owner: string | undefined
  /** Whether the place was given to another connection; the raw socket is still there. */
  lost: boolean
}

export class Admission {
  readonly #host: AdmissionHost
  readonly #limits: Limits
  readonly #underPressure: () => boolean
  readonly #addresses: Slots
  readonly #owners: Slots
  readonly #budget: EvictionBudget
  readonly #places = new Map<ManagedConnection, Place>()
  /** Handshakes under way. */
  #reserved = 0
  /** Connections that keep their place. */
  #counted = 0

  constructor (host: AdmissionHost, limits: Limits, underPressure: () => boolean) {
    this.#host = host
    this.#limits = limits
    this.#addresses = new Slots(evicts(limits.perAddress))
    this.#owners = new Slots(evicts(limits.perOwner))
    this.#underPressure = underPressure
    this.#budget = new EvictionBudget(host.clock)
  }

  /** Places and keys: 0 when there is no connection. */
  get size (): number { return this.#reserved + this.#places.size + this.#addresses.size + this.#owners.size }

  // ——— handshakes

  /** A handshake has arrived and takes a place; says which policy turns it away, if one does. */
  arrived (path: string): PolicyName | null {
    this.#reserved++
    const total = { counted: this.#counted + this.#reserved, physical: this.#places.size + this.#reserved }
    const facts = { pressure: this.#underPressure(), handshakes: this.#reserved, total }
    return refusalOf(this.#decide(facts, {}, ['pressure', 'handshakes', 'total'], path))
  }

  /** Its address is known. */
  addressed (address: string | undefined, path: string): PolicyName | null {
    const who = { address: this.#keyOf(address) }
    return refusalOf(this.#decide(this.#factsOf(who), who, ['perAddress'], path))
  }

  /** It would open now. `addressed` says whether its address was asked about before. */
  opening (address: string | undefined, owner: string | undefined, addressed: boolean, path: string): PolicyName | null {
    const who = { address: this.#keyOf(address), owner }
    return refusalOf(this.#decide(this.#lateFactsOf(who), who, addressed ? ['perOwner'] : ['perOwner', 'perAddress'], path))
  }

  /** It is over: opened, refused or gone. */
  left (): void { this.#reserved-- }

  // ——— connections

  /** It has opened and takes its place; says which policy has none for it, if one does. */
  opened (connection: ManagedConnection): PolicyName | null {
    const { ip, owner } = connection
    const who = { address: this.#keyOf(ip), owner }
    const decision = this.#decide(this.#lateFactsOf(who), who, NONE)
    if (!decision.admit) return decision.policy
    this.#enter(connection, who)
    this.#makeRoom(decision.evict, who, connection)
    return null
  }

  ownerSet (connection: ManagedConnection, owner: string | undefined): boolean {
    const place = this.#places.get(connection)
    if (this.#limits.perOwner === false || place === undefined || place.lost || place.owner === owner || isClosing(connection.state)) return true
    if (place.owner !== undefined) this.#owners.remove(place.owner, connection, false)
    place.owner = undefined
    if (owner === undefined) return true
    const decision = this.#decide(this.#factsOf({ owner }), { owner }, ['perOwner'], undefined, connection)
    if (!decision.admit) return this.#refuse(connection)
    place.owner = owner
    this.#owners.add(owner, connection)
    this.#makeRoom(decision.evict, { owner }, connection)
    return true
  }

  gone (connection: ManagedConnection): void {
    const place = this.#places.get(connection)
    if (place === undefined) return
    this.#places.delete(connection)
    const { address, owner, lost } = place
    if (!lost) this.#counted--
    if (address !== undefined) this.#addresses.remove(address, connection, lost)
    if (owner !== undefined) this.#owners.remove(owner, connection, lost)
  }

  /** Closes a connection to make room; says whether it did. */
  evict (connection: ManagedConnection): boolean {
    if (!connection.end('replaced', CAUSE_CODES.replaced, REPLACED)) return false
    const place = this.#places.get(connection)
    if (place === undefined || place.lost) return true
    place.lost = true
    this.#counted--
    if (place.address !== undefined) this.#addresses.evict(place.address, connection)
    if (place.owner !== undefined) this.#owners.evict(place.owner, connection)
    return true
  }

  #enter (connection: ManagedConnection, { address, owner }: Who): void {
    const place: Place = { address, owner: this.#limits.perOwner === false ? undefined : owner, lost: false }
    this.#places.set(connection, place)
    this.#counted++
    if (address !== undefined) this.#addresses.add(address, connection)
    if (place.owner !== undefined) this.#owners.add(place.owner, connection)
  }

  #refuse (connection: ManagedConnection): false {
    connection.end('refused', CAUSE_CODES.refused, withRetry(REFUSED, this.#host.minDelay))
    return false
  }

  /** Closes somebody under each limit; nobody where all others are leaving by themselves: the ceiling bounds those. */
  #makeRoom (names: readonly CountedLimit[], { address, owner }: Who, newcomer: ManagedConnection): void {
    const victims: ManagedConnection[] = []
    // Narrow limits first: who goes under one makes room under those that are wider.
    for (const name of NARROW_FIRST) {
      const limit = this.#limits[name]
      if (limit === false || !names.includes(name)) continue
      if (victims.some(({ ip }) => name === 'total' || (name === 'perAddress' && this.#keyOf(ip) === address))) continue
      const victim = name === 'total' && limit.policy === 'evict-oldest'
        ? this.#oldest(newcomer)
        : victimOf(limit.policy, this.#members(name, address, owner), newcomer)
      if (victim === undefined || !this.evict(victim)) continue
      victims.push(victim)
      this.#budget.spend(budgetKey(name, address, owner))
    }
  }

  #members (name: CountedLimit, address: string | undefined, owner: string | undefined): Iterable<ManagedConnection> {
    if (name === 'total') return this.#host.registry.snapshot()
    return name === 'perOwner' ? this.#owners.members(owner!) : this.#addresses.members(address!)
  }

  /** The oldest of all: they stand in that order, and a crowd need not be looked through for each newcomer. */
  #oldest (newcomer: ManagedConnection): ManagedConnection | undefined {
    let oldest: ManagedConnection | undefined
    this.#host.registry.visit((connection) => {
      if (connection !== newcomer && connection.state === 'open') oldest = connection
      return oldest === undefined
    })
    return oldest
  }

  /** Undefined where addresses are not limited; and for a client without one, as over a Unix socket. */
  #keyOf (address: string | undefined): string | undefined {
    return this.#limits.perAddress === false || address === undefined || address === '' ? undefined : addressKey(address)
  }

  /** Counts of its classes, with one more in each. */
  #factsOf ({ address, owner }: Who): AdmissionFacts {
    const { perOwner } = this.#limits
    return {
      perAddress: address === undefined ? undefined : this.#addresses.withOneMore(address),
      perOwner: perOwner === false || owner === undefined ? undefined : this.#owners.withOneMore(owner)
    }
  }

  /** Those, and all who are open: its own place was reserved, others' reservations are no concern of one that opens. */
  #lateFactsOf (who: Who): AdmissionFacts {
    return { ...this.#factsOf(who), total: { counted: this.#counted + 1, physical: this.#places.size + 1 } }
  }

  /** `told` are the policies that say so where they only observe: each is asked at several moments, and speaks at one. */
  #decide (facts: AdmissionFacts, who: Who, told: readonly PolicyName[], path?: string, connection?: ManagedConnection): Decision {
    const { enforcement } = this.#host
    const limits = this.#limits
    const decision = decide(limits, facts, (policy, action) => !(told.includes(policy) ? enforcement.allows(policy, action, connection, path) : enforcement.enforces(policy)))
    if (!decision.admit) return decision
    const spent = decision.evict.find((name) => !this.#budget.has(budgetKey(name, who.address, who.owner), (limits[name] as { max: number }).max))
    return spent === undefined ? decision : { admit: false, policy: spent }
  }
}

function evicts (limit: Limit | false): boolean {
  return limit !== false && limit.policy !== 'refuse'
}

function refusalOf (decision: Decision): PolicyName | null {
  return decision.admit ? null : decision.policy
}

function budgetKey (name: CountedLimit, address: string | undefined, owner: string | undefined): string {
  return name === 'total' ? 'total' : name === 'perOwner' ? `owner ${owner!}` : `address ${address!}`
}
