/**
 * ws alone, with the heartbeat recipe of its README.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { handlers, sendToAll } from './handlers.ts'
import { watchWithRecipe } from './recipe.ts'
import { serve } from './serve.ts'

serve(async (options) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  watchWithRecipe(server, options.heartbeat)
  server.on('connection', handlers[options.handler])
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    size: () => server.clients.size,
    broadcast: (text) => { sendToAll(server.clients, text) },
    async close () {
      server.close()
      for (const socket of server.clients) socket.close(1001)
      await once(server, 'close')
    }
  }
})
