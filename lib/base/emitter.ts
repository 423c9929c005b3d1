/**
 * Typed events for listeners of the application.
 *
 * The error of a listener that throws or rejects is reported; it reaches neither the emitter nor the other listeners.
 */
import { show } from './check.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from './errors.ts'
import { attempt } from './guard.ts'

/** Arrays that are never changed: an event that is under way continues with the listeners that it began with. */
type Listeners<M> = { [K in keyof M]?: ReadonlyArray<(...args: never) => unknown> }

/** `M`: event name → arguments of its listeners. */
export class Emitter<M extends { [K in keyof M]: unknown[] }> {
  readonly #listeners: Listeners<M> = {}
  readonly #names: readonly string[]
  readonly #report: (error: unknown, event: string) => void

  /** `names`: of all events. `report` gets what a listener threw or rejected with; it must not throw. */
  constructor (names: { readonly [K in keyof M]: 0 }, report: (error: unknown, event: string) => void) {
    this.#names = Object.keys(names)
    this.#report = report
  }

  /** Adds a listener once. Throws SOCKETS_ERR_INVALID_ARGUMENT for an unknown event, and for a listener that is not a function. */
  on<K extends keyof M & string> (event: K, listener: (...args: M[K]) => unknown): void {
    this.#check(event, listener)
    const listeners = this.#of(event)
    if (!listeners.includes(listener)) this.#listeners[event] = [...listeners, listener]
  }

  /** Removes a listener, if it was added. Throws as `on` does. */
  off<K extends keyof M & string> (event: K, listener: (...args: M[K]) => unknown): void {
    this.#check(event, listener)
    this.#listeners[event] = this.#of(event).filter((each) => each !== listener)
  }

  emit<K extends keyof M & string> (event: K, ...args: M[K]): void {
    for (const listener of this.#of(event)) attempt(() => listener(...args), (error) => this.#report(error, event))
  }

  /** Whether an event has a listener. */
  hears (event: keyof M): boolean { return this.#of(event).length > 0 }

  #of<K extends keyof M> (event: K): ReadonlyArray<(...args: M[K]) => unknown> {
    return (this.#listeners[event] as ReadonlyArray<(...args: M[K]) => unknown> | undefined) ?? []
  }

  #check (event: string, listener: unknown): void {
    if (!this.#names.includes(event)) throw new SOCKETS_ERR_INVALID_ARGUMENT('event', `one of ${this.#names.join(', ')}`, show(event))
    if (typeof listener !== 'function') throw new SOCKETS_ERR_INVALID_ARGUMENT('listener', 'a function', show(listener))
  }
}
