/**
 * What a handshake says of its connection.
 */
import type { FastifyRequest } from 'fastify'
import type { RouteSettings } from './settings.ts'

/** Longest request id of a record, characters: with Fastify's `requestIdHeader` it is text of the client. */
const MAX_REQUEST_ID = 128
/** Longest route of a record, characters: for an adopted server it is a path, which is text of the client. */
const MAX_ROUTE = 256
/** Longest address, characters: IPv6 with a zone, brackets and a port. With `trustProxy` it is text of the client. */
const MAX_ADDRESS = 64

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

/** Returns a path in place of a route. */
export function pathAsRoute (path: string): string { return ownText(path, MAX_ROUTE) }

/** Returns an address as connections have it. */
export function recordedAddress (address: string): string { return ownText(address, MAX_ADDRESS) }

/** Returns a text, or its start, in memory of its own: a part of a larger text, such as a URL or a header, keeps all of that in memory. */
export function ownText (text: string, maxLength = Infinity): string {
  const short = text.slice(0, maxLength)
  const encoding = Buffer.byteLength(short) === short.length ? 'latin1' : 'utf16le'
  return Buffer.from(short, encoding).toString(encoding)
}

function cut (text: string, maxLength: number): string { return text.length <= maxLength ? text : ownText(text, maxLength) }
