/**
 * The clock of one process among several on one fake clock: while the process is frozen, as by SIGSTOP, its timers, input and
 * immediates wait, and run in their order when it goes on.
 */
import type { Timer } from '../../../lib/base/clock.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

interface Callback { readonly call: () => void, cancelled: boolean }

export class NodeClock extends FakeClock {
  readonly #world: FakeClock
  readonly #timers = new Map<Timer, Callback>()
  #held: Callback[] = []
  #frozen = false
  #killed = false

  constructor (world: FakeClock) {
    super()
    this.#world = world
  }

  override now (): number { return this.#world.now() }
  override wallNow (): number { return this.#world.wallNow() }
  override cpu (): number { return this.#world.cpu() }
  override setImmediate (callback: () => void): void { this.#world.setImmediate(() => { this.reach(callback) }) }
  override input (callback: () => void): void { this.#world.input(() => { this.reach(callback) }) }

  override setTimeout (callback: () => void, delay: number): Timer {
    const held = { call: () => { this.#timers.delete(timer); callback() }, cancelled: false }
    const timer = this.#world.setTimeout(() => { this.#run(held) }, delay)
    this.#timers.set(timer, held)
    return timer
  }

  override clearTimeout (timer: Timer): void {
    const held = this.#timers.get(timer)
    if (held === undefined) return
    held.cancelled = true
    this.#timers.delete(timer)
    this.#world.clearTimeout(timer)
  }

  /** Timers that wait. */
  override get pendingTimers (): number { return this.#timers.size }

  get frozen (): boolean { return this.#frozen }

  /** What comes from outside: at once, or when the process goes on. */
  reach (call: () => void): void { this.#run({ call, cancelled: false }) }

  freeze (): void { this.#frozen = true }

  thaw (): void {
    this.#frozen = false
    for (const callback of this.#held.splice(0)) this.#run(callback)
  }

  /** The process is gone: nothing runs any more. */
  kill (): void {
    this.#killed = true
    this.#held = []
    for (const timer of this.#timers.keys()) this.#world.clearTimeout(timer)
    this.#timers.clear()
  }

  #run (callback: Callback): void {
    if (this.#killed || callback.cancelled) return
    if (this.#frozen) this.#held.push(callback)
    else callback.call()
  }
}
