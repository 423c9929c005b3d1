/**
 * A Fastify app with one WebSocket route, for the candidates that are plugins.
 */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { ServerOptions } from './control.ts'
import { handlers, sendToAll } from './handlers.ts'
import type { RunningServer } from './serve.ts'

/** `register` adds the candidate; `broadcast` is the loop over all sockets unless it is given. */
export async function startFastify (
  options: ServerOptions,
  register: (app: FastifyInstance) => Promise<unknown>,
  broadcast?: (app: FastifyInstance, text: string) => unknown
): Promise<RunningServer> {
  const app = Fastify()
  await register(app)
  app.get('/', { websocket: true }, handlers[options.handler])
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: (app.server.address() as AddressInfo).port,
    size: () => app.websocketServer.clients.size,
    broadcast: (text) => broadcast === undefined ? sendToAll(app.websocketServer.clients, text) : broadcast(app, text),
    close: () => app.close()
  }
}
