/**
 * The least that JavaScript can do: one frame, made once, written to the raw socket of each client below `ws`, in one go and
 * without a look at anything. No library for applications; what a broadcast costs beyond it is ours.
 */
import fastifyWebsocket from '@fastify/websocket'
import type { Socket } from 'node:net'
import { startFastify } from './fastify-server.ts'
import { serve } from './serve.ts'

serve((options) => startFastify(options, async (app) => { await app.register(fastifyWebsocket) }, (app, text) => {
  const bytes = frame(text)
  for (const socket of app.websocketServer.clients) (socket as unknown as { _socket: Socket })._socket.write(bytes)
}))

/** A text frame of a server (RFC 6455 §5.2), up to 64 KiB. */
function frame (text: string): Buffer {
  const { length } = text
  return Buffer.concat([Buffer.from(length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff]), Buffer.from(text)])
}
