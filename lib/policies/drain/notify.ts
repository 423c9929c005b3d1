/**
 * Telling every connection that the server leaves: its state, its `drainSignal`, and the application's `onDrain`.
 */
import { afterInput, inSlices } from '../../core/clock.ts'
import { attempt, isThenable } from '../../core/events.ts'
import type { ManagedConnection } from '../../core/managed-connection.ts'
import type { DrainHost } from './drain-host.ts'

/**
 * Tells everyone, a slice at a time, and calls `done` with their number when they know and what they had sent before was read.
 * The application is asked until `until`; whoever is left then is only told.
 */
export function notifyAll (host: DrainHost, until: number, done: (told: number) => void): void {
  const { clock, registry } = host
  const connections = registry.snapshot()
  if (connections.length === 0) return done(0)
  let told = 0
  inSlices(clock, connections, (connection) => { if (notify(host, connection, clock.now() < until)) told++ }, () => {
    // Input that has arrived already is read first: a job sent before anybody knew of the drain is work in flight.
    afterInput(clock, () => { done(told) })
  })
}

/** Says whether there was somebody to tell. */
function notify (host: DrainHost, connection: ManagedConnection, ask: boolean): boolean {
  const { onDrain, events } = host
  if (connection.state !== 'open') return false
  connection.startDraining()
  if (onDrain === undefined || !ask) return true
  const result = attempt(() => onDrain(connection), (error) => {
    host.hookFailed(error, 'onDrain')
    events.emit('error', error, connection)
  })
  if (isThenable(result)) connection.hold(result)
  return true
}
