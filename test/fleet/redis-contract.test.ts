import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe } from 'node:test'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5'
import type { RedisClient } from '../../lib/fleet/redis/client.ts'
import { RedisEngine } from '../../lib/fleet/redis/redis-engine.ts'
import { missing } from '../helpers/optional.ts'
import { launchRedis, PATIENT } from '../helpers/redis.ts'
import type { RedisServer, RedisSettings } from '../helpers/redis.ts'
import { contract } from './contract.ts'

interface Way {
  settings: RedisSettings
  /** Number of the database that the client uses. */
  db?: number
  /** The client that an application has. */
  client: (server: RedisServer) => RedisClient & { disconnect (): void }
}

const lazyConnect = true
const user = { username: 'fleet', password: 'pass' }

const WAYS: Record<string, Way> = {
  'ioredis 5': { settings: {}, client: ({ options }) => new Redis5({ ...options, lazyConnect }) },
  'ioredis 6': { settings: {}, client: ({ options }) => new Redis({ ...options, lazyConnect }) },
  'ioredis 5, with a password, a keyPrefix and a database': {
    settings: { password: 'secret' },
    db: 3,
    client: ({ options }) => new Redis5({ ...options, lazyConnect, keyPrefix: 'my app:', db: 3 })
  },
  'ioredis 6, with a password, a keyPrefix and a database': {
    settings: { password: 'secret' },
    db: 3,
    client: ({ options }) => new Redis({ ...options, lazyConnect, keyPrefix: 'my app:', db: 3 })
  },
  'ioredis 5, over TLS, as a user who may only use the prefix': {
    settings: { tls: true, userOf: 'app:{' },
    client: ({ options }) => new Redis5({ ...options, ...user, lazyConnect, keyPrefix: 'app:' })
  },
  'ioredis 6, over TLS, as a user who may only use the prefix': {
    settings: { tls: true, userOf: 'app:{' },
    client: ({ options }) => new Redis({ ...options, ...user, lazyConnect, keyPrefix: 'app:' })
  },
  'ioredis 5, a Cluster': {
    settings: { cluster: true },
    client: ({ options }) => new Cluster5([options], { lazyConnect, keyPrefix: 'app:' })
  },
  'ioredis 6, a Cluster': {
    settings: { cluster: true },
    client: ({ options }) => new Cluster([options], { lazyConnect, keyPrefix: 'app:' })
  }
}

for (const [title, { settings, db = 0, client: makeClient }] of Object.entries(WAYS)) {
  describe(`an engine on Redis: ${title}`, { skip: missing('redis'), concurrency: 8 }, () => {
    let server: RedisServer
    let client: ReturnType<typeof makeClient>
    let fleets = 0
    before(async () => {
      server = await launchRedis(settings)
      if (db > 0) await server.command('SELECT', db)
      client = makeClient(server)
    })
    after(async () => {
      client.disconnect()
      await server.close()
    })

    // Each test is a fleet of its own on this Redis.
    contract(title, (t) => {
      const name = `fleet-${fleets++}`
      const keys = async () => (await server.command('KEYS', `*{${name}}:*`)) as string[]
      return {
        engine () {
          const engine = new RedisEngine(client, name, PATIENT)
          t.after(() => engine.close())
          return engine
        },
        advance: async (ms) => { await sleep(ms) },
        async clear () { await Promise.all((await keys()).map((key) => server.command('DEL', key))) },
        size: async () => (await keys()).length
      }
    })
  })
}
