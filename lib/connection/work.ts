/**
 * Work in flight on one connection: a drain waits for it. Work may have a name for the report of a drain.
 */
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { toPromise } from '../base/guard.ts'
import type { ConnectionHost } from './host.ts'

/** Counts work in flight. */
export interface WorkCounter {
  start (): void
  end (): void
}

export class Work<C extends { readonly host: Pick<ConnectionHost<C>, 'hooks'> }> implements WorkCounter {
  readonly #connection: C
  #count = 0
  /** Work that has a name. Messages have none: it would cost each of them memory. */
  #named: Set<{ readonly name: string }> | null = null

  constructor (connection: C) {
    this.#connection = connection
  }

  get inFlight (): boolean { return this.#count > 0 }

  /** Name of one work in flight, if any has a name. */
  get name (): string | undefined {
    const [work] = this.#named ?? []
    return work?.name
  }

  start (): void {
    if (this.#count++ === 0) for (const part of this.#connection.host.hooks.workStarted) part.workStarted(this.#connection)
  }

  end (): void {
    if (--this.#count === 0) for (const part of this.#connection.host.hooks.workEnded) part.workEnded(this.#connection)
  }

  /** Counts a promise until it has settled. */
  hold (promise: PromiseLike<unknown>, failed?: (error: unknown) => void): void {
    this.start()
    toPromise(promise).then(() => { this.end() }, (error: unknown) => {
      this.end()
      failed?.(error)
    })
  }

  /** The same for a promise of the application. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  track (promise: PromiseLike<unknown>, name: string, failed: (error: unknown) => void): void {
    if (typeof promise?.then !== 'function') throw new SOCKETS_ERR_INVALID_ARGUMENT('track()', 'given a promise', typeof promise)
    if (typeof name !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('the name for track()', 'a string', typeof name)
    this.holdNamed(name, promise, failed)
  }

  /** The same with a name. */
  holdNamed (name: string, promise: PromiseLike<unknown>, failed?: (error: unknown) => void): void {
    const named = this.#named ??= new Set()
    const work = { name }
    named.add(work)
    const once = toPromise(promise)
    this.hold(once, failed)
    // After `hold`: the 'workEnded' hook may read the name.
    const forget = () => { named.delete(work) }
    once.then(forget, forget)
  }
}
