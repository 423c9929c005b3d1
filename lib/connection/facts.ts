/**
 * What a handshake says of its connection.
 */
import type { FastifyRequest } from 'fastify'
import type { RouteSettings } from './settings.ts'

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
