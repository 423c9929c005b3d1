/**
 * Checks of single option values: the default where nothing is given, a coded error that names the option otherwise.
 */
import { SOCKETS_ERR_INVALID_OPTION, SOCKETS_ERR_OPTION_CONFLICT } from './errors.ts'

/** A grace period or an idle timeout below this was probably given in seconds, milliseconds. */
const LEAST_PLAUSIBLE = 1_000

function where<T> (name: string, given: unknown, fallback: T, isValid: (value: unknown) => boolean, expected: string): T {
  if (given === undefined) return fallback
  if (!isValid(given)) wrong(name, expected, show(given))
  return given as T
}

function wrong (name: string, expected: string, shown: string): never {
  throw new SOCKETS_ERR_INVALID_OPTION(`${name} must be ${expected}, got ${shown}`)
}

export const check = {
  /** Throws SOCKETS_ERR_INVALID_OPTION for a value; `shown` is how the message shows it. */
  wrong,
  /** Throws SOCKETS_ERR_INVALID_OPTION with this message. */
  fail: (message: string): never => { throw new SOCKETS_ERR_INVALID_OPTION(message) },
  /** A value that `isValid` accepts. */
  where,
  /** `least` or more whole milliseconds. */
  duration: <T>(name: string, given: unknown, fallback: T, expected = 'a non-negative integer (ms)', least = 0): T =>
    where(name, given, fallback, (value) => isWhole(value, least), expected),
  /** 1 or more whole milliseconds. */
  positive: <T>(name: string, given: unknown, fallback: T): T =>
    where(name, given, fallback, (value) => isWhole(value, 1), 'a positive integer (ms)'),
  flag: (name: string, given: unknown, fallback: boolean, expected = 'true or false'): boolean =>
    where(name, given, fallback, (value) => typeof value === 'boolean', expected),
  fn: <T>(name: string, given: T): T =>
    where(name, given, given, (value) => typeof value === 'function', 'a function'),
  conflict: (message: string): never => { throw new SOCKETS_ERR_OPTION_CONFLICT(message) }
}

/** Part of a message about a sum: a hint that a duration was probably given in seconds. */
export function secondsHint (name: string, value: number): string {
  return value < LEAST_PLAUSIBLE ? `; ${name} ${value} looks like seconds: durations are milliseconds` : ''
}

function isWhole (value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least
}

function isPlain (value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean', 'undefined'].includes(typeof value)
}

/** Entries of an array that an error shows. */
const MAX_SHOWN = 5

/** Formats a value for an error; leaves out the contents of objects, which may be secret. */
export function show (value: unknown): string {
  if (Array.isArray(value) && value.length > 0 && value.length <= MAX_SHOWN && value.every(isPlain)) return `[${value.map(show).join(', ')}]`
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return String(value)
}
