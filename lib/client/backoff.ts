/**
 * How long attempts to reconnect wait: what is known of an address (origin and path), that is when it may be tried again, or that the
 * server wants no attempts.
 *
 * Kept at one place for all sockets of a page or process, of both builds of this package. Moments are those of `performance.now()`.
 */
import type { Closed } from './standard.ts'

/** What closes have told of an address. All sockets with this address share it. */
export interface AddressState {
  /** No attempt before this moment. */
  notBefore: number
  /** The latest moment that the server has named: nothing ends the wait before it. */
  namedUntil: number
  /** Until then attempts end at once, with this close. */
  final?: Closed | false
  /** Connections in a row that failed, or were lost soon. */
  failures: number
  /** What the next attempt offers: the id of state that the server has kept for it. */
  id?: string | undefined
}

/** Addresses that are known at a time; the one known longest is forgotten. */
const MAX_ADDRESSES = 1_000

/** Returns what is known of an address. Sockets that wait for it hold the same object. */
export function addressState (address: string): AddressState {
  const place = globalThis as { [key: symbol]: Map<string, AddressState> | undefined }
  const all = place[Symbol.for('fastify-websocket-lifecycle/client')] ??= new Map<string, AddressState>()
  const state = all.get(address) ?? { notBefore: 0, namedUntil: 0, failures: 0 }
  all.set(address, state)
  if (all.size > MAX_ADDRESSES) all.delete(all.keys().next().value!)
  return state
}

/** Notes what a close means for the next attempt. `failures`: those in a row before it. */
export function noteClose (state: AddressState, closed: Closed, failures: number, finalCodes: readonly number[], finalFor: number): void {
  const { code, reason } = closed
  const retry = /(?:^|; )retry=(\d{1,9})$/.exec(reason)
  const final = finalCodes.includes(code) && closed
  // 1000 and 1005: what the connection was for is done, and the next one is a new beginning.
  const failed = code !== 1000 && code !== 1005
  state.failures = failed ? failures + 1 : 0
  const jitter = failed ? Math.random() * Math.min(30_000, 1_000 * 2 ** failures) : 0
  const notBefore = performance.now() + (final ? finalFor : retry ? Number(retry[1]) : jitter)
  // Of several sockets with one address the latest moment counts: none comes early.
  if (retry) state.namedUntil = Math.max(state.namedUntil, notBefore)
  if (notBefore > state.notBefore) Object.assign(state, { notBefore, final })
}
