/**
 * @fastify/websocket with the heartbeat recipe of the README of ws.
 */
import fastifyWebsocket from '@fastify/websocket'
import { startFastify } from './fastify-server.ts'
import { watchWithRecipe } from './recipe.ts'
import { serve } from './serve.ts'

serve((options) => startFastify(options, async (app) => {
  await app.register(fastifyWebsocket)
  watchWithRecipe(app.websocketServer, options.heartbeat)
}))
