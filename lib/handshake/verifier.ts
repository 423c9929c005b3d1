/**
 * Guards the application's `verifyClient`: an error, a rejection or a second answer ends neither the process nor another handshake.
 * The application may set it at any time, so each handshake checks it.
 */
import type { IncomingMessage } from 'node:http'
import type { WebSocketServer } from 'ws'
import { attempt, isThenable, toPromise } from '../base/guard.ts'

interface Info { req: IncomingMessage }
type Answer = (verified?: unknown, status?: unknown, ...rest: unknown[]) => void
type Verifier = (this: unknown, info: Info, callback: Answer) => unknown

/** The handshakes that are verified. */
export interface Verification {
  isInProgress (request: IncomingMessage): boolean
  failed (request: IncomingMessage, error: unknown): void
  /** ws is about to refuse a handshake with this status. */
  declined (request: IncomingMessage, status: number): void
}

/** Status of a handshake that is not verified, unless `verifyClient` gives another. */
const UNVERIFIED = 401

const guarded = new WeakSet<object>()

/** Replaces the `verifyClient` of a server by a guarded function. */
export function guardVerifier ({ options }: WebSocketServer, verification: Verification): void {
  const verifyClient = options.verifyClient as Verifier | undefined
  if (typeof verifyClient !== 'function' || guarded.has(verifyClient)) return
  // ws distinguishes the two kinds by their number of parameters.
  const verifier = verifyClient.length === 2 ? answersLater(verifyClient, verification) : answersAtOnce(verifyClient, verification)
  guarded.add(verifier)
  options.verifyClient = verifier as never
}

function answersLater (verifyClient: Verifier, verification: Verification): Verifier {
  return function (info, callback) {
    const fail = (error: unknown): void => { verification.failed(info.req, error) }
    let answered = false
    attempt(() => verifyClient.call(this, info, (...answer) => {
      // ws would answer again, on a socket that may be open.
      if (answered || !verification.isInProgress(info.req)) return
      answered = true
      const [verified, status] = answer
      if (!verified) verification.declined(info.req, Number(status || UNVERIFIED))
      // It calls `handleProtocols` and listeners of 'headers' and 'connection', which may throw.
      attempt(() => { callback(...answer) }, fail)
    }), fail)
  }
}

function answersAtOnce (verifyClient: Verifier, verification: Verification): (this: unknown, info: Info) => unknown {
  return function (info) {
    const answer = Reflect.apply(verifyClient, this, [info]) as unknown
    if (!answer) verification.declined(info.req, UNVERIFIED)
    // ws takes a promise for true. Its rejection must not reach the process.
    if (isThenable(answer)) toPromise(answer).then(undefined, (error: unknown) => { verification.failed(info.req, error) })
    return answer
  }
}
