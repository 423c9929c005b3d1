/**
 * What a refused client is answered: each reason with its HTTP status and its text. admission-checks.ts chooses between an HTTP answer
 * and a close frame, handshakes.ts sends it.
 */
import { STATUS_CODES } from 'node:http'
import type { Refusal } from '../track/events.ts'

type Reason = Refusal['reason']

/** Why a handshake is refused, and how. */
export interface Refused {
  readonly reason: Reason
  /** An HTTP answer, or a WebSocket that is closed at once, whose code browsers can see. */
  readonly way: 'http' | 'close'
}

/** HTTP statuses; any other reason is 503: the server is at a limit, or leaves. */
const STATUSES: Partial<Record<Reason, number>> = { origin: 403, perOwner: 429, perAddress: 429 }

/** Texts of answers; for any other reason it is that of the status. */
const BODIES: Partial<Record<Reason, string>> = {
  draining: 'The server is restarting.\n',
  'handshake timeout': 'The handshake took too long.\n'
}

export function refuse (reason: Reason, way: Refused['way'] = 'http'): Refused { return { reason, way } }

export function statusOf (reason: Reason): number { return STATUSES[reason] ?? 503 }

export function bodyOf (reason: Reason): string { return BODIES[reason] ?? `${STATUS_CODES[statusOf(reason)]!}\n` }
