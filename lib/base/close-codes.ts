/**
 * Close codes, causes and reasons: every code that this package sends in a close frame, with its source.
 *
 * A cause says what ended a connection, and is used on the server; a code is what the peer is told (RFC 6455 §7.4). 1005 and
 * 1006 are never sent and describe what was received; they are written where that is recorded.
 */
import { SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_INVALID_CLOSE_CODE } from './errors.ts'

/** Close codes by name, for this package and for applications. 1005, 1006 and 1015 must never be sent (RFC 6455 §7.4.1). */
export const CloseCode = {
  /** RFC 6455 §7.4.1: the purpose of the connection is fulfilled. Never used for a restart: some clients stay away, others reconnect at once. */
  NormalClosure: 1000,
  /** RFC 6455 §7.4.1: the server is going down for good; reconnect elsewhere. */
  GoingAway: 1001,
  /** RFC 6455 §7.4.1: the peer broke a rule of the application. */
  PolicyViolation: 1008,
  /** RFC 6455 §7.4.1: the server failed. */
  InternalError: 1011,
  /** IANA WebSocket Close Code Number Registry: reconnect after a delay. */
  ServiceRestart: 1012,
  /** IANA WebSocket Close Code Number Registry: overloaded, back off. */
  TryAgainLater: 1013,
  /** IANA WebSocket Close Code Number Registry: credentials missing or expired. */
  Unauthorized: 3000,
  /** IANA WebSocket Close Code Number Registry: not allowed here. */
  Forbidden: 3003,
  /** IANA WebSocket Close Code Number Registry: nothing was received for too long. */
  Timeout: 3008,
  /** Private use (RFC 6455 §7.4.2): the connection was evicted for a newer one. */
  Replaced: 4001,
  /** Private use (RFC 6455 §7.4.2): the peer reads too slowly. */
  SlowReader: 4008
} as const

/**
 * The close code for each cause; `undefined` if no close frame of ours can be sent, or the peer's code counts.
 * The keys are the closed set of causes; the first cause of a connection wins.
 */
export const CAUSE_CODES = {
  drain: CloseCode.ServiceRestart,
  leave: CloseCode.GoingAway,
  moved: CloseCode.ServiceRestart,
  lifetime: CloseCode.ServiceRestart,
  rebalance: CloseCode.ServiceRestart,
  refused: CloseCode.TryAgainLater,
  rate: CloseCode.PolicyViolation,
  error: CloseCode.InternalError,
  expired: CloseCode.Unauthorized,
  disconnected: CloseCode.Forbidden,
  application: CloseCode.NormalClosure,
  idle: CloseCode.Timeout,
  replaced: CloseCode.Replaced,
  slow: CloseCode.SlowReader,
  protocol: undefined,
  heartbeat: undefined,
  client: undefined,
  network: undefined
} as const satisfies Record<string, number | undefined>

/** Codes after which clients reconnect; 1011 is not among them: what has failed once would fail again with the same state. */
const INVITING = new Set<number>([
  CloseCode.GoingAway, CloseCode.ServiceRestart, CloseCode.TryAgainLater, CloseCode.Unauthorized, CloseCode.Timeout, CloseCode.SlowReader
])

/** Returns whether a close code of ours lets the client come back. */
export function invitesBack (code: number): boolean { return INVITING.has(code) }

/** Codes that are counted by their number: those of this package, of RFC 6455 §7.4.1 and of IANA's registry below 3000. */
const COUNTED = new Set<number>([...Object.values(CloseCode), 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014])

/** Folds a close code into a closed set: peers choose codes, and each that is counted on its own takes memory, here and in a monitoring system. */
export function foldCode (code: number): string {
  if (COUNTED.has(code)) return String(code)
  return code >= 4000 ? 'private' : code >= 3000 ? 'library' : 'other'
}

/** What ended a connection. */
export type CloseCause = keyof typeof CAUSE_CODES

/** Longest close reason, in bytes of UTF-8: a control frame carries 125, the code takes two (RFC 6455 §5.5). */
export const MAX_REASON_BYTES = 123

/** Returns true for codes that may be sent: 1000–1003, 1007–1014 and 3000–4999 (RFC 6455 §7.4, IANA registry). */
export function isSendable (code: unknown): code is number {
  return Number.isInteger(code) && (
    ((code as number) >= 1000 && (code as number) <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
    ((code as number) >= 3000 && (code as number) <= 4999)
  )
}

/** Checks a code and a reason of the application. Throws SOCKETS_ERR_INVALID_CLOSE_CODE, SOCKETS_ERR_INVALID_ARGUMENT. */
export function checkClose (code: unknown, reason: unknown): void {
  if (!isSendable(code)) throw new SOCKETS_ERR_INVALID_CLOSE_CODE(code)
  if (typeof reason !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('reason', 'a string', typeof reason)
}

/** Cuts a reason to `maxBytes` bytes of UTF-8 on a character boundary. */
export function truncateReason (reason: string, maxBytes: number = MAX_REASON_BYTES): string {
  // UTF-8 needs three bytes a UTF-16 unit at most: most reasons need no counting.
  if (reason.length * 3 <= maxBytes || Buffer.byteLength(reason) <= maxBytes) return reason
  const bytes = Buffer.from(reason)
  let end = maxBytes
  // A byte 10xxxxxx continues a character: step back to a start.
  while ((bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/**
 * Adds a reconnect delay in milliseconds to a reason, readable by people and programs: `service restart; retry=4210`.
 * If the reason is too long, its text is cut, and not the delay.
 */
export function withRetry (reason: string, delay: number): string {
  const suffix = `retry=${Math.round(delay)}`
  if (reason === '') return suffix
  return `${truncateReason(reason, MAX_REASON_BYTES - suffix.length - 2)}; ${suffix}`
}

/** Returns the reconnect delay in a reason as clients read it, milliseconds; 0 if there is none. */
export function retryIn (reason: string): number {
  return Number(/(?:^|; )retry=(\d{1,9})$/.exec(reason)?.[1] ?? 0)
}

/** Longest reason of a peer in logs and in the history, characters. */
const MAX_SHOWN_REASON = 64

/** Makes a peer's reason safe to log: short, and without characters that forge lines or terminal output. */
export function escapeReason (reason: string, maxLength = MAX_SHOWN_REASON): string {
  const short = reason.length > maxLength ? `${reason.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')}…` : reason
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return short.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
