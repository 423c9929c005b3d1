/**
 * The audit: each act of administration (`disconnect()`, `drain()`, and orders to a fleet), with who has asked for it, why, and its
 * result. What policies do is not in it.
 *
 * An act is told once: a disconnect when it has ended, a drain before it starts, so that it is known even if the process ends first.
 * That of a fleet is told where it was asked for, and by each node that it concerns.
 */
import { show } from '../base/check.ts'
import { escapeReason } from '../base/close-codes.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import type { ActOptions } from '../connection/connection.ts'

/** Longest text of an act, characters. */
const MAX_TEXT = 160
/** Most keys of a filter: as many as there are. */
const MAX_KEYS = 6
/** Longest key of a filter, characters. */
const MAX_KEY = 16
/** Longest value of a filter, characters: with all of them a line of the log has less than 4 KB. */
const MAX_VALUE = 128

/** An act of administration. */
export interface AuditRecord {
  /** What was asked for. */
  action: 'disconnect' | 'move' | 'drain'
  /** Who has asked for it, if that was given; escaped and cut to 160 characters. */
  by?: string
  /** Why, if that was given; escaped and cut to 160 characters. */
  why?: string
  /**
   * The filter that was given, a function as text, values escaped and cut to 128 characters; `'all'` for a drain, the fraction for
   * that of a fleet.
   */
  target: string | Record<string, string | number>
  /** `started` and `joined` are those of drains; `refused`: it was not allowed; `failed`: it threw. */
  outcome: 'done' | 'started' | 'joined' | 'refused' | 'failed'
  /** Connections closed by a disconnect, asked to move, open when a drain started, or leaving in that of a fleet. */
  connections: number
  /** The node that has ordered it, where that is another one of the fleet. */
  from?: string
  /** Nodes of the fleet that had not answered, if there are any: `connections` does not have theirs. */
  missing?: number
  /** Code of the error of a failed act; `unknown` if it has none. */
  error?: string
  /** Time of the act, epoch milliseconds. */
  at: number
}

/** An act before it is told: its texts and its target are as the caller has given them. */
export interface Act extends Omit<AuditRecord, 'at' | 'by' | 'why' | 'target'>, ActOptions { target: unknown }

/** Returns who and why, escaped and cut. Throws SOCKETS_ERR_INVALID_ARGUMENT for what is no text. */
export function checkedAct ({ by, why }: ActOptions): ActOptions {
  for (const [name, text] of Object.entries({ by, why })) {
    if (text !== undefined && typeof text !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT(name, 'a string', show(text))
  }
  return { ...(by === undefined ? {} : { by: shown(by) }), ...(why === undefined ? {} : { why: shown(why) }) }
}

/** Returns who and why, escaped and cut; nothing if one of them is no text. */
export function readAct (given: unknown): ActOptions { return attempt(() => checkedAct(given as ActOptions), () => {}) ?? {} }

/** Returns an act as it is told at a time. */
export function auditRecord ({ action, by, why, target, ...result }: Act, at: number): AuditRecord {
  return { action, ...readAct({ by, why }) as { by?: string, why?: string }, target: targetOf(target), ...result, at }
}

/** Returns a filter as plain data, whatever the caller has given. */
function targetOf (filter: unknown): AuditRecord['target'] {
  if (typeof filter !== 'object' || filter === null) return filter === 'all' ? 'all' : shown(show(filter))
  const entries = attempt(() => Object.entries(filter), () => {}) ?? []
  return Object.fromEntries(entries.slice(0, MAX_KEYS).map(([key, value]) => [shown(key, MAX_KEY), typeof value === 'number' ? value : shown(typeof value === 'string' ? value : show(value), MAX_VALUE)]))
}

/** Returns a text escaped and cut. Applied twice, it changes nothing more. */
function shown (text: string, maxLength = MAX_TEXT): string {
  // A second time, because escaped characters are longer. JSON writes half a pair of UTF-16 as six characters.
  return escapeReason(escapeReason(text, maxLength).replace(/\p{Surrogate}/gu, '\ufffd'), maxLength)
}

/** Returns the code of what an act has thrown. */
export function codeOf (error: unknown): string {
  const code = attempt(() => (error as { code?: unknown }).code, () => {})
  return typeof code === 'string' ? escapeReason(code) : 'unknown'
}
