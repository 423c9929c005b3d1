/**
 * A check that a server has released everything.
 */
import assert from 'node:assert/strict'
import type { FastifyInstance } from 'fastify'
import { systemClock } from '../base/clock.ts'
import type { ManagedTracker } from '../track/managed-tracker.ts'

/** Turns of the event loop in which the server reads and handles what clients have sent. */
const TURNS = 10

/** Options of `assertClean`. */
export interface CleanOptions {
  /** Number of TCP connections that may be open, such as kept-alive ones of HTTP clients. @default 0 */
  sockets?: number
}

/**
 * Asserts that an app has no connection, index entry, deadline of a connection or work in flight, and no TCP connection. Throws an
 * AssertionError that says what is left. For the end of a test, after `app.close()` or after the last client has closed. Timers
 * that the plugin needs until the app closes do not count.
 */
export async function assertClean (app: FastifyInstance, { sockets = 0 }: CleanOptions = {}): Promise<void> {
  // The server may not have read the close of a client yet.
  for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => { systemClock.setImmediate(resolve) })
  // A failed registration leaves no tracker.
  const tracker = app.sockets as ManagedTracker | undefined
  if (tracker !== undefined) {
    assert.equal(tracker.size, 0, `connections are left: ${JSON.stringify(tracker.list())}`)
    assert.equal(tracker.leftovers, 0, `index entries, deadlines or work are left: ${JSON.stringify(tracker.stats())}`)
  }
  const counted = await new Promise<number>((resolve, reject) => {
    app.server.getConnections((error, count) => { if (error) reject(error); else resolve(count) })
  })
  assert.ok(counted <= sockets, `${counted} TCP connections are left, at most ${sockets} may be`)
}
