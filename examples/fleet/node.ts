// One node of a fleet; several of them share a Redis (REDIS_URL). /chat?user=… joins the room; what a client says goes to the room on
// all nodes. /where?user=… tells where a user is, DELETE /users/:user disconnects one everywhere. SIGTERM drains it: its clients move
// to the other nodes, no faster than these can take them.

import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import sockets from '../../lib/index.ts'
import { redisFleet } from '../../lib/fleet/redis/index.ts'

const app = Fastify({ logger: { level: process.env.LOG_LEVEL ?? 'warn' } })
const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { lazyConnect: true })

await app.register(sockets, {
  signals: true,
  // A broadcast to the fleet has 1 MiB at most.
  options: { maxPayload: 65_536 },
  readiness: '/ready',
  // The whole fleet has one of these; a node that leaves books its clients' turns.
  fleet: redisFleet({ redis, name: 'chat' }),
  drain: { terminationGracePeriod: 20_000 },
  owner: (request) => (request.query as { user?: string }).user,
  // A user has at most three connections, wherever they are; a fourth ends the oldest.
  limits: { perOwner: { max: 3, policy: 'evict-oldest', scope: 'fleet' } }
})

app.get('/chat', { websocket: true }, (socket) => {
  const connection = app.sockets.of(socket)
  connection.tag('lobby')
  socket.send(`this is ${app.sockets.fleet.node}`)
  socket.on('message', (message: Buffer) => {
    void app.sockets.fleet.broadcast(`${connection.owner}: ${message.toString()}`, { tag: 'lobby' })
  })
})

app.get('/where', (request) => app.sockets.fleet.presence((request.query as { user: string }).user))
app.get('/nodes', () => app.sockets.fleet.nodes)

app.delete('/users/:user', (request) => {
  const { user } = request.params as { user: string }
  return app.sockets.fleet.disconnect({ owner: user }, { code: 3003, reason: 'account closed', why: 'asked by DELETE' })
})

// `here` is true on one node of the fleet: it alone would tell the database.
app.sockets.fleet.on('offline', ({ owner, here }) => { if (here) console.log(`${owner} has gone offline`) })

await app.listen({ port: Number(process.env.PORT ?? 0), host: process.env.HOST ?? '127.0.0.1' })
console.log(`listening on ${(app.server.address() as AddressInfo).port}`)
