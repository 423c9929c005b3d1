// Types of `fastify-websocket-lifecycle/redis`: clients of both versions of ioredis, and a decorator of the application.
import type { FastifyInstance } from 'fastify'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5'
import { expectError, expectType } from 'tsd'
import { redisFleet, type RedisClient, type RedisFleetOptions } from 'fastify-websocket-lifecycle/redis'

declare module 'fastify' {
  interface FastifyInstance { redis: Redis }
}

const provider = redisFleet({ redis: new Redis(), name: 'chat' })
redisFleet({ redis: new Redis5(), name: 'chat' })
redisFleet({ redis: new Cluster([]), name: 'chat' })
redisFleet({ redis: new Cluster5([]), name: 'chat' })
redisFleet({ redis: (app) => app.redis, name: 'chat' })
redisFleet({ redis: (app) => { expectType<FastifyInstance>(app); return app.redis }, name: 'chat' })

const client: RedisClient = new Redis()
const options: RedisFleetOptions = { redis: client, name: 'chat' }
redisFleet(options)
expectType<(app: FastifyInstance) => object>((app: FastifyInstance): object => provider(app))

expectError(redisFleet({ redis: new Redis() }))
expectError(redisFleet({ name: 'chat' }))
expectError(redisFleet({ redis: 'redis://127.0.0.1', name: 'chat' }))
expectError(redisFleet({ redis: async () => new Redis(), name: 'chat' }))
expectError(redisFleet({ redis: new Redis(), name: 'chat', prefix: 'x' }))
