/**
 * The ioredis client of the application, and the duplicates of it that the engine works on.
 *
 * ioredis is never imported: a client is known by what it can do. The client of the application is read, and never used otherwise.
 */
import type { FastifyInstance } from 'fastify'
import { check, show } from '../../base/check.ts'
import { isThenable } from '../../base/guard.ts'
import { BEAT_DEADLINE, CALL_DEADLINE } from '../guarded-engine.ts'

/** A client of ioredis, version 5 or 6: `Redis` or `Cluster`. */
export interface RedisClient {
  /** Whether it is a `Cluster`. */
  readonly isCluster: boolean
  /** Options of the client; the engine reads `keyPrefix`, and of a Cluster `redisOptions`. */
  readonly options: object
  /** Makes the clients that the engine works on. */
  duplicate (...args: never[]): object
  /** Not called on this client: other clients of Redis do not have it by this name. */
  evalsha (...args: never[]): unknown
}

/** What the engine uses of a duplicate. */
export interface Duplicate {
  readonly status: string
  on (event: string, listener: (...args: any[]) => void): unknown
  once (event: string, listener: (...args: any[]) => void): unknown
  connect (): Promise<unknown>
  disconnect (reconnect?: boolean): void
  call (command: string, args: ReadonlyArray<string | number>): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
}

const EXPECTED = 'a client of ioredis 5 or 6, or a function of the application that returns one'

/** What is waited for, milliseconds. */
export interface Timeouts {
  /** For the answer to a command: less than the time a beat has. */
  readonly commandTimeout: number
  /** For the answers to `beat` and `label`: as long as the plugin waits for them. */
  readonly beatTimeout: number
  readonly labelTimeout: number
  readonly connectTimeout: number
  /** For a connection to end by itself, which it does not while Redis is frozen. */
  readonly disconnectTimeout: number
}

export const TIMEOUTS: Timeouts = { commandTimeout: 1_500, beatTimeout: BEAT_DEADLINE, labelTimeout: CALL_DEADLINE, connectTimeout: 2_000, disconnectTimeout: 100 }

const MAX_RETRY_DELAY = 1_000

function retryDelay (times: number): number {
  return Math.min(100 * times, MAX_RETRY_DELAY) * (0.5 + Math.random() / 2)
}

/** Options that the engine sets on its connections. Address, user, password and TLS stay those of the application. */
const OPTIONS = {
  keyPrefix: '',
  lazyConnect: true,
  // A command is rejected at once while there is no connection, and when its connection ends. None is sent a second time.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  retryStrategy: retryDelay,
  // After a failover, the old primary refuses writes.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  // What ioredis does by itself after a reconnection has no handler for its rejection.
  autoResubscribe: false,
  // These would need permission for INFO and CLIENT.
  enableReadyCheck: false,
  disableClientInfo: true,
  connectionName: undefined,
  // These change when commands are sent, or how replies look.
  enableAutoPipelining: false,
  stringNumbers: false,
  readOnly: false,
  monitor: false
}

const CLUSTER_OPTIONS = {
  keyPrefix: '',
  lazyConnect: true,
  enableOfflineQueue: false,
  enableReadyCheck: false,
  enableAutoPipelining: false,
  scaleReads: 'master',
  clusterRetryStrategy: retryDelay,
  // What was sent when a connection ended is not sent again here either.
  retryDelayOnFailover: 0
}

/** Checks a client, or what a function has returned. Throws SOCKETS_ERR_INVALID_OPTION. */
export function checkClient (client: unknown): RedisClient {
  const { duplicate, evalsha, options } = (typeof client === 'object' && client !== null ? client : {}) as Partial<RedisClient>
  if (typeof duplicate === 'function' && typeof evalsha === 'function' && typeof options === 'object') return client as RedisClient
  return check.wrong('redis', EXPECTED, isThenable(client) ? 'a promise' : show(client))
}

/** Returns the client of an application. Throws SOCKETS_ERR_INVALID_OPTION. */
export function clientOf (app: FastifyInstance, redis: RedisClient | ((app: FastifyInstance) => RedisClient)): RedisClient {
  if (typeof redis !== 'function') return checkClient(redis)
  const client: unknown = redis(app)
  // In most applications it is a decorator, which another plugin adds.
  if (client === undefined) check.fail(`redis(app) must return ${EXPECTED.split(',')[0]!}, got undefined: register the plugin that makes it before this one`)
  return checkClient(client)
}

/** Prefix that the application has given to its client. */
export function prefixOf (client: RedisClient): string {
  return (client.options as { keyPrefix?: string }).keyPrefix ?? ''
}

/** Makes a client of our own that is not connected yet. */
export function duplicateOf (client: RedisClient, timeouts: Timeouts): Duplicate {
  const duplicate = client.duplicate as (...args: unknown[]) => unknown
  const options = { ...OPTIONS, ...timeouts }
  // ioredis 5 takes these in the place of those of the application, which have the password.
  const { redisOptions } = client.options as { redisOptions?: object }
  const args = client.isCluster ? [[], { ...CLUSTER_OPTIONS, slotsRefreshTimeout: timeouts.commandTimeout, redisOptions: { ...redisOptions, ...options } }] : [options]
  return Reflect.apply(duplicate, client, args) as Duplicate
}
