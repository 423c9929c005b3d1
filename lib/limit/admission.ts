/**
 * Admits or refuses handshakes and connections by the limits, and evicts connections to make room: 4001, cause `replaced`.
 *
 * A handshake or connection takes a place from the upgrade request until its raw socket is gone. The handshake asks three times:
 * when it arrives, when its address is known, and before it opens. The connection asks once more when it opens, and when its
 * owner changes: only then are the counts exact. admission-decision.ts decides, places.ts keeps the counts.
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
import type { AdmissionFacts, CountedLimit, Decision, Limits } from './admission-decision.ts'
import { EvictionBudget, victimOf } from './evictions.ts'
import { Places } from './places.ts'
import type { Keys } from './places.ts'

const REPLACED = 'replaced'
const REFUSED = 'no room'

const NARROW_FIRST: readonly CountedLimit[] = ['perOwner', 'perAddress', 'total']

/** What admission needs. */
export interface AdmissionHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly enforcement: Enforcement
  /** Reconnect delay of a refused client, milliseconds. */
  readonly minDelay: number
}

export class Admission {
  readonly #host: AdmissionHost
  readonly #limits: Limits
  readonly #underPressure: () => boolean
  readonly #budget: EvictionBudget
  readonly #places: Places
  /** Number of handshakes under way. */
  #reserved = 0

  constructor (host: AdmissionHost, limits: Limits, underPressure: () => boolean) {
    this.#host = host
    this.#limits = limits
    this.#places = new Places(limits)
    this.#underPressure = underPressure
    this.#budget = new EvictionBudget(host.clock)
  }

  /** Number of places and keys: 0 if there is no connection. */
  get size (): number { return this.#reserved + this.#places.size }

  // ——— handshakes

  /**
   * A handshake has arrived and takes a place, or that of the connection from which its client `moves`. Returns the policy that
   * refuses it, or null.
   */
  arrived (path: string, moves = false): PolicyName | null {
    if (moves) return refusalOf(this.#decide({ pressure: this.#underPressure() }, {}, ['pressure'], path))
    this.#reserved++
    const total = { counted: this.#places.counted + this.#reserved, physical: this.#places.physical + this.#reserved }
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

  /** A handshake that has taken a place has ended: opened, refused or gone. */
  left (): void { this.#reserved-- }

  // ——— connections

  /**
   * A connection opens and takes a place, or that of the `previous` one, from which its client moves. Returns the policy that
   * refuses it, or null.
   */
  opened (connection: ManagedConnection, previous: ManagedConnection | null = null): PolicyName | null {
    const { ip, owner } = connection
    const keys = { address: this.#keyOf(ip), owner }
    const place = previous === null ? undefined : this.#places.of(previous)
    if (place?.counts === 'connection' && place.next === null) {
      this.#places.enterNext(connection, keys, previous!)
      return null
    }
    const decision = this.#decide(this.#allCountsOf(keys), keys, [])
    if (!decision.admit) return decision.policy
    this.#places.enter(connection, keys)
    this.#makeRoom(decision.evict, keys, connection)
    return null
  }

  ownerSet (connection: ManagedConnection, owner: string | undefined): boolean {
    const place = this.#places.of(connection)
    if (this.#limits.perOwner === false || place === undefined || place.owner === owner || isClosing(connection.state)) return true
    const { counts, next, previous } = place
    if (previous !== null && owner !== undefined && owner !== previous.owner) return this.#standAlone(connection)
    this.#places.setOwner(connection, counts === 'connection' ? undefined : owner)
    if (next !== null && next.owner !== undefined && next.owner !== owner) this.#standAlone(next)
    if (counts !== 'connection' || owner === undefined) return true
    const decision = this.#decide(this.#countsOf({ owner }), { owner }, ['perOwner'], undefined, connection)
    if (!decision.admit) return this.#refuse(connection)
    this.#places.setOwner(connection, owner)
    this.#makeRoom(decision.evict, { owner }, connection)
    return true
  }

  gone (connection: ManagedConnection): void {
    if (this.#places.of(connection) !== undefined) this.#places.leave(connection)
  }

  // ——— moves

  moved (connection: ManagedConnection): void { this.#places.moved(connection) }

  moveFailed (connection: ManagedConnection): void {
    const next = this.#places.of(connection)?.next
    if (next != null) this.#standAlone(next)
  }

  /** The new connection of a move counts by itself, if there is room without an eviction: its client uses the old one. */
  #standAlone (connection: ManagedConnection): boolean {
    const keys = { address: this.#places.of(connection)!.address, owner: connection.owner }
    this.#places.leave(connection)
    const decision = this.#decide(this.#allCountsOf(keys), keys, ['perOwner', 'perAddress', 'total'], undefined, connection)
    if (!decision.admit || decision.evict.length > 0) return this.#refuse(connection)
    this.#places.enter(connection, keys)
    return true
  }

  // ——— refusals and evictions

  #refuse (connection: ManagedConnection): false {
    connection.end('refused', CAUSE_CODES.refused, withRetry(REFUSED, this.#host.minDelay))
    return false
  }

  /** Closes a connection to make room, and the other one of its move; returns false if it was closing already. */
  #evict (victim: ManagedConnection): boolean {
    const connection = this.#places.of(victim)?.previous ?? victim
    const next = this.#places.part(connection)
    const both = next === null ? [connection] : [connection, next]
    const ended = both.filter((each) => each.end('replaced', CAUSE_CODES.replaced, REPLACED))
    if (ended.length === 0) return false
    for (const each of both) this.#places.evict(each)
    return true
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
    return name === 'perOwner' ? this.#places.owners.members(owner!) : this.#places.addresses.members(address!)
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
      perAddress: address === undefined ? undefined : this.#places.addresses.withOneMore(address),
      perOwner: perOwner === false || owner === undefined ? undefined : this.#places.owners.withOneMore(owner)
    }
  }

  /** As #countsOf, and the total without other handshakes: those count when they arrive. */
  #allCountsOf (keys: Keys): AdmissionFacts {
    return { ...this.#countsOf(keys), total: { counted: this.#places.counted + 1, physical: this.#places.physical + 1 } }
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

function refusalOf (decision: Decision): PolicyName | null {
  return decision.admit ? null : decision.policy
}

function budgetKey (name: CountedLimit, { address, owner }: Keys): string {
  return name === 'total' ? 'total' : name === 'perOwner' ? `owner ${owner!}` : `address ${address!}`
}
