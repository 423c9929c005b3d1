// A TypeScript project under `strict`, written with `import`. Compiled to ES modules and to CommonJS, never run.
import Fastify, { type FastifyInstance } from 'fastify'
import sockets, { CloseCode, type CloseRecord, type Connection, type DrainReport, type LifecycleOptions, type RouteSocketOptions } from 'fastify-websocket-lifecycle'
import * as everything from 'fastify-websocket-lifecycle'
import { redisFleet, type RedisClient } from 'fastify-websocket-lifecycle/redis'
import { assertClean, connect, createClock, type Closed, type TestClient, type TestClock } from 'fastify-websocket-lifecycle/testing'

declare module 'fastify-websocket-lifecycle' {
  interface ConnectionData {
    userId: string
    rooms: Set<string>
  }
}

const clock: TestClock = createClock({ wall: new Date(0) })

const options: LifecycleOptions = {
  clock,
  heartbeat: { interval: 10_000 },
  limits: { handshakes: { timeout: 5_000 } },
  owner: (request) => request.headers.authorization,
  data: (request) => ({ userId: request.id, rooms: new Set() }),
  drain: { terminationGracePeriod: 30_000, preStop: 5_000 }
}

// ioredis is not installed here.
declare const redis: RedisClient
options.fleet = redisFleet({ redis, name: 'chat' })
// @ts-expect-error: no client
redisFleet({ redis: 'redis://127.0.0.1', name: 'chat' })

// @ts-expect-error: nothing fills the required fields of ConnectionData
const incomplete: LifecycleOptions = { heartbeat: false }

async function main (): Promise<void> {
  const app: FastifyInstance = Fastify()
  // @ts-expect-error: nor here
  await app.register(sockets, incomplete.drain === undefined ? {} : { drain: incomplete.drain })
  // @ts-expect-error: nor here
  await app.register(sockets)
  await app.register(sockets, options)
  await app.register(everything.default, options)
  const restart: 1012 = everything.CloseCode.ServiceRestart
  // @ts-expect-error: misspelt
  await app.register(sockets, { ...options, hartbeat: false })

  app.get('/jobs', { websocket: true, config: { sockets: { holdMessages: true } } }, async (socket, request) => {
    const connection: Connection = app.sockets.of(socket)
    connection.data.rooms.add(request.url)
    const user: string = connection.data.userId
    connection.defer(() => { request.log.info(user) })
    connection.expiresAt = new Date(clock.wallNow() + 60_000)
    connection.idleTimeout = 60_000
    const expiresAt: number | undefined = connection.expiresAt
    request.log.info({ expiresAt, rtt: connection.rtt })
    for await (const message of connection.messages()) socket.send(message)
    const record: CloseRecord = await connection.closed
    request.log.info(record.code === CloseCode.ServiceRestart)
  })

  // @ts-expect-error: a boolean
  app.get('/wrong', { websocket: true, config: { sockets: { holdMessages: 'yes' } } }, () => {})

  // TypeScript infers `config` from what is given and misses unknown keys; `satisfies` finds them.
  app.get('/misspelt', { websocket: true, config: { sockets: { hartbeat: false } } }, () => {})
  // @ts-expect-error: misspelt
  app.get('/misspelt', { websocket: true, config: { sockets: { hartbeat: false } satisfies RouteSocketOptions } }, () => {})
  app.get('/checked', { websocket: true, config: { sockets: { heartbeat: false } satisfies RouteSocketOptions } }, () => {})

  const report: DrainReport = await app.sockets.drain()
  const left: number = app.sockets.size
  app.log.info({ report, left, restart })

  const client: TestClient = await connect(app, '/jobs', { headers: { authorization: 'ann' } })
  const message: string | Buffer = await client.next()
  client.send(message)
  await clock.tick(60_000)
  const { code, reason }: Closed = await client.closed
  app.log.info({ code, reason })
  await assertClean(app, { sockets: 1 })
}
void main()
