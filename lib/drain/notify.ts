/**
 * Notifies every connection of the drain: its state, its `drainSignal`, and the application's `onDrain`.
 */
import { afterInput, inSlices, LONG_SLICE, SLICE } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { attempt, isThenable } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainHost } from './host.ts'

/** After so long without a turn, milliseconds, slices are longer: the application keeps the event loop, or the process gets little CPU. */
const LATE = 20

/** Acts on each connection, a slice at a time, then calls `then`. */
type Each = (act: (connection: ManagedConnection) => void, then: () => void) => void

/**
 * Notifies all connections, a slice at a time, and calls `done` when input that had arrived by then was read. After the end of grace
 * `onDrain` is not called any more. When cutting off begins, no connection is notified and no input is looked for: there was too little
 * CPU time.
 */
export function notifyAll (host: DrainHost, graceEnd: number, cutAt: () => number, done: () => void): void {
  const { clock, registry } = host
  const connections = registry.snapshot()
  if (connections.length === 0) return done()
  let lastAt = clock.now()
  const each: Each = (act, then) => {
    inSlices(clock, connections, (connection) => {
      lastAt = clock.now()
      if (lastAt < cutAt()) act(connection)
    }, then, () => clock.now() - lastAt < LATE ? SLICE : LONG_SLICE)
  }
  each((connection) => { notify(host, connection, clock.now() < graceEnd) }, () => {
    readInput(clock, each, (connection) => { if (isUnread(host, connection)) connection.incoming.readInput() }, done)
  })
}

/**
 * Reads input that has arrived: a job that was sent before the client knew of the drain is work in flight. Input that is still
 * unread after the second check counts as work of its connection and does not delay the others.
 */
function readInput (clock: Clock, each: Each, read: (connection: ManagedConnection) => void, done: () => void): void {
  afterInput(clock, () => {
    each(read, () => {
      afterInput(clock, () => { each(read, done) })
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
