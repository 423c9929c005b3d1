/**
 * What the application keeps with a connection: its data, its logger, and the upgrade request where the route keeps it.
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

  /** The logger; made when it is first read. */
  log (make: () => FastifyBaseLogger): FastifyBaseLogger { return (this.#log ??= make()) }
}
