/**
 * Notifies every connection of the drain: its state, its `drainSignal`, and the application's `onDrain`.
 */
import { afterInput, inSlices } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { attempt, isThenable } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainHost } from './host.ts'

/**
 * Notifies all connections, a slice at a time, and calls `done` when input that had arrived by then was read. After the end of grace
 * `onDrain` is not called any more. When cutting off begins, no connection is notified and no input is looked for: there was too little
 * CPU time.
 */
export function notifyAll (host: DrainHost, graceEnd: number, cutAt: () => number, done: () => void): void {
  const { clock, registry } = host
  const connections = registry.snapshot()
  if (connections.length === 0) return done()
  const inTime = (act: (connection: ManagedConnection) => void) => (connection: ManagedConnection) => { if (clock.now() < cutAt()) act(connection) }
  inSlices(clock, connections, inTime((connection) => { notify(host, connection, clock.now() < graceEnd) }), () => {
    readInput(clock, connections, inTime((connection) => { if (isUnread(host, connection)) connection.incoming.readInput() }), done)
  })
}

/**
 * Reads input that has arrived: a job that was sent before the client knew of the drain is work in flight. Input that is still
 * unread after the second check counts as work of its connection and does not delay the others.
 */
function readInput (clock: Clock, connections: readonly ManagedConnection[], read: (connection: ManagedConnection) => void, done: () => void): void {
  afterInput(clock, () => {
    inSlices(clock, connections, read, () => {
      afterInput(clock, () => { inSlices(clock, connections, read, done) })
    })
  })
}

function isUnread ({ transport }: DrainHost, { parts: { incoming }, socket, state }: ManagedConnection): boolean {
  return state === 'draining' && (incoming === null ? transport.holdsInput(socket) : incoming.hasUnread)
}

function notify (host: DrainHost, connection: ManagedConnection, callHook: boolean): void {
  const { onDrain, events } = host
  if (connection.state !== 'open') return
  connection.startDraining()
  if (onDrain === undefined || !callHook) return
  const result = attempt(() => onDrain(connection), (error) => {
    host.hookFailed(error, 'onDrain')
    events.emit('error', error, connection)
  })
  if (isThenable(result)) connection.work.holdNamed('onDrain', result)
}
