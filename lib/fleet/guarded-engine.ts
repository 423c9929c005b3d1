/**
 * The engine as the parts see it: every call has a deadline, and fails with SOCKETS_ERR_FLEET_UNAVAILABLE alone, whatever the engine
 * throws, rejects with or returns.
 *
 * The engine is down from the moment a call is not answered in time, or a beat is refused. Until a beat is answered in time, all other
 * calls fail at once: nothing waits for an engine that is known not to answer, and one that answers late does not go up and down.
 */
import { afterInput } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { show } from '../base/check.ts'
import { SOCKETS_ERR_FLEET_UNAVAILABLE } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import type { HandoverStore } from '../move/handover-store.ts'
import type { Beat, Booking, FleetEngine, LabelCount, NodeRecord, PlacesAsked, PlacesGiven, PresenceChange, Pulse, Turns, Whereabouts } from './engine.ts'

/** How long a call may take, milliseconds. */
export const CALL_DEADLINE = 250
/** How long a beat, a first connect or a close may take, milliseconds. */
export const BEAT_DEADLINE = 2_000

/** What the guard tells. */
export interface EngineObserver {
  /** The engine answers from now on, or does not; `error`: what a call has failed with. */
  changed (up: boolean, error?: unknown): void
  /** A call was refused while the engine is up: its store may have been emptied. A beat finds out. */
  refused (): void
}

/** Which deadline a call has, and whether it is made while the engine is down. */
interface CallRules { readonly deadline: number, readonly always: boolean }

const CALL: CallRules = { deadline: CALL_DEADLINE, always: false }
const BEAT: CallRules = { deadline: BEAT_DEADLINE, always: true }
const LAST: CallRules = { deadline: CALL_DEADLINE, always: true }

export class GuardedEngine implements FleetEngine {
  readonly handovers: HandoverStore
  readonly #engine: FleetEngine
  readonly #clock: Clock
  readonly #observer: EngineObserver
  #up = false

  constructor (engine: FleetEngine, clock: Clock, observer: EngineObserver) {
    this.#engine = engine
    this.#clock = clock
    this.#observer = observer
    this.handovers = engine.handovers
  }

  /** Whether the engine answers; false before the first beat. */
  get up (): boolean { return this.#up }

  async beat (node: string, beat: Beat): Promise<Pulse> {
    const before = this.#clock.now()
    const pulse = await this.#call('beat', BEAT, () => this.#engine.beat(node, beat), isPulse)
    if (!this.#up && this.#clock.now() - before <= CALL_DEADLINE) {
      this.#up = true
      this.#observer.changed(true)
    }
    return pulse
  }

  listen (node: string, hear: (message: string) => void): Promise<void> { return this.#call('listen', BEAT, () => this.#engine.listen(node, hear), isAnything) }
  leave (node: string): Promise<void> { return this.#call('leave', LAST, () => this.#engine.leave(node), isAnything) }
  send (nodes: readonly string[], message: string): Promise<void> { return this.#call('send', CALL, () => this.#engine.send(nodes, message), isAnything) }
  order (node: string, id: string, order: string, notice: string): Promise<void> { return this.#call('order', CALL, () => this.#engine.order(node, id, order, notice), isAnything) }
  label (node: string, counts: readonly LabelCount[]): Promise<PresenceChange> { return this.#call('label', CALL, () => this.#engine.label(node, counts), (value) => hasLists(value, { online: isText, offline: isText }) && Number.isFinite((value as PresenceChange).at)) }
  find (kind: LabelCount['kind'], label: string): Promise<Whereabouts> { return this.#call('find', CALL, () => this.#engine.find(kind, label), (value) => hasLists(value, { nodes: isCount })) }
  take (node: string, asked: readonly PlacesAsked[]): Promise<PlacesGiven[]> { return this.#call('take', CALL, () => this.#engine.take(node, asked), (value) => Array.isArray(value) && value.length === asked.length) }
  book (node: string, booking: Booking): Promise<Turns> { return this.#call('book', CALL, () => this.#engine.book(node, booking), (value) => hasLists(value, { seconds: Number.isFinite })) }

  /** Never rejects. */
  async close (): Promise<void> {
    await this.#call('close', BEAT, () => this.#engine.close(), isAnything).catch(() => {})
  }

  #call<T> (name: string, { deadline, always }: CallRules, call: () => T | PromiseLike<T>, isValid: (value: unknown) => boolean): Promise<T> {
    if (!this.#up && !always) return Promise.reject(new SOCKETS_ERR_FLEET_UNAVAILABLE(`${name}() was not tried, because the engine does not answer`))
    return new Promise((resolve, reject) => {
      let settled = false
      const settle = (act: () => void) => {
        if (settled) return
        settled = true
        this.#clock.clearTimeout(timer)
        act()
      }
      const refused = (error: unknown) => {
        settle(() => {
          this.#failed(name === 'beat', error)
          reject(unavailable(name, error))
        })
      }
      const expired = () => {
        settle(() => {
          const error = new SOCKETS_ERR_FLEET_UNAVAILABLE(`${name}() was not answered within ${deadline} ms`)
          this.#failed(true, error)
          reject(error)
        })
      }
      // After a stall of this process the answer may have arrived, but not been read.
      const timer = this.#clock.setTimeout(() => { afterInput(this.#clock, expired) }, deadline)
      timer.unref()
      const answered = (value: T) => {
        if (attempt(() => isValid(value), () => {}) !== true) return refused(new SOCKETS_ERR_FLEET_UNAVAILABLE(`${name}() was answered with ${show(value)}`))
        settle(() => { resolve(value) })
      }
      try {
        // What throws here, or settles twice, is taken once.
        Promise.resolve(call()).then(answered, refused)
      } catch (error) {
        refused(error)
      }
    })
  }

  /** A call has failed. `down`: this shows that the engine does not answer; else a beat will show it. */
  #failed (down: boolean, error: unknown): void {
    if (!this.#up) return
    if (down) {
      this.#up = false
      this.#observer.changed(false, error)
    }
    this.#observer.refused()
  }
}

/** Returns the error of a refused call. What the engine has said is its cause: it may have a URL with a password. */
function unavailable (name: string, cause: unknown): Error {
  return Object.assign(new SOCKETS_ERR_FLEET_UNAVAILABLE(`${name}() was refused`), { cause })
}

function isAnything (): boolean { return true }

/** Whether a value is an object whose lists have only right entries. */
function hasLists (value: unknown, lists: Readonly<Record<string, (entry: unknown) => boolean>>): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(lists).every(([name, isRight]) => {
    const list = (value as Record<string, unknown>)[name]
    return Array.isArray(list) && list.every(isRight)
  })
}

function isPulse (value: unknown): boolean {
  return hasLists(value, { nodes: isRecord, lost: isRecord, orders: isOrder, offline: isText }) && Number.isFinite((value as Pulse).now)
}

function isText (value: unknown): boolean { return typeof value === 'string' }

function isRecord (value: unknown): boolean {
  const { id, info, capacity, silent } = (value ?? {}) as Partial<NodeRecord>
  return isText(id) && isText(info) && Number.isFinite(capacity) && Number.isFinite(silent)
}

function isOrder (value: unknown): boolean { return Array.isArray(value) && isText(value[0]) && isText(value[1]) }
function isCount (value: unknown): boolean { return Array.isArray(value) && isText(value[0]) && Number.isFinite(value[1]) }
