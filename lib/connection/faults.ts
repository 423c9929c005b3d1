/**
 * Errors of the application's code on one connection: a listener or the handler that throws or rejects. The connection ends; no other
 * connection notices.
 */
import { outside } from '../base/async-context.ts'
import { isAbortError } from '../base/errors.ts'
import { isClosing } from './connection.ts'
import type { ManagedConnection } from './managed-connection.ts'
import { note } from './note.ts'

/** The connection that the application's errorHandler is called for, while it runs. */
let blamed: ManagedConnection | null = null

/** A listener threw or rejected. */
export function fault (connection: ManagedConnection, error: unknown): void {
  if (isExpected(connection, error)) return
  connection.incoming.mute()
  outside(() => {
    noteFault(connection, error)
    connection.host.report(error, connection)
  })
  connection.end('error', connection.host.errorCode, 'internal error')
}

/** The handler of the route threw or rejected. */
export function handlerFailed (connection: ManagedConnection, error: unknown): void {
  // Before anything was received it is a failed start, which @fastify/websocket answers by terminating.
  if (connection.messagesReceived > 0 || isClosing(connection.state)) return fault(connection, error)
  // ws delivers what it has read already when its raw socket is destroyed.
  connection.incoming.mute()
  noteFault(connection, error)
  connection.host.report(error, connection)
  connection.kill('error')
}

/** Counts a fault and tells the listeners of 'error'; it is reported elsewhere. */
export function noteFault (connection: ManagedConnection, error: unknown): void {
  for (const part of connection.host.hooks.failed) part.failed(connection)
  connection.host.events.emit('error', error, connection)
}

/** While draining or closing, an abort is what the code was told to do, not a failure. */
export function isExpected (connection: ManagedConnection, error: unknown): boolean {
  if (connection.state === 'open') return false
  const expected = isAbortError(error) || connection.isAbortReason(error)
  if (expected) note(connection, 'debug', { err: error }, 'aborted while closing')
  return expected
}

/** Calls the application's errorHandler: a close in it is for the error. */
export function blame (connection: ManagedConnection, errorHandler: () => unknown): unknown {
  const outer = blamed
  blamed = connection
  try {
    return errorHandler()
  } finally {
    blamed = outer
  }
}

/** The cause of a close by the application: after a fault it is the user's errorHandler that closes. */
export function applicationCause (connection: ManagedConnection): 'application' | 'error' {
  return blamed === connection || connection.muted ? 'error' : 'application'
}
