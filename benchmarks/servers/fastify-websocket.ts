/**
 * @fastify/websocket alone.
 */
import fastifyWebsocket from '@fastify/websocket'
import { startFastify } from './fastify-server.ts'
import { serve } from './serve.ts'

serve((options) => startFastify(options, async (app) => { await app.register(fastifyWebsocket) }))
