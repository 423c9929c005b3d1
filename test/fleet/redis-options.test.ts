import assert from 'node:assert/strict'
import test from 'node:test'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis-5'
import { duplicateOf, TIMEOUTS } from '../../lib/fleet/redis/client.ts'
import { redisFleet } from '../../lib/fleet/redis/index.ts'
import type { RedisClient, RedisFleetOptions } from '../../lib/fleet/redis/index.ts'
import sockets from '../../lib/index.ts'

const client = (): Redis => new Redis({ lazyConnect: true })
const app = {} as FastifyInstance
const make = (options: unknown) => redisFleet(options as RedisFleetOptions)
const invalid = (message: RegExp) => ({ code: 'SOCKETS_ERR_INVALID_OPTION', message })

for (const [what, given, shown] of [
  ['nothing', undefined, 'undefined'],
  ['an address', 'redis://127.0.0.1', '"redis://127.0.0.1"'],
  ['options of a client', { host: '127.0.0.1' }, 'an object'],
  ['a client of node-redis', { duplicate () {}, evalSha () {}, options: {} }, 'an object'],
  ['null', null, 'null']
] as const) {
  test(`what is no client of ioredis throws at once: ${what}`, () => {
    const message = new RegExp(`^redis must be a client of ioredis 5 or 6, .+, got ${shown}$`)
    assert.throws(() => make({ redis: given, name: 'chat' }), invalid(message))
  })
}

test('a function that returns no client throws when the plugin is registered', () => {
  const provider = (redis: unknown) => make({ redis: () => redis, name: 'chat' })
  assert.throws(() => provider(undefined)(app), invalid(/^redis\(app\) must return a client of ioredis 5 or 6, got undefined: register the plugin that makes it before this one$/))
  assert.throws(() => provider(Promise.resolve(client()))(app), invalid(/^redis must be .+, got a promise$/))
  assert.throws(() => provider({})(app), invalid(/^redis must be .+, got an object$/))
})

test('what a function throws is what the registration rejects with', async () => {
  const error = new Error('mine')
  const instance = Fastify()
  await assert.rejects(async () => { await instance.register(sockets, { fleet: redisFleet({ redis: () => { throw error }, name: 'chat' }) }) }, (thrown) => thrown === error)
})

test('a function gets the application', () => {
  const redis = client()
  const seen: unknown[] = []
  make({ redis: (given: unknown) => { seen.push(given); return redis }, name: 'chat' })(app)
  assert.deepEqual(seen, [app])
})

test('a name is short and plain', () => {
  for (const name of [undefined, '', 'a{b}', 'a b', 'x'.repeat(65), 5]) {
    assert.throws(() => make({ redis: client(), name }), invalid(/^name must be a text of 1 to 64 letters/), String(name))
  }
  for (const name of ['chat', 'chat-2', 'a.b_c', 'x'.repeat(64)]) make({ redis: client(), name })
})

test('an unknown option throws', () => {
  assert.throws(() => make({ redis: client(), name: 'chat', nam: 'x' }), invalid(/^unknown option "nam"; did you mean "name"\?$/))
})

test('the client of the application is neither connected nor changed', async () => {
  const redis = client()
  const engine = make({ redis: redis as RedisClient, name: 'chat' })(app)
  await assert.rejects(engine.find('owner', 'x'), /^Error: Redis is not connected: the engine does not listen yet$/)
  await engine.close()
  assert.equal(redis.status, 'wait')
  assert.equal(redis.eventNames().length, 0)
})

for (const [version, Client] of [[5, Cluster5], [6, Cluster]] as const) {
  test(`ioredis ${version}: a duplicate of a Cluster has the user, the password and the TLS of its nodes`, (t) => {
    const redis = new Client([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true, redisOptions: { username: 'fleet', password: 'pass', tls: { servername: 'x' }, db: 0 } })
    const duplicate = duplicateOf(redis as unknown as RedisClient, TIMEOUTS) as unknown as Cluster
    t.after(() => { for (const each of [redis, duplicate]) each.disconnect() })
    const { username, password, tls, maxRetriesPerRequest } = duplicate.options.redisOptions!
    assert.deepEqual([username, password, tls, maxRetriesPerRequest], ['fleet', 'pass', { servername: 'x' }, 0])
  })
}
