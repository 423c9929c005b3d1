/**
 * The entry point `fastify-websocket-lifecycle/redis`: the engine of a fleet on Redis.
 */
import type { FastifyInstance } from 'fastify'
import { check, show } from '../../base/check.ts'
import { knownKeys } from '../../options/keys.ts'
import type { FleetProvider } from '../engine.ts'
import { checkClient, clientOf } from './client.ts'
import type { RedisClient } from './client.ts'
import { RedisEngine } from './redis-engine.ts'

/** Options of the engine. */
export interface RedisFleetOptions {
  /**
   * A client of ioredis 5 or 6, or a function that returns it, such as `(app) => app.redis`. The engine makes duplicates of it, with
   * its address, name, password, TLS and `keyPrefix`, and leaves the client itself alone.
   */
  redis: RedisClient | ((app: FastifyInstance) => RedisClient)
  /** Name of the fleet: the same on all its nodes, and different for two fleets on one Redis. 1 to 64 letters, digits, `.`, `_` or `-`. */
  name: string
}

/** Makes the value of the option `fleet` for a fleet on Redis 7. Throws SOCKETS_ERR_INVALID_OPTION. */
export function redisFleet (options: RedisFleetOptions): FleetProvider {
  knownKeys('', options, ['redis', 'name'])
  const { redis, name } = options
  const isName = (value: unknown): boolean => typeof value === 'string' && /^[\w.-]{1,64}$/.test(value)
  if (!isName(name)) check.wrong('name', 'a text of 1 to 64 letters, digits, ".", "_" or "-"', show(name))
  if (typeof redis !== 'function') checkClient(redis)
  return (app) => new RedisEngine(clientOf(app, redis), name)
}

export type { RedisClient }
