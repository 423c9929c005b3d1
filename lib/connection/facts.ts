/**
 * What a handshake says of its connection.
 */
import type { FastifyRequest } from 'fastify'
import type { Settings } from './settings.ts'

export interface ConnectionFacts {
  /** Limits and timeouts of the route. @default the server's */
  settings?: Settings | undefined
  route: string
  ip: string
  requestId: string
  owner?: string | undefined
  /** The upgrade request, on routes that keep it. */
  request?: FastifyRequest | undefined
}
