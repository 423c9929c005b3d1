/**
 * What a connection holds for the application: its data, its logger, and the upgrade request if the route keeps it.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { ConnectionData } from './connection.ts'

export class Attachments {
  readonly request: FastifyRequest | undefined
  #data: ConnectionData | null | undefined
  #log: FastifyBaseLogger | null = null

  constructor (request: FastifyRequest | undefined) {
    this.request = request
  }

  /** An empty object where the application has set none; an option `data` may return nothing. */
  get data (): ConnectionData { return (this.#data ??= {}) }
  set data (data: ConnectionData) { this.#data = data }

  /** Returns the logger, made at the first call. */
  log (make: () => FastifyBaseLogger): FastifyBaseLogger { return (this.#log ??= make()) }
}
