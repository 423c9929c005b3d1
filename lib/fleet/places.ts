/**
 * Places under limits that all nodes share (`scope: 'fleet'`): what this node has under each key, and the claims that wait for more.
 *
 * A claim is decided within 250 ms: with a place, with a refusal, or, if the engine does not answer, by the option `onOutage`. Where
 * the policy evicts, the engine names the node with the oldest connection. That node is asked to close it, says when it has given the
 * place back, and the claim is asked for again. One claim has at most three connections closed, one after the other.
 */
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Limit, Limits } from '../limit/admission-decision.ts'
import type { Asking, LocalPlaces, SharedLimit, SharedPlaces } from '../limit/shared-places.ts'
import type { FleetCore, FleetPart } from './core.ts'
import type { PlacesAsked } from './engine.ts'
import { PlaceCalls } from './place-calls.ts'
import type { PlaceBook } from './place-calls.ts'
import { isKey, keyOf, ownerOf, PlaceClaim, PlaceKey } from './place-claim.ts'

/** Longest wait of a claim, milliseconds of running time: with the tick of its deadline it stays below 250. */
const WAIT = 200
/** Most evictions for one claim. */
const MAX_EVICTIONS = 3

/** What places need of the plugin. */
export interface PlacesHost {
  readonly limits: Limits
  readonly onOutage: 'local' | 'refuse'
  /** Deadlines in time that passes only while the event loop runs. */
  readonly running: Deadlines
  /** The connections of this node. */
  readonly local: LocalPlaces
  /** Begins to share. */
  share (places: SharedPlaces): void
}

export class FleetPlaces implements FleetPart, SharedPlaces, PlaceBook {
  readonly answers: NonNullable<FleetPart['answers']> = {
    evict: (body) => this.#evictFor((body as { key: unknown }).key),
    movesAway: (body) => this.#movesAway(body as { move: unknown, owner: unknown })
  }

  readonly #core: FleetCore
  readonly #host: PlacesHost
  readonly #calls: PlaceCalls
  /** Keys with claims, with places of handshakes, or that other nodes wait for. */
  readonly #keys = new Map<string, PlaceKey>()
  /** Claims that are not decided, the oldest first. */
  readonly #undecided = new Set<PlaceClaim>()
  readonly #deadline = new Deadline(() => { this.#expire() })
  #closed = false

  constructor (core: FleetCore, host: PlacesHost) {
    this.#core = core
    this.#host = host
    this.#calls = new PlaceCalls(core, this)
    host.share(this)
  }

  // ——— what admission asks

  get up (): boolean { return this.#core.up && !this.#closed }

  claim (limit: SharedLimit, owner: string | undefined, asking: Asking): PlaceClaim | null {
    if (!this.up && this.#host.onOutage === 'local') return null
    const { running } = this.#host
    const claim = new PlaceClaim(this.#key(keyOf(owner)), limit, asking, running.elapsed, (held) => { this.#released(claim, held) })
    claim.key.waiting.add(claim)
    this.#undecided.add(claim)
    if (this.#undecided.size === 1) running.set(this.#deadline, WAIT)
    if (!this.up) this.#decideAlone(claim)
    // It is asked for with the claim for which a place is made.
    else if (claim.key.eviction !== null) claim.full = true
    else this.#calls.ask(claim.key)
    return claim
  }

  async moveHere (move: string, owner: string | undefined): Promise<void> {
    await this.#core.ask('movesAway', { move, owner }, this.#core.others.map(({ id }) => id)).catch(() => {})
  }

  changed (owner: string | undefined): void {
    const name = keyOf(owner)
    if (this.#limitOf(name) !== null) this.#calls.write(name)
  }

  // ——— what the core tells

  joined (): void {
    const { local } = this.#host
    const names = [keyOf(undefined), ...Array.from(local.owners(), keyOf), ...this.#keys.keys()]
    this.#calls.rewrite(names.filter((name) => this.#limitOf(name) !== null))
  }

  beaten (): void { if (this.#core.up && this.#calls.resume()) this.joined() }

  close (): void {
    this.#closed = true
    for (const claim of this.#undecided) this.#decide(claim, null)
  }

  // ——— what calls need

  have (name: string): number { return this.#host.local.countOf(ownerOf(name)) + (this.#keys.get(name)?.held ?? 0) }

  describe (name: string, want: number): PlacesAsked {
    const { max, policy } = this.#limitOf(name)!
    return { key: name, have: this.have(name), want, max, oldest: policy === 'refuse' ? null : this.#oldest(name, want) }
  }

  /** When the oldest connection of this node under a key was opened; those that are about to open count as opened now. */
  #oldest (name: string, want: number): number | null {
    const oldest = this.#host.local.oldestOf(ownerOf(name))
    if (oldest !== undefined) return this.#core.now() - (this.#core.clock.now() - oldest.startedAt)
    return want > 0 || this.#keys.get(name)?.held ? this.#core.now() : null
  }

  answered (key: PlaceKey, places: number, oldestAt: string | null): void {
    let left = places
    // One place at a time is made: the engine then names the next connection.
    let makesRoom = key.eviction !== null
    for (const claim of key.waiting) {
      if (left-- > 0) {
        this.#decide(claim, null, true)
      } else if (claim.asked) {
        claim.asked = false
        claim.full = true
        makesRoom ||= this.#makeRoom(claim, oldestAt)
        if (!makesRoom) this.#decide(claim, claim.limit)
      }
    }
    this.#tidy(key)
  }

  failed (): void {
    // If the engine has refused the call, it is asked again after a beat.
    if (!this.#core.up) for (const claim of this.#undecided) this.#decideAlone(claim)
  }

  // ——— decisions

  #decide (claim: PlaceClaim, refusal: SharedLimit | 'fleet' | null, held = false): void {
    claim.decide(refusal, held)
    this.#forget(claim)
  }

  #forget (claim: PlaceClaim): void {
    const { key } = claim
    key.waiting.delete(claim)
    this.#undecided.delete(claim)
    if (this.#undecided.size === 0) this.#host.running.cancel(this.#deadline)
    if (key.eviction === claim) this.#endEviction(key)
    this.#tidy(key)
  }

  /** The engine does not answer. */
  #decideAlone (claim: PlaceClaim): void { this.#decide(claim, this.#host.onOutage === 'refuse' ? 'fleet' : null) }

  #expire (): void {
    const { running } = this.#host
    for (const claim of this.#undecided) {
      const left = claim.since + WAIT - running.elapsed
      if (left > 0) return running.set(this.#deadline, left)
      if (claim.full) this.#decide(claim, claim.limit)
      else this.#decideAlone(claim)
    }
  }

  #released (claim: PlaceClaim, held: boolean): void {
    if (held) this.#calls.write(claim.key.name)
    // One that only observes is decided all the same, and reported.
    else if (!claim.asking.observed) this.#forget(claim)
    this.#tidy(claim.key)
  }

  // ——— evictions

  /** Has a connection evicted for a claim. Returns false if it must not. */
  #makeRoom (claim: PlaceClaim, oldestAt: string | null): boolean {
    const { key, limit, asking: { observed, evicts } } = claim
    const { policy } = this.#host.limits[limit] as Limit
    if (policy === 'refuse' || observed || !evicts || oldestAt === null || claim.evictions === MAX_EVICTIONS) return false
    claim.evictions++
    if (oldestAt === this.#core.node) {
      this.#evict(key)
    } else {
      key.eviction = claim
      const over = (): void => { if (key.eviction === claim) this.#endEviction(key) }
      this.#core.ask('evict', { key: key.name }, [oldestAt]).then(over, over)
    }
    return true
  }

  /** Claims are asked for again: there is a place, or the engine names another node, or the first claim is decided. */
  #endEviction (key: PlaceKey): void {
    key.eviction = null
    if (key.waiting.size > 0) this.#calls.ask(key)
  }

  /** Another node has reached a limit, and this one has the oldest connection. Answers when the place is given back. */
  #evictFor (name: unknown): Promise<true> | null {
    if (!isKey(name) || this.#limitOf(name) === null) return null
    this.#evict(this.#key(name))
    return this.#written(name)
  }

  #evict (key: PlaceKey): void {
    // If there is none, what the engine knows of the oldest is out of date.
    if (!this.#host.local.evictOldest(ownerOf(key.name))) this.#calls.forget(key.name)
    this.#calls.ask(key)
  }

  /** A client has come to another node that this one may have asked to move. Answers when its place is given back. */
  #movesAway ({ move, owner }: { move: unknown, owner: unknown }): Promise<boolean> | null {
    if (typeof move !== 'string' || (owner !== undefined && typeof owner !== 'string')) return null
    const moving = this.#host.local.movesAway(move, owner)
    if (moving === null) return null
    const names = [undefined, moving.owner].map(keyOf).filter((name) => this.#limitOf(name) !== null)
    return Promise.all(names.map((name) => this.#written(name))).then(() => true)
  }

  /** Resolves when the engine knows what this node has under a key. */
  #written (name: string): Promise<true> {
    const key = this.#key(name)
    this.#calls.ask(key)
    return new Promise((resolve) => { key.replies.push(() => { resolve(true) }) })
  }

  // ——— keys

  /** The limit that nodes share under a key; null: they do not. */
  #limitOf (name: string): Limit | null {
    const { total, perOwner } = this.#host.limits
    const limit = ownerOf(name) === undefined ? total : perOwner
    return limit === false || limit.scope === 'node' ? null : limit
  }

  #key (name: string): PlaceKey {
    const key = this.#keys.get(name) ?? new PlaceKey(name)
    this.#keys.set(name, key)
    return key
  }

  #tidy (key: PlaceKey): void {
    if (key.isIdle && !this.#calls.isNext(key)) this.#keys.delete(key.name)
  }
}
