/**
 * What a handshake says of its connection.
 */
import type { FastifyRequest } from 'fastify'
import type { RouteSettings } from './settings.ts'

/** Longest request id of a record, characters: with Fastify's `requestIdHeader` it is text of the client. */
const MAX_REQUEST_ID = 128
/** Longest route of a record, characters: for an adopted server it is a path, which is text of the client. */
const MAX_ROUTE = 256

export interface ConnectionFacts {
  /** Limits, timeouts and counters of the route. @default the server's */
  settings?: RouteSettings | undefined
  route: string
  ip: string
  requestId: string
  owner?: string | undefined
  /** The upgrade request, on routes that keep it. */
  request?: FastifyRequest | undefined
}

/** Returns a request id as records, stories and the log have it. */
export function recordedRequestId (requestId: string): string { return cut(requestId, MAX_REQUEST_ID) }

/** Returns a route, or a path in place of one, as records, stories and the log have it. */
export function recordedRoute (route: string): string { return cut(route, MAX_ROUTE) }

function cut (text: string, maxLength: number): string {
  // A slice alone would keep the whole text in memory.
  return text.length <= maxLength ? text : Buffer.from(text.slice(0, maxLength), 'utf16le').toString('utf16le')
}
