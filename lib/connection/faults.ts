/**
 * Errors of the application's code on one connection: a listener or the handler throws or rejects. The connection is closed;
 * no other connection is affected.
 */
import { outside } from '../base/async-context.ts'
import { attempt } from '../base/guard.ts'
import { isClosing } from './connection.ts'
import type { ManagedConnection } from './managed-connection.ts'
import { note } from './note.ts'

/** The connection whose error the application's errorHandler handles now. */
let handled: ManagedConnection | null = null

/** Reports what a listener threw or rejected with, and closes the connection. */
export function fault (connection: ManagedConnection, error: unknown): void {
  if (isExpected(connection, error)) return
  connection.incoming.mute()
  outside(() => {
    noteFault(connection, error)
    connection.host.report(error, connection)
  })
  connection.end('error', connection.host.errorCode, 'internal error')
}

/** Reports what the handler of the route threw or rejected with, and closes the connection. */
export function handlerFailed (connection: ManagedConnection, error: unknown): void {
  if (isExpected(connection, error)) return
  // Before the first message the connection is terminated, as by @fastify/websocket.
  if (connection.messagesReceived > 0 || isClosing(connection.state)) return fault(connection, error)
  // ws delivers messages that it has read even after its raw socket was destroyed.
  connection.incoming.mute()
  noteFault(connection, error)
  connection.host.report(error, connection)
  connection.kill('error')
}

/** Counts a fault and emits 'error'. The caller reports the fault. */
export function noteFault (connection: ManagedConnection, error: unknown): void {
  for (const part of connection.host.hooks.failed) part.failed(connection)
  connection.host.events.emit('error', error, connection)
}

/** Returns true for an abort while the connection drains or closes: the code has ended because a signal told it to. */
export function isExpected (connection: ManagedConnection, error: unknown): boolean {
  if (connection.state === 'open') return false
  const name = attempt(() => (error as Error | null | undefined)?.name, () => {})
  const expected = name === 'AbortError' || connection.isAbortReason(error)
  if (expected) note(connection, 'debug', { err: error }, 'aborted while closing')
  return expected
}

/** Calls the application's errorHandler. If it closes the connection, the cause is the error. */
export function handleError (connection: ManagedConnection, errorHandler: () => unknown): unknown {
  const outer = handled
  handled = connection
  try {
    return errorHandler()
  } finally {
    handled = outer
  }
}

/** Returns the cause of a close by the application: `error` in its errorHandler and after a fault. */
export function applicationCause (connection: ManagedConnection): 'application' | 'error' {
  return handled === connection || connection.muted ? 'error' : 'application'
}
