/**
 * `drainSignal`, `signal` and `closed` of a connection. Each is made when it is first read: an AbortSignal takes 770 bytes, and
 * most are never read.
 */
import { setMaxListeners } from 'node:events'
import { deferred } from '../base/deferred.ts'
import type { Deferred } from '../base/deferred.ts'
import { SOCKETS_ERR_DRAINING } from '../base/errors.ts'
import type { CloseRecord } from './connection.ts'

/** Makes the reason of a signal. */
type Reason = () => Error

const draining: Reason = () => new SOCKETS_ERR_DRAINING()

export class Signals {
  #drain: AbortController | null = null
  #close: AbortController | null = null
  #closed: Deferred<CloseRecord> | null = null

  /** `aborted`: whether the connection has started to drain. */
  drain (aborted: boolean): AbortSignal { return (this.#drain ??= controller(aborted && draining)).signal }
  /** `aborted`: makes the reason, if the connection has started to close. */
  close (aborted: Reason | false): AbortSignal { return (this.#close ??= controller(aborted)).signal }

  abortDrain (): void { this.#drain?.abort(draining()) }
  abortClose (reason: Reason): void { this.#close?.abort(reason()) }

  /** Returns true if a signal was aborted with `error`. `undefined` may have been thrown, and is the reason of signals that are not aborted. */
  isReason (error: unknown): boolean {
    return error !== undefined && [this.#drain, this.#close].some((controller) => controller?.signal.reason === error)
  }

  /** `record`: not null if the connection is closed. */
  closed (record: CloseRecord | null): Promise<CloseRecord> {
    this.#closed ??= deferred()
    if (record !== null) this.#closed.resolve(record)
    return this.#closed.promise
  }

  resolveClosed (record: CloseRecord): void { this.#closed?.resolve(record) }
}

function controller (aborted: Reason | false): AbortController {
  const made = new AbortController()
  // Every producer of messages may listen to it: many listeners are no leak.
  setMaxListeners(0, made.signal)
  if (aborted !== false) made.abort(aborted())
  return made
}
