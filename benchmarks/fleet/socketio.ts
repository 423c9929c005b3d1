/**
 * A node with Socket.IO over WebSocket only. The first argument is its adapter; rooms are owners and tags, as its documentation
 * proposes.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import type { RedisAddress } from './control.ts'
import { serveNode } from './node.ts'

serveNode(async (address) => {
  const http = createServer()
  const io = new Server(http, { transports: ['websocket'], adapter: await adapterOn(address) })
  io.on('connection', (socket) => {
    const { owner, tag } = socket.handshake.query
    for (const room of [owner, tag]) if (room !== undefined) void socket.join(room)
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  return {
    port: (http.address() as AddressInfo).port,
    id: String(process.pid),
    size: () => io.engine.clientsCount,
    nodes: () => io.of('/').adapter.serverCount(),
    count: async (owner) => (await io.in(owner).fetchSockets()).length,
    page: async () => (await io.fetchSockets()).length,
    broadcast: (tag, text) => io.to(tag).emit('message', text),
    disconnect: (owner) => { io.in(owner).disconnectSockets(true) }
  }
})

async function adapterOn (address: RedisAddress): Promise<object> {
  const redis = new Redis({ ...address })
  if (process.argv[2] === 'redis-streams-adapter') {
    const { createAdapter } = await import('@socket.io/redis-streams-adapter')
    return createAdapter(redis)
  }
  const { createAdapter } = await import('@socket.io/redis-adapter')
  return createAdapter(redis, redis.duplicate())
}
