/**
 * One claim to a place that nodes share, and the key under which several wait.
 */
import { deferred } from '../base/deferred.ts'
import type { Refusal } from '../track/events.ts'
import type { Asking, Claim, SharedLimit } from '../limit/shared-places.ts'

const TOTAL = 'total'
const OWNER = 'owner:'

/** Returns the name of the key under which the engine counts: of all connections, or of those of an owner. */
export function keyOf (owner: string | undefined): string { return owner === undefined ? TOTAL : OWNER + owner }

/** Returns the owner of a key; undefined: it is that of all connections. */
export function ownerOf (name: string): string | undefined { return name === TOTAL ? undefined : name.slice(OWNER.length) }

/** Returns whether a value is the name of a key. */
export function isKey (name: unknown): name is string { return typeof name === 'string' && (name === TOTAL || name.startsWith(OWNER)) }

/** What is limited. */
export class PlaceKey {
  readonly name: string
  /** Claims that wait, the oldest first. */
  readonly waiting = new Set<PlaceClaim>()
  /** Number of places of handshakes. */
  held = 0
  /** The claim for which another node evicts a connection. */
  eviction: PlaceClaim | null = null
  /** Called when the engine knows what this node has. */
  readonly replies: Array<() => void> = []

  constructor (name: string) {
    this.name = name
  }

  get isIdle (): boolean { return this.waiting.size === 0 && this.held === 0 && this.replies.length === 0 }

  /** All that wait are about to be asked for; none while a place is given back for one of them. Returns their number. */
  askAll (): number {
    if (this.eviction !== null) return 0
    for (const claim of this.waiting) claim.asked = true
    return this.waiting.size
  }
}

export class PlaceClaim implements Claim {
  readonly key: PlaceKey
  readonly limit: SharedLimit
  readonly asking: Asking
  /** Running time of its start, milliseconds. */
  readonly since: number
  /** Whether it is in a call, or was in the last one. */
  asked = false
  /** Whether the limit was reached, by the last answer of the engine. */
  full = false
  /** Number of connections that were to be evicted for it. */
  evictions = 0
  #held = false
  #released = false
  readonly #decision = deferred<Refusal['reason'] | null>()
  readonly #onRelease: (held: boolean) => void

  /** `onRelease` is told whether it had a place. */
  constructor (key: PlaceKey, limit: SharedLimit, asking: Asking, since: number, onRelease: (held: boolean) => void) {
    this.key = key
    this.limit = limit
    this.asking = asking
    this.since = since
    this.#onRelease = onRelease
  }

  get decided (): Promise<Refusal['reason'] | null> { return this.#decision.promise }

  /** It has a place from now on (`held`), or none. One that was released meanwhile needs none. */
  decide (refusal: Refusal['reason'] | null, held = false): void {
    this.#held = held && !this.#released
    if (this.#held) this.key.held++
    this.#decision.resolve(refusal)
  }

  release (): void {
    if (this.#released) return
    this.#released = true
    if (this.#held) this.key.held--
    this.#onRelease(this.#held)
  }
}
