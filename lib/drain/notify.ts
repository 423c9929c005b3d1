/**
 * Telling every connection that the server leaves: its state, its `drainSignal`, and the application's `onDrain`.
 */
import { afterInput, inSlices } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { attempt, isThenable } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainHost } from './host.ts'

/**
 * Tells everyone, a slice at a time, and calls `done` when they know and what they had sent before was read.
 * The application is asked until `until`; whoever is left then is only told.
 */
export function notifyAll (host: DrainHost, until: number, done: () => void): void {
  const { clock, registry } = host
  const connections = registry.snapshot()
  if (connections.length === 0) return done()
  inSlices(clock, connections, (connection) => { notify(host, connection, clock.now() < until) }, () => { readInput(clock, connections, done) })
}

/**
 * Reads input that has arrived already: a job that was sent before the client knew of the drain is work in flight. Input that
 * is not read after the second look holds its connection as work, and does not hold the others.
 */
function readInput (clock: Clock, connections: readonly ManagedConnection[], done: () => void): void {
  afterInput(clock, () => {
    inSlices(clock, connections, (connection) => { if (isUnread(connection)) connection.readInput() }, () => {
      afterInput(clock, () => {
        inSlices(clock, connections, (connection) => {
          if (isUnread(connection)) connection.readInput()
          else if (!connection.readsInput) connection.stopMessages()
        }, done)
      })
    })
  })
}

function isUnread (connection: ManagedConnection): boolean { return connection.state === 'draining' && connection.hasUnread }

function notify (host: DrainHost, connection: ManagedConnection, ask: boolean): void {
  const { onDrain, events } = host
  if (connection.state !== 'open') return
  connection.startDraining()
  if (onDrain === undefined || !ask) return
  const result = attempt(() => onDrain(connection), (error) => {
    host.hookFailed(error, 'onDrain')
    events.emit('error', error, connection)
  })
  if (isThenable(result)) connection.holdNamed('onDrain', result)
}
