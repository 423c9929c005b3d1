/**
 * Socket.IO over WebSocket only, set up as in its documentation.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { serve } from './serve.ts'

serve(async ({ handler, heartbeat }) => {
  const http = createServer()
  const io = new Server(http, {
    transports: ['websocket'],
    // It cannot be turned off; false means an interval that never ends.
    ...(heartbeat === undefined ? {} : { pingInterval: heartbeat === false ? 600_000 : heartbeat })
  })
  io.on('connection', (socket) => {
    socket.on('message', (text) => { if (handler === 'echo') socket.emit('message', text) })
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  return {
    port: (http.address() as AddressInfo).port,
    size: () => io.engine.clientsCount,
    broadcast: (text) => io.emit('message', text),
    close: () => io.close()
  }
})
