/**
 * The errors that this package throws or rejects with. Codes are API: never renamed, only added.
 *
 * A message says what was wrong, what was given and what to do. docs/reference/errors.md lists the codes; a test compares.
 */
import createError from '@fastify/error'

/** An option has a wrong type or value, or is unknown. */
export const SOCKETS_ERR_INVALID_OPTION = createError<[string]>(
  'SOCKETS_ERR_INVALID_OPTION', '%s', 500, TypeError)

/** Options that are valid one by one do not fit together; the message has the sum. */
export const SOCKETS_ERR_OPTION_CONFLICT = createError<[string]>(
  'SOCKETS_ERR_OPTION_CONFLICT', '%s', 500, RangeError)

/** The plugin was registered a second time on an instance, or below an instance that has it. */
export const SOCKETS_ERR_ALREADY_REGISTERED = createError(
  'SOCKETS_ERR_ALREADY_REGISTERED', 'fastify-websocket-lifecycle is registered already: register it once, on the root instance')

/** `of()` was called with a socket that the tracker does not know. */
export const SOCKETS_ERR_UNKNOWN_SOCKET = createError(
  'SOCKETS_ERR_UNKNOWN_SOCKET', 'this socket is not tracked: this server has not accepted it; pass foreign servers to app.sockets.adopt()')

/** A filter is empty, has an unknown key, or a value that is undefined or of a wrong type. */
export const SOCKETS_ERR_INVALID_FILTER = createError<[string]>(
  'SOCKETS_ERR_INVALID_FILTER', "invalid filter: %s; the literal 'all' selects every connection", 500, TypeError)

/** A close code that must not be sent, or is not a close code (RFC 6455 §7.4). */
export const SOCKETS_ERR_INVALID_CLOSE_CODE = createError<[unknown]>(
  'SOCKETS_ERR_INVALID_CLOSE_CODE', 'a close code is 1000-1003, 1007-1014 or 3000-4999, got %s', 500, RangeError)

/** An argument of a method has the wrong type. */
export const SOCKETS_ERR_INVALID_ARGUMENT = createError<[string, string, unknown]>(
  'SOCKETS_ERR_INVALID_ARGUMENT', '%s must be %s, got %s', 500, TypeError)

/** `messages()` was called a second time. */
export const SOCKETS_ERR_MESSAGES_CONSUMED = createError(
  'SOCKETS_ERR_MESSAGES_CONSUMED', 'messages() was called already: one connection has one consumer')

/** A cleanup asked for a promise that waits for this cleanup. */
export const SOCKETS_ERR_CLEANUP_DEADLOCK = createError<[string]>(
  'SOCKETS_ERR_CLEANUP_DEADLOCK', '%s in a cleanup would never end, because it waits for that cleanup: do not await it there')

/** The reason of `connection.signal`: the connection is closing. Made by the close, which adds the fields of ClosedError. */
export const SOCKETS_ERR_CLOSED = createError<[string]>(
  'SOCKETS_ERR_CLOSED', 'connection closed: %s')

/** The reason of `connection.drainSignal`: the server drains. */
export const SOCKETS_ERR_DRAINING = createError(
  'SOCKETS_ERR_DRAINING', 'the server is draining its connections', 503)

/** `adopt()` was given something that is not a ws server, or one that another application tracks. */
export const SOCKETS_ERR_CANNOT_ADOPT = createError<[string]>(
  'SOCKETS_ERR_CANNOT_ADOPT', 'adopt() cannot take this server: %s', 500, TypeError)

/** `handover()` was given a state that is too large, or no JSON. */
export const SOCKETS_ERR_INVALID_HANDOVER = createError<[string]>(
  'SOCKETS_ERR_INVALID_HANDOVER', 'a state to hand over must be at most 4096 bytes of JSON: %s', 500, TypeError)

/** The page was registered without a hook that authenticates. */
export const SOCKETS_ERR_PAGE_UNPROTECTED = createError(
  'SOCKETS_ERR_PAGE_UNPROTECTED', 'the page shows every connection: give it hooks that authenticate, as `onRequest` or `preHandler`, or set `unprotected: true` if another layer does')

/** The engine of the fleet does not answer, or has refused a call. */
export const SOCKETS_ERR_FLEET_UNAVAILABLE = createError<[string]>(
  'SOCKETS_ERR_FLEET_UNAVAILABLE', 'the engine of the fleet is not available: %s', 503)

/** The reason of `connection.signal`. */
export interface ClosedError extends Error {
  /** The code of the error. */
  code: 'SOCKETS_ERR_CLOSED'
  /** The cause of the close. */
  closeCause: string
  /** The close code, ours or the peer's; 1006 if there was none (RFC 6455 §7.1.5). */
  closeCode: number
  /** The close reason, ours or the peer's. */
  closeReason: string
}
