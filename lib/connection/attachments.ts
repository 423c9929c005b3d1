/**
 * What a connection holds for the application: its data, its logger, and the upgrade request if the route keeps it.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { ConnectionData } from './connection.ts'

export class Attachments {
  data: ConnectionData = {}
  readonly request: FastifyRequest | undefined
  #log: FastifyBaseLogger | null = null

  constructor (request: FastifyRequest | undefined) {
    this.request = request
  }

  /** Returns the logger, made at the first call. */
  log (make: () => FastifyBaseLogger): FastifyBaseLogger { return (this.#log ??= make()) }
}
