/**
 * What handshakes ask before they go on, and what they tell: implemented by admission-checks.ts.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Refusal } from '../track/events.ts'
import type { Trace } from './handshake.ts'
import type { Refused } from './refusal-answers.ts'

/** Decides about handshakes, and is told of their end. */
export interface HandshakeChecks {
  /** Seconds for `Retry-After`. */
  readonly retryAfter: number
  readonly clock: Pick<Clock, 'now'>
  /** Milliseconds a handshake may take. */
  readonly timeout: number | false
  /** Deadlines in time that passes only while the event loop runs, so that a stall ends no handshake. */
  readonly deadlines: Deadlines
  /** Begins the trace of a handshake; null without tracing. */
  trace (request: IncomingMessage): Trace | null
  /** A handshake has arrived. Returns null to admit it. */
  arrived (request: IncomingMessage, raw: Duplex): Refused | null
  /** A handshake is about to open; `again`: it has waited since it was asked about. Returns null to admit it. */
  opening (request: IncomingMessage, raw: Duplex, again?: boolean): Refused | null
  /** Claims places that nodes share: on arrival, or about to open. Resolves with null to admit; null: there is nothing to wait for. */
  claim (request: IncomingMessage, raw: Duplex, when: 'arrived' | 'opening'): PromiseLike<Refused | null> | null
  /** Takes the state that was handed over to the client's next connection. A promise of it never rejects, and may never resolve. */
  takeState (request: IncomingMessage): PromiseLike<void> | null
  /** A handshake that was not refused has opened, `duration` milliseconds after it has begun. */
  opened (request: IncomingMessage, duration: number): void
  /** A handshake is over: opened, refused or aborted. `counted`: it was admitted on arrival. */
  left (request: IncomingMessage, counted: boolean): void
  /** A handshake was refused. */
  refused (request: IncomingMessage, raw: Duplex, reason: Refusal['reason']): void
  /** A function of the application that decides about a handshake has thrown. */
  failed (request: IncomingMessage, error: unknown): void
}
