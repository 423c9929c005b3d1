/**
 * What listeners of sockets return.
 */
import type { WebSocket } from 'ws'
import { isThenable, toPromise } from '../base/guard.ts'
import { fault } from '../connection/faults.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { connectionOf } from '../connection/of-socket.ts'

/** Handles what a wrapped listener returned. The same for all trackers: a listener may serve the sockets of several. */
export function onListenerResult (socket: WebSocket, type: string, result: unknown): void {
  const connection = connectionOf(socket)
  if (connection !== undefined) handleResult(connection, type, result)
}

/**
 * Handles what a listener returned: the promise of a message listener is work, that of a close listener a cleanup, and a rejection
 * a fault of the connection.
 */
export function handleResult (connection: ManagedConnection, type: string | symbol, result: unknown): void {
  if (!isThenable(result)) return
  // A handled rejection does not reach the process. Without isolation it must, as without this package.
  const failed = (error: unknown) => { if (connection.host.isolation) fault(connection, error); else void Promise.reject(error) }
  if (type === 'message') connection.work.hold(result, failed)
  else if (type === 'close') connection.defer(function closeListener () { return toPromise(result).then(undefined, failed) })
  else toPromise(result).then(undefined, failed)
}
