/**
 * The calls that tell the engine what places this node has, and ask it for more: one in flight, and what comes meanwhile is in the
 * next one. What the node has is read when a call is made and written as it is, so that a value may be written again at any time.
 */
import { outside } from '../base/async-context.ts'
import type { FleetCore } from './core.ts'
import type { PlacesAsked, PlacesGiven } from './engine.ts'
import type { PlaceKey } from './place-claim.ts'

/** Most keys of one call. */
const MAX_KEYS = 500

/** What the calls are about. */
export interface PlaceBook {
  /** Places that this node has under a key. */
  have (name: string): number
  /** What a call says of a key: what this node has, and how many places it wants. */
  describe (name: string, want: number): PlacesAsked
  /** A key whose claims wait has got places; `oldestAt`: the node with the oldest connection, if there are too few. */
  answered (key: PlaceKey, places: number, oldestAt: string | null): void
  /** The engine has not carried out a call, or has not said so. */
  failed (): void
}

/** What a call says of one key; `key`: its claims, or other nodes, wait for the answer. */
interface Sent { readonly asked: PlacesAsked, readonly key?: PlaceKey, readonly replies?: ReadonlyArray<() => void> }

export class PlaceCalls {
  readonly #core: FleetCore
  readonly #book: PlaceBook
  /** Keys whose claims or other nodes wait: they are in the next call before all others. */
  readonly #first = new Set<PlaceKey>()
  /** Names of keys of which the engine may know something else than what this node has. */
  readonly #changed = new Set<string>()
  /** What the engine knows of this node; 0 is left out. */
  readonly #told = new Map<string, number>()
  #scheduled = false
  #inFlight = false
  /** Number of times that all was written anew: what a call before that has said may be lost. */
  #rewrites = 0
  /** The engine may know something else, because a call has failed or was not made: nothing is called until a beat was answered. */
  #uncertain = false

  constructor (core: FleetCore, book: PlaceBook) {
    this.#core = core
    this.#book = book
  }

  /** Asks for the claims of a key. */
  ask (key: PlaceKey): void {
    this.#first.add(key)
    this.#schedule()
  }

  /** Writes what this node has under a key, if the engine knows something else. */
  write (name: string): void {
    // In an outage of hours, owners come and go that the engine need never know: after it, all is written anew.
    if (!this.#core.up) {
      this.#uncertain = true
      return
    }
    this.#changed.add(name)
    this.#schedule()
  }

  /** Something else than the number of places has changed: the key is written with the next call about it. */
  forget (name: string): void { this.#told.delete(name) }

  /** Writes these keys anew, and those that the engine knew. */
  rewrite (names: Iterable<string>): void {
    this.#rewrites++
    for (const name of this.#told.keys()) this.#changed.add(name)
    for (const name of names) this.#changed.add(name)
    this.#told.clear()
    this.#schedule()
  }

  /** A beat was answered in time. Returns whether all is to be written anew: a call that has failed may have been carried out since. */
  resume (): boolean {
    const uncertain = this.#uncertain
    this.#uncertain = false
    this.#schedule()
    return uncertain
  }

  /** Whether a key is in the next call. */
  isNext (key: PlaceKey): boolean { return this.#first.has(key) }

  /** Calls at the end of this turn: a place that goes from a handshake to its connection is no change then. */
  #schedule (): void {
    if (this.#scheduled || this.#inFlight || (this.#first.size === 0 && this.#changed.size === 0)) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      if (this.#inFlight || this.#uncertain || !this.#core.up) return
      const sent = this.#batch()
      if (sent.length > 0) outside(() => { this.#call(sent) })
    })
  }

  #batch (): Sent[] {
    const sent: Sent[] = []
    for (const key of this.#first) {
      if (sent.length === MAX_KEYS) return sent
      this.#first.delete(key)
      this.#changed.delete(key.name)
      sent.push({ key, asked: this.#book.describe(key.name, key.askAll()), replies: key.replies.splice(0) })
    }
    for (const name of this.#changed) {
      if (sent.length === MAX_KEYS) return sent
      this.#changed.delete(name)
      if (this.#told.get(name) !== this.#book.have(name)) sent.push({ asked: this.#book.describe(name, 0) })
    }
    return sent
  }

  #call (sent: readonly Sent[]): void {
    const rewrites = this.#rewrites
    this.#inFlight = true
    this.#core.engine.take(this.#core.node, sent.map(({ asked }) => asked)).then((given) => {
      this.#answered(sent, given, rewrites === this.#rewrites)
      // Also if the answer cannot be read: it comes from foreign code.
    }).catch(() => { this.#failed(sent) })
  }

  #answered (sent: readonly Sent[], given: readonly PlacesGiven[], known: boolean): void {
    this.#inFlight = false
    sent.forEach(({ key, replies, asked: { key: name, have, want } }, index) => {
      const { given: number, oldestAt } = given[index] ?? {}
      const places = Number.isInteger(number) ? Math.max(0, Math.min(want, number!)) : 0
      if (known && have + places > 0) this.#told.set(name, have + places)
      else this.#told.delete(name)
      if (key !== undefined) this.#book.answered(key, places, typeof oldestAt === 'string' ? oldestAt : null)
      replies?.forEach((reply) => { reply() })
      if (!known || this.#book.have(name) !== have + places) this.#changed.add(name)
    })
    this.#schedule()
  }

  #failed (sent: readonly Sent[]): void {
    this.#inFlight = false
    this.#uncertain = true
    for (const { key, asked: { key: name } } of sent) {
      this.#told.delete(name)
      this.#changed.add(name)
      if (key !== undefined) this.#first.add(key)
    }
    this.#book.failed()
  }
}
