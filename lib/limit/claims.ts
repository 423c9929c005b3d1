/**
 * The claims of handshakes and connections to places that nodes share: each is asked for once, and given back when the connection
 * counts by itself, or there is none.
 */
import type { Connection } from '../connection/connection.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { Refusal } from '../track/events.ts'
import type { Limits } from './admission-decision.ts'
import type { Claim, SharedLimit, SharedPlaces } from './shared-places.ts'

/** What is claimed. */
export interface Claimed {
  readonly limits: readonly SharedLimit[]
  readonly owner?: string | undefined
  /** Whether a connection may be evicted for it. */
  readonly evicts?: boolean
  /** Path of the handshake. */
  readonly path?: string | undefined
  /** The id of a move that the handshake offers. */
  readonly move?: string | undefined
  /** The connection, if it is none of a handshake. */
  readonly connection?: Connection | undefined
}

export class Claims {
  readonly #places: SharedPlaces
  readonly #limits: Limits
  readonly #enforcement: Enforcement
  /** By handshake or connection. */
  readonly #claims = new Map<object, Map<SharedLimit, Claim>>()

  constructor (places: SharedPlaces, limits: Limits, enforcement: Enforcement) {
    this.#places = places
    this.#limits = limits
    this.#enforcement = enforcement
  }

  /** Whether the nodes decide about a limit, and not this one alone. */
  decides (limit: string): boolean { return this.#places.up && (limit === 'total' || limit === 'perOwner') && this.#isShared(limit) }

  /** Number of handshakes and connections that have claimed a place. */
  get size (): number { return this.#claims.size }

  /** What a handshake or connection has claimed: another object after it was released. */
  of (claimant: object): unknown { return this.#claims.get(claimant) }

  /** Claims the places that `of` has not claimed yet. Returns why there is none, once that is known; null: there is nothing to wait for. */
  ask (of: object, claimed: Claimed): Promise<Refusal['reason'] | null> | null {
    const { move, owner } = claimed
    if (move === undefined) return this.#ask(of, claimed)
    // Its client may come from another node: both connections of a move count as one, and the old one is not to be evicted.
    const decided = this.#ask(of, { ...claimed, evicts: false })
    return decided && decided.then(async (refusal) => {
      if (refusal === null || refusal === 'fleet' || !this.#claims.has(of)) return refusal
      await this.#places.moveHere(move, owner)
      if (!this.#claims.has(of)) return refusal
      this.release(of)
      return await this.#ask(of, claimed)
    })
  }

  #ask (of: object, claimed: Claimed): Promise<Refusal['reason'] | null> | null {
    const { limits, owner, evicts = true } = claimed
    const claims = this.#claims.get(of) ?? new Map<SharedLimit, Claim>()
    const pending: Array<Claim['decided']> = []
    for (const limit of limits) {
      if (!this.#isShared(limit) || claims.has(limit) || (limit === 'perOwner' && owner === undefined)) continue
      const observed = !this.#enforcement.enforces(limit)
      const claim = this.#places.claim(limit, limit === 'total' ? undefined : owner, { observed, evicts })
      if (claim === null) continue
      claims.set(limit, claim)
      if (observed) this.#observe(limit, claim, claimed)
      else pending.push(claim.decided)
    }
    if (claims.size > 0) this.#claims.set(of, claims)
    if (pending.length < 2) return pending[0] ?? null
    return Promise.all(pending).then((refusals) => refusals.find((refusal) => refusal !== null) ?? null)
  }

  /** What `of` has claimed is given back. */
  release (of: object): void {
    const claims = this.#claims.get(of)
    if (claims === undefined) return
    this.#claims.delete(of)
    for (const claim of claims.values()) claim.release()
  }

  #isShared (limit: SharedLimit): boolean {
    const value = this.#limits[limit]
    return value !== false && value.scope === 'fleet'
  }

  /** A limit that only observes makes no handshake wait; it reports what the nodes decide. */
  #observe (limit: SharedLimit, { decided }: Claim, { connection, path }: Claimed): void {
    const { policy } = this.#limits[limit] as { policy: string }
    void decided.then((refusal) => {
      if (refusal === limit) this.#enforcement.allows(limit, policy === 'refuse' ? 'refuse' : 'evict', connection, path)
    })
  }
}
