/**
 * Telling every connection that the server leaves: its state, its `drainSignal`, and the application's `onDrain`.
 */
import { attempt, isThenable } from '../../core/events.ts'
import type { ManagedConnection } from '../../core/managed-connection.ts'
import type { DrainHost } from './drain-host.ts'
import { SLICE } from './pace.ts'

/** Tells everyone, a slice at a time, and calls `done` when they know and what they had sent before was read. */
export function notifyAll (host: DrainHost, done: () => void): void {
  const { clock, registry } = host
  const connections = registry.snapshot()
  if (connections.length === 0) return done()
  let next = 0
  slice()

  function slice (): void {
    const until = clock.now() + SLICE
    while (next < connections.length) {
      notify(host, connections[next++]!)
      if (next < connections.length && clock.now() >= until) return clock.setImmediate(slice)
    }
    // Input that has arrived already is read first: a job sent before anybody knew of the drain is work in flight.
    clock.setImmediate(() => { clock.setImmediate(done) })
  }
}

function notify ({ onDrain, events, hookFailed }: DrainHost, connection: ManagedConnection): void {
  if (connection.state !== 'open') return
  connection.startDraining()
  if (onDrain === undefined) return
  const result = attempt(() => onDrain(connection), (error) => {
    hookFailed(error, 'onDrain')
    events.emit('error', error, connection)
  })
  if (isThenable(result)) connection.hold(result)
}
