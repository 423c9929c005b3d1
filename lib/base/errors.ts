/**
 * Every error this package throws or rejects with. Codes are API: never renamed, only added.
 *
 * A message says what was wrong, what was given and what to do. docs/reference/errors.md lists them; a test compares.
 */
import createError from '@fastify/error'

/** An option has a wrong type or value, or is unknown. */
export const SOCKETS_ERR_INVALID_OPTION = createError<[string]>(
  'SOCKETS_ERR_INVALID_OPTION', '%s', 500, TypeError)

/** Options that are right one by one do not fit together; the message holds the sum. */
export const SOCKETS_ERR_OPTION_CONFLICT = createError<[string]>(
  'SOCKETS_ERR_OPTION_CONFLICT', '%s', 500, RangeError)

/** The plugin was registered twice on one instance or below one that has it. */
export const SOCKETS_ERR_ALREADY_REGISTERED = createError(
  'SOCKETS_ERR_ALREADY_REGISTERED', 'fastify-websocket-lifecycle is registered already: register it once, on the root instance')

/** `of()` was asked about a socket the tracker does not hold. */
export const SOCKETS_ERR_UNKNOWN_SOCKET = createError(
  'SOCKETS_ERR_UNKNOWN_SOCKET', 'this socket is not tracked: this server has not accepted it; hand foreign servers to app.sockets.adopt()')

/** A filter is empty, has an unknown key, or a key whose value is undefined; everyone is the literal 'all'. */
export const SOCKETS_ERR_INVALID_FILTER = createError<[string]>(
  'SOCKETS_ERR_INVALID_FILTER', "invalid filter: %s; everyone is the literal 'all'", 500, TypeError)

/** A close code that must not be sent, or is not a close code (RFC 6455 §7.4). */
export const SOCKETS_ERR_INVALID_CLOSE_CODE = createError<[unknown]>(
  'SOCKETS_ERR_INVALID_CLOSE_CODE', 'a close code is 1000-1003, 1007-1014 or 3000-4999, got %s', 500, RangeError)

/** An argument of a method has the wrong type. */
export const SOCKETS_ERR_INVALID_ARGUMENT = createError<[string, string, unknown]>(
  'SOCKETS_ERR_INVALID_ARGUMENT', '%s must be %s, got %s', 500, TypeError)

/** A connection has one consumer of messages at most. */
export const SOCKETS_ERR_MESSAGES_CONSUMED = createError(
  'SOCKETS_ERR_MESSAGES_CONSUMED', 'messages() was called already: one connection has one consumer')

/** A cleanup waited for something that waits for this cleanup. */
export const SOCKETS_ERR_CLEANUP_DEADLOCK = createError<[string]>(
  'SOCKETS_ERR_CLEANUP_DEADLOCK', '%s inside a cleanup of a connection that it waits for would wait for itself: do not await it there')

/** The reason of `connection.signal`: the connection is closing; carries the close code and reason. */
export const SOCKETS_ERR_CLOSED = createError<[string]>(
  'SOCKETS_ERR_CLOSED', 'connection closed: %s')

/** The reason of `connection.drainSignal`: the server is leaving. */
export const SOCKETS_ERR_DRAINING = createError(
  'SOCKETS_ERR_DRAINING', 'the server is draining its connections', 503)

/** Makes the reason of `connection.drainSignal`. */
export const drainingError = (): Error => new SOCKETS_ERR_DRAINING()

/** `adopt()` was given something that is not a ws server, or one that another application tracks. */
export const SOCKETS_ERR_CANNOT_ADOPT = createError<[string]>(
  'SOCKETS_ERR_CANNOT_ADOPT', 'adopt() cannot take this server: %s', 500, TypeError)

/** What `connection.signal.reason` is: `code` is 'SOCKETS_ERR_CLOSED'. */
export interface ClosedError extends Error {
  /** The code of the error. */
  code: 'SOCKETS_ERR_CLOSED'
  /** The cause of the close. */
  closeCause: string
  /** The close code, ours or the peer's; 1006 where there was none (RFC 6455 §7.1.5). */
  closeCode: number
  /** The close reason, ours or the peer's. */
  closeReason: string
}

/** Says whether something thrown is an AbortError; touches nothing of it that could throw. */
export function isAbortError (error: unknown): boolean {
  try {
    return (error as Error | null | undefined)?.name === 'AbortError'
  } catch {
    return false
  }
}
