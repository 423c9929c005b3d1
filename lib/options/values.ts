/**
 * Checks of values that several options share.
 */
import { check } from '../base/check.ts'

/** Checks a number that has no default. */
export function required (path: string, given: number | undefined): number {
  if (given === undefined) check.fail(`${path} is missing: it must be a positive integer`)
  return check.where(path, given, given as number, (value) => Number.isInteger(value) && (value as number) > 0, 'a positive integer')
}

export function oneOf<T extends string> (path: string, given: T | undefined, fallback: T, allowed: readonly T[], expected = allowed.map((value) => `'${value}'`).join(' or ')): T {
  return check.where(path, given, fallback, (value) => allowed.includes(value as T), expected)
}

export function integerOrFalse (path: string, given: number | false | undefined, fallback: number | false, expected: string, least = 1): number | false {
  return given === false ? false : check.duration(path, given, fallback, `false or ${expected}`, least)
}
