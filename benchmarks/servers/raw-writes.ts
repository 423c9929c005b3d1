/**
 * The minimum in JavaScript: one frame, created once, written to the raw socket of each client below `ws`, without any checks;
 * at once, or in slices between turns of the event loop. The cost of a broadcast beyond it is that of the plugin.
 */
import fastifyWebsocket from '@fastify/websocket'
import type { Socket } from 'node:net'
import { inSlices, systemClock } from '../../lib/base/clock.ts'
import { startFastify } from './fastify-server.ts'
import { serve } from './serve.ts'

serve((options) => startFastify(options, async (app) => { await app.register(fastifyWebsocket) }, (app, text) => {
  const bytes = frame(text)
  const write = (socket: unknown) => { (socket as { _socket: Socket })._socket.write(bytes) }
  const { clients } = app.websocketServer
  if (options.slices) return new Promise<void>((resolve) => { inSlices(systemClock, [...clients], write, resolve) })
  return clients.forEach(write)
}))

/** A text frame of a server (RFC 6455 §5.2), up to 64 KiB. */
function frame (text: string): Buffer {
  const payload = Buffer.from(text)
  const { length } = payload
  return Buffer.concat([Buffer.from(length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff]), payload])
}
