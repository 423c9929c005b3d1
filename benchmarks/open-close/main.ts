/**
 * Opens and closes Fastify servers, as test suites do hundreds of times: each with a route, listening, with or without one
 * WebSocket client.
 *
 * The first argument is the folder of the built library; without it, the program measures @fastify/websocket.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import { answer } from '../rpc.ts'
import { loadPlugin } from '../servers/plugin.ts'

/** Calls of the program. */
export interface OpenCloseControl {
  /** Milliseconds per app, for `count` apps one after the other. */
  measure (apps: number, withClient: boolean): Promise<number>
}

const folder = process.argv[2]
const plugin = folder === undefined ? null : await loadPlugin(folder)

answer<OpenCloseControl>({
  async measure (apps, withClient) {
    const startedAt = performance.now()
    for (let i = 0; i < apps; i++) await openAndClose(withClient)
    return (performance.now() - startedAt) / apps
  }
})

async function openAndClose (withClient: boolean): Promise<void> {
  const app = Fastify()
  if (plugin === null) await app.register(fastifyWebsocket)
  else await app.register(plugin)
  app.get('/', { websocket: true }, () => {})
  await app.listen({ port: 0, host: '127.0.0.1' })
  if (withClient) await closeWithClient(app)
  else await app.close()
}

async function closeWithClient (app: FastifyInstance): Promise<void> {
  const client = new WebSocket(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/`)
  await once(client, 'open')
  const closed = once(client, 'close')
  await app.close()
  await closed
}
