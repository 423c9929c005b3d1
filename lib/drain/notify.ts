/**
 * Telling every connection that the server leaves: its state, its `drainSignal`, and the application's `onDrain`.
 */
import { afterInput, inSlices } from '../base/clock.ts'
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
  inSlices(clock, connections, (connection) => { notify(host, connection, clock.now() < until) }, () => { readInput(host, connections, done) })
}

/**
 * Reads input that has arrived already: a job that was sent before the client knew of the drain is work in flight. Input that
 * is not read after the second look holds its connection as work, and does not hold the others.
 */
function readInput (host: DrainHost, connections: readonly ManagedConnection[], done: () => void): void {
  const { clock } = host
  afterInput(clock, () => {
    inSlices(clock, connections, (connection) => { if (isUnread(host, connection)) connection.incoming.readInput() }, () => {
      afterInput(clock, () => {
        inSlices(clock, connections, (connection) => {
          const { incoming } = connection.parts
          if (isUnread(host, connection)) connection.incoming.readInput()
          else if (incoming?.readsInput === false) incoming.stop()
        }, done)
      })
    })
  })
}

function isUnread ({ transport }: DrainHost, { parts: { incoming }, socket, state }: ManagedConnection): boolean {
  return state === 'draining' && (incoming === null ? transport.holdsInput(socket) : incoming.hasUnread)
}

function notify (host: DrainHost, connection: ManagedConnection, ask: boolean): void {
  const { onDrain, events } = host
  if (connection.state !== 'open') return
  connection.startDraining()
  if (onDrain === undefined || !ask) return
  const result = attempt(() => onDrain(connection), (error) => {
    host.hookFailed(error, 'onDrain')
    events.emit('error', error, connection)
  })
  if (isThenable(result)) connection.work.holdNamed('onDrain', result)
}
