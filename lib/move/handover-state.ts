/**
 * The state of a handover as JSON: checked where the application gives it, so that the error is thrown there. No error has a part of
 * the state, nor is what the state's own code threw its cause: errors are logged, and the state must not be.
 */
import { Buffer } from 'node:buffer'
import { SOCKETS_ERR_INVALID_HANDOVER } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'

/** Largest state, bytes of JSON in UTF-8. */
export const MAX_STATE_BYTES = 4_096

const LARGE = 'it is larger'
const POISONED = 'it has a key "__proto__", or "constructor" with a "prototype"'
const NOT_JSON = 'JSON cannot hold it: a function, a symbol, a BigInt, a cycle, too many levels, or a getter or toJSON method that throws'

/** Returns a state as JSON. Throws SOCKETS_ERR_INVALID_HANDOVER. */
export function stateToJson (state: unknown): string {
  let problem = NOT_JSON
  let room = MAX_STATE_BYTES
  // Counts as it goes: a state that is far too large must not cost the time and the memory of writing all of it.
  const check = function (this: unknown, key: string, value: unknown): unknown {
    room -= (Array.isArray(this) ? 0 : key.length) + (typeof value === 'string' ? value.length : 1)
    if (room < 0) problem = LARGE
    else if (isPoison(key, value)) problem = POISONED
    else return value
    throw new SOCKETS_ERR_INVALID_HANDOVER(problem)
  }
  const json = attempt(() => JSON.stringify(state, check) as string | undefined, () => {})
  if (json === undefined) throw new SOCKETS_ERR_INVALID_HANDOVER(problem)
  if (Buffer.byteLength(json) > MAX_STATE_BYTES) throw new SOCKETS_ERR_INVALID_HANDOVER(LARGE)
  return json
}

/** Returns whether a key would change a prototype when the application merges the state into an object. Fastify refuses such bodies, too. */
function isPoison (key: string, value: unknown): boolean {
  return key === '__proto__' || (key === 'constructor' && typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype'))
}
