/**
 * Admits or refuses handshakes and connections by the limits, and evicts connections to make room: 4001, cause `replaced`.
 *
 * A handshake or connection takes a place from the upgrade request until its raw socket is gone. The handshake asks three times:
 * when it arrives, when its address is known, and before it opens. The connection asks once more when it opens, and when its
 * owner changes: only then are the counts exact. admission-decision.ts decides, places.ts keeps the counts.
 *
 * A limit that nodes share is checked here, too: what this node has is a part of what all have. Besides, a place of all nodes is
 * claimed for it (claims.ts) before the handshake opens, or before a connection counts under a new owner.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import type { Refusal } from '../track/events.ts'
import type { PolicyName } from '../track/observation.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { addressKey } from './address-key.ts'
import { decide } from './admission-decision.ts'
import type { AdmissionFacts, Decision, Limits } from './admission-decision.ts'
import { Claims } from './claims.ts'
import type { Claimed } from './claims.ts'
import { EvictionBudget } from './eviction-budget.ts'
import { Evictor } from './evictor.ts'
import type { EvictorHost } from './evictor.ts'
import { Places } from './places.ts'
import type { Keys } from './places.ts'
import type { LocalPlaces, SharedLimit, SharedPlaces } from './shared-places.ts'

const REFUSED = 'no room'

const SHARED: readonly SharedLimit[] = ['total', 'perOwner']

/** What admission needs. */
export interface AdmissionHost extends EvictorHost {
  readonly clock: Clock
  /** Reconnect delay of a refused client, milliseconds. */
  readonly minDelay: number
  /** Returns the connection whose client was asked to move under an id, once; null if there is none. */
  moving (id: string, owner: string | undefined): ManagedConnection | null
}

export class Admission implements LocalPlaces {
  readonly #host: AdmissionHost
  readonly #limits: Limits
  readonly #underPressure: () => boolean
  readonly #places: Places
  readonly #evictor: Evictor
  /** Claims to places that nodes share; null: no limit is shared. */
  #claims: Claims | null = null
  /** Number of handshakes under way. */
  #reserved = 0

  constructor (host: AdmissionHost, limits: Limits, underPressure: () => boolean) {
    this.#host = host
    this.#limits = limits
    this.#places = new Places(limits)
    this.#underPressure = underPressure
    this.#evictor = new Evictor(host, limits, this.#places, new EvictionBudget(host.clock))
  }

  /** Number of places and keys: 0 if there is no connection. */
  get size (): number { return this.#reserved + this.#places.size + (this.#claims?.size ?? 0) }

  /** Whether there are limits that nodes share. */
  get shares (): boolean { return this.#claims !== null }

  /** Nodes share the limits that have the scope for it. */
  share (shared: SharedPlaces): void {
    this.#claims = new Claims(shared, this.#limits, this.#host.enforcement)
    this.#places.changed = (owner) => { shared.changed(owner) }
  }

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

  /**
   * A handshake is about to open. `addressed`: it has been through `addressed()`; `again`: through this, too, and has waited since.
   * Returns the policy that refuses it, or null.
   */
  opening (address: string | undefined, owner: string | undefined, addressed: boolean, path: string, again = false): PolicyName | null {
    const keys = { address: this.#keyOf(address), owner }
    return refusalOf(this.#decide(this.#allCountsOf(keys), keys, again ? [] : addressed ? ['perOwner'] : ['perOwner', 'perAddress'], path))
  }

  /** A handshake that has taken a place has ended: opened, refused or gone. */
  left (): void { this.#reserved-- }

  /**
   * Claims the place that a handshake takes on arrival from all nodes: under `total`, unless that evicts. `move`: the id that it
   * offers. Returns why there is none, once that is known; null: there is nothing to wait for.
   */
  claimOnArrival (handshake: object, path: string, move?: string): Promise<Refusal['reason'] | null> | null {
    const { total } = this.#limits
    if (this.#claims === null || total === false || total.policy !== 'refuse') return null
    return this.#claims.ask(handshake, { limits: ['total'], path, move })
  }

  /** The same for all places of a handshake that is about to open. */
  claim (handshake: object, owner: string | undefined, path: string, move?: string): Promise<Refusal['reason'] | null> | null {
    return this.#claims?.ask(handshake, { limits: SHARED, owner, path, move }) ?? null
  }

  /** A handshake is over: what it has claimed is given back. Its connection counts by itself. */
  release (handshake: object): void { this.#claims?.release(handshake) }

  // ——— connections

  /**
   * A connection opens and takes a place, or that of the `previous` one, from which its client moves. Returns the policy that
   * refuses it, or null.
   */
  opened (connection: ManagedConnection, previous: ManagedConnection | null = null): PolicyName | null {
    const { ip, owner } = connection
    const keys = { address: this.#keyOf(ip), owner }
    const place = previous === null ? undefined : this.#places.of(previous)
    const moves = place?.counts === 'connection' && place.next === null
    // Another address has not counted its client yet.
    const facts = !moves ? this.#allCountsOf(keys) : place.address === keys.address ? {} : this.#countsOf({ address: keys.address })
    const decision = this.#decide(facts, keys, moves ? ['perAddress'] : [])
    if (!decision.admit) return decision.policy
    if (moves) this.#places.enterNext(connection, keys, previous!)
    else this.#places.enter(connection, keys)
    this.#evictor.makeRoom(decision.evict, keys, connection)
    return null
  }

  ownerSet (connection: ManagedConnection, owner: string | undefined): boolean {
    const place = this.#places.of(connection)
    if (this.#limits.perOwner === false || place === undefined || place.counts === 'socket' || isClosing(connection.state)) return true
    // It may be waiting for a place under the owner before.
    this.#claims?.release(connection)
    if (place.owner === owner) return true
    const { counts, next, previous } = place
    if (previous !== null && owner !== undefined && owner !== previous.owner) return this.#standAlone(connection)
    this.#places.setOwner(connection, counts === 'connection' ? undefined : owner)
    if (next !== null && next.owner !== undefined && next.owner !== owner) this.#standAlone(next)
    if (counts !== 'connection' || owner === undefined) return true
    // It counts under no owner until it has the place.
    return this.#afterClaim(connection, { limits: ['perOwner'], owner }, () => this.#countUnder(connection, owner))
  }

  gone (connection: ManagedConnection): void {
    this.#claims?.release(connection)
    if (this.#places.of(connection) !== undefined) this.#places.leave(connection)
  }

  #countUnder (connection: ManagedConnection, owner: string): boolean {
    const decision = this.#decide(this.#countsOf({ owner }), { owner }, ['perOwner'], undefined, connection)
    if (!decision.admit) return this.#refuse(connection)
    this.#places.setOwner(connection, owner)
    this.#evictor.makeRoom(decision.evict, { owner }, connection)
    return true
  }

  /** Counts an open connection once it has the places it claims, or refuses it. Returns false if it is refused at once. */
  #afterClaim (connection: ManagedConnection, claimed: Claimed, count: () => boolean): boolean {
    const decided = this.#claims?.ask(connection, { ...claimed, connection }) ?? null
    if (decided === null) {
      const counts = count()
      this.#claims?.release(connection)
      return counts
    }
    const claims = this.#claims!.of(connection)
    void decided.then((refusal) => {
      // Its owner was set again as the answer came.
      if (this.#claims!.of(connection) !== claims) return
      if (refusal !== null) this.#refuse(connection)
      else if (!isClosing(connection.state)) count()
      this.#claims!.release(connection)
    })
    return true
  }

  // ——— moves

  moved (connection: ManagedConnection): void { this.#places.moved(connection) }

  moveFailed (connection: ManagedConnection): void {
    const next = this.#places.of(connection)?.next
    if (next != null) this.#standAlone(next)
    else this.#places.stays(connection)
  }

  /** The new connection of a move counts by itself, if there is room without an eviction: its client uses the old one. */
  #standAlone (connection: ManagedConnection): boolean {
    const keys = { address: this.#places.of(connection)!.address, owner: connection.owner }
    this.#places.leave(connection)
    const decision = this.#decide(this.#allCountsOf(keys), keys, ['perOwner', 'perAddress', 'total'], undefined, connection)
    if (!decision.admit || decision.evict.length > 0) return this.#refuse(connection)
    return this.#afterClaim(connection, { limits: SHARED, owner: keys.owner, evicts: false }, () => {
      this.#places.enter(connection, keys)
      return true
    })
  }

  // ——— what other nodes ask

  countOf (owner: string | undefined): number { return owner === undefined ? this.#places.counted : this.#places.owners.counted(owner) }

  owners (): Iterable<string> { return this.#places.owners.keys() }

  oldestOf (owner: string | undefined): ManagedConnection | undefined { return this.#evictor.oldestOf(owner) }

  evictOldest (owner: string | undefined): boolean { return this.#evictor.evictOldest(owner) }

  movesAway (id: string, owner: string | undefined): { readonly owner: string | undefined } | null {
    const connection = this.#host.moving(id, owner)
    if (connection === null || this.#places.of(connection)?.counts !== 'connection') return null
    this.#places.movesAway(connection)
    return { owner: connection.owner }
  }

  // ——— refusals and counts

  #refuse (connection: ManagedConnection): false {
    connection.end('refused', CAUSE_CODES.refused, withRetry(REFUSED, this.#host.minDelay))
    return false
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

  /**
   * `reporting`: policies that report what they only observe. Each is asked several times for a connection, and reports once; where
   * nodes decide, that is when they have.
   */
  #decide (facts: AdmissionFacts, keys: Keys, reporting: readonly PolicyName[], path?: string, connection?: ManagedConnection): Decision {
    const { enforcement } = this.#host
    const limits = this.#limits
    const reports = (policy: PolicyName) => reporting.includes(policy) && this.#claims?.decides(policy) !== true
    const decision = decide(limits, facts, (policy, action) => !(reports(policy) ? enforcement.allows(policy, action, connection, path) : enforcement.enforces(policy)))
    if (!decision.admit) return decision
    const spent = decision.evict.find((name) => !this.#evictor.mayEvict(name, keys))
    return spent === undefined ? decision : { admit: false, policy: spent }
  }
}

function refusalOf (decision: Decision): PolicyName | null {
  return decision.admit ? null : decision.policy
}
