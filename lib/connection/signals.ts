/**
 * What application code waits for on a connection: `drainSignal`, `signal` and `closed`. Each is made when it is first read: an
 * AbortSignal weighs 770 bytes, and most are never read.
 */
import { setMaxListeners } from 'node:events'
import { deferred } from '../base/deferred.ts'
import type { Deferred } from '../base/deferred.ts'
import type { CloseRecord } from './connection.ts'

/** Makes the reason of a signal. */
type Reason = () => Error

export class Signals {
  #drain: AbortController | null = null
  #close: AbortController | null = null
  #closed: Deferred<CloseRecord> | null = null

  /** `aborted`: the reason, where the fact is older than the signal. */
  drain (aborted: Reason | false): AbortSignal { return (this.#drain ??= controller(aborted)).signal }
  close (aborted: Reason | false): AbortSignal { return (this.#close ??= controller(aborted)).signal }

  abortDrain (reason: Reason): void { this.#drain?.abort(reason()) }
  abortClose (reason: Reason): void { this.#close?.abort(reason()) }

  /** Says whether a signal was aborted with this. A signal that was never read has no reason, and `undefined` may have been thrown. */
  isReason (error: unknown): boolean {
    return error !== undefined && [this.#drain, this.#close].some((controller) => controller?.signal.reason === error)
  }

  /** Resolves with the record, which is there already where the connection is closed. */
  closed (record: CloseRecord | null): Promise<CloseRecord> {
    this.#closed ??= deferred()
    if (record !== null) this.#closed.resolve(record)
    return this.#closed.promise
  }

  resolveClosed (record: CloseRecord): void { this.#closed?.resolve(record) }
}

function controller (aborted: Reason | false): AbortController {
  const made = new AbortController()
  // Every producer of a connection may wait on it: many listeners are no leak.
  setMaxListeners(0, made.signal)
  if (aborted !== false) made.abort(aborted())
  return made
}
