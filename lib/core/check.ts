/**
 * Checks of single option values: the default where nothing is given, a coded error that names the option otherwise.
 */
import { SOCKETS_ERR_INVALID_OPTION, SOCKETS_ERR_OPTION_CONFLICT } from './errors.ts'

/** Longest delay a timer can hold: a longer one would fire at once. */
const MAX_DELAY = 2 ** 31 - 1

function where<T> (name: string, given: unknown, fallback: T, holds: (value: unknown) => boolean, expected: string): T {
  if (given === undefined) return fallback
  if (!holds(given)) throw new SOCKETS_ERR_INVALID_OPTION(name, expected, show(given))
  return given as T
}

export const check = {
  /** A value for which `holds` does. */
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

/** Throws when `given` is no object or has a key that is not known. */
export function knownKeys (path: string, given: object, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new SOCKETS_ERR_INVALID_OPTION(path || 'options', 'an object', show(given))
  }
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) {
      throw new SOCKETS_ERR_INVALID_OPTION(path || 'options', `without unknown keys (known: ${known.join(', ')})`, `"${key}"`)
    }
  }
}

function isWhole (value: unknown, least: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= MAX_DELAY
}

/** A value as errors show it. */
export function show (value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return String(value)
}
