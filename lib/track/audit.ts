/**
 * The audit: each act of administration (`disconnect()`, `drain()`), with who has asked for it, why, and its result. What policies
 * do is not in it.
 *
 * An act is told once: a disconnect when it has ended, a drain before it starts, so that it is known even if the process ends first.
 */
import { show } from '../base/check.ts'
import { escapeReason } from '../base/close-codes.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import type { ActOptions } from '../connection/connection.ts'

/** Longest text of an act, characters. */
const MAX_TEXT = 160
/** Most keys of a filter: more than there are. */
const MAX_KEYS = 7

/** An act of administration. */
export interface AuditRecord {
  /** What was asked for. */
  action: 'disconnect' | 'drain'
  /** Who has asked for it, if that was given; cut to 160 characters and escaped. */
  by?: string
  /** Why, if that was given; cut to 160 characters and escaped. */
  why?: string
  /** The filter that was given, a function as text; `'all'` for a drain. */
  target: string | Record<string, string | number>
  /** `started` and `joined` are those of drains; `refused`: it was not allowed; `failed`: it threw. */
  outcome: 'done' | 'started' | 'joined' | 'refused' | 'failed'
  /** Connections closed by a disconnect, or open when a drain started. */
  connections: number
  /** Code of the error of a failed act; `unknown` if it has none. */
  error?: string
  /** Time of the act, epoch milliseconds. */
  at: number
}

/** An act before it is told: its texts are as the caller has given them. */
export interface Act extends Omit<AuditRecord, 'at' | 'by' | 'why'>, ActOptions {}

/** Returns who and why, cut and escaped. Throws SOCKETS_ERR_INVALID_ARGUMENT for what is no text. */
export function checkedAct ({ by, why }: ActOptions): ActOptions {
  for (const [name, text] of Object.entries({ by, why })) {
    if (text !== undefined && typeof text !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT(name, 'a string', show(text))
  }
  return { ...(by === undefined ? {} : { by: escapeReason(by, MAX_TEXT) }), ...(why === undefined ? {} : { why: escapeReason(why, MAX_TEXT) }) }
}

/** Returns who and why, cut and escaped; nothing if one of them is no text. */
export function readAct (given: unknown): ActOptions { return attempt(() => checkedAct(given as ActOptions), () => {}) ?? {} }

/** Returns an act as it is told at a time. */
export function auditRecord ({ action, by, why, ...result }: Act, at: number): AuditRecord {
  return { action, ...readAct({ by, why }) as { by?: string, why?: string }, ...result, at }
}

/** Returns a filter as plain data, whatever the caller has given. */
export function targetOf (filter: unknown): AuditRecord['target'] {
  if (typeof filter !== 'object' || filter === null) return filter === 'all' ? 'all' : escapeReason(show(filter), MAX_TEXT)
  const entries = attempt(() => Object.entries(filter), () => {}) ?? []
  return Object.fromEntries(entries.slice(0, MAX_KEYS).map(([key, value]) => [escapeReason(key), typeof value === 'number' ? value : escapeReason(typeof value === 'string' ? value : show(value), MAX_TEXT)]))
}

/** Returns the code of what an act has thrown. */
export function codeOf (error: unknown): string {
  const code = attempt(() => (error as { code?: unknown }).code, () => {})
  return typeof code === 'string' ? escapeReason(code) : 'unknown'
}
