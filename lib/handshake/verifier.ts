/**
 * The application's `verifyClient`: what it throws, rejects with or answers twice ends neither the process nor another
 * handshake. It may be set at any time, so it is looked at for each handshake.
 */
import type { IncomingMessage } from 'node:http'
import type { WebSocketServer } from 'ws'
import { attempt, isThenable } from '../base/guard.ts'

interface Info { req: IncomingMessage }
type Answer = (...answer: unknown[]) => void
type Verifier = (this: unknown, info: Info, callback: Answer) => unknown

/** What is asked and told of the handshake of a request. */
export interface Verification {
  isUnderWay (request: IncomingMessage): boolean
  failed (request: IncomingMessage, error: unknown): void
}

const guarded = new WeakSet<object>()

/** Puts a guarded function into the place of a server's `verifyClient`. */
export function guardVerifier ({ options }: WebSocketServer, verification: Verification): void {
  const verifyClient = options.verifyClient as Verifier | undefined
  if (typeof verifyClient !== 'function' || guarded.has(verifyClient)) return
  // ws tells the two kinds apart by their number of parameters.
  const verifier = verifyClient.length === 2 ? answersLater(verifyClient, verification) : answersAtOnce(verifyClient, verification)
  guarded.add(verifier)
  options.verifyClient = verifier as never
}

function answersLater (verifyClient: Verifier, verification: Verification): Verifier {
  return function (info, callback) {
    const fail = (error: unknown): void => { verification.failed(info.req, error) }
    let answered = false
    attempt(() => verifyClient.call(this, info, (...answer) => {
      // ws would answer again, on a socket that may be open by now.
      if (answered || !verification.isUnderWay(info.req)) return
      answered = true
      // It calls handleProtocols, and listeners for 'headers' and 'connection'.
      attempt(() => { callback(...answer) }, fail)
    }), fail)
  }
}

function answersAtOnce (verifyClient: Verifier, verification: Verification): (this: unknown, info: Info) => unknown {
  return function (info) {
    const answer = Reflect.apply(verifyClient, this, [info]) as unknown
    // To ws any promise says yes; its rejection must not reach the process.
    if (isThenable(answer)) Promise.resolve(answer).then(undefined, (error: unknown) => { verification.failed(info.req, error) })
    return answer
  }
}
