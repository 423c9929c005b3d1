/**
 * States that are handed over from one node of a fleet to another, through Redis.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { RedisEngine } from '../../lib/fleet/redis/redis-engine.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/clock.ts'
import { endOf, offering } from '../helpers/handovers.ts'
import { missing } from '../helpers/optional.ts'
import { PATIENT, startRedis } from '../helpers/redis.ts'
import type { RedisServer } from '../helpers/redis.ts'
import { connect, start } from '../helpers/server.ts'
import type { TestClient } from '../helpers/server.ts'

const COUNT = 1_000

/** A node that tells each client what it was handed, and hands over what its path says. Returns how a user comes to it. */
async function serve (t: TestContext, server: RedisServer, options: LifecycleOptions) {
  const client = new Redis({ ...server.options, lazyConnect: true })
  t.after(() => { client.disconnect() })
  const fleet = () => new RedisEngine(client, 'chat', PATIENT)
  const app = await start(t, { owner: ({ headers }) => headers['x-user'] as string, heartbeat: false, fleet, ...options }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      connection.handover({ of: connection.owner, text: 'état 😀' })
      socket.send(JSON.stringify(connection.handed ?? null))
    })
  })
  const come = async (user: string, id?: string): Promise<TestClient> => await connect(t, app, '/', offering(id, { headers: { 'x-user': user } }))
  return { app, come }
}

async function inParts<T> (each: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let from = 0; from < COUNT; from += 50) results.push(...await Promise.all(Array.from({ length: 50 }, (_, i) => each(from + i))))
  return results
}

test('1,000 of 1,000 states arrive on another node, none at another owner, and no key is left', { skip: missing('redis') }, async (t) => {
  const server = await startRedis(t)
  // No time passes on the node that the clients come to: no handshake of a busy machine is too late.
  const after = await serve(t, server, { clock: createClock() })
  // States wait for as long as a busy machine needs. A function: to a text the drain adds a delay of its own.
  const before = await serve(t, server, { closeTimeout: 100_000, drain: { reason: () => 'retry=3600000', timeout: 600_000, spread: false } })
  const clients = await inParts(async (i) => {
    const client = await before.come(`user ${i}`)
    await client.next()
    return client
  })
  const [ends] = await Promise.all([Promise.all(clients.map(endOf)), before.app.close()])
  const ids = ends.map(({ id }) => id)
  assert.equal(new Set(ids).size, COUNT)
  const waiting = [...await server.keys()].filter(([key]) => key.includes('handover:'))
  assert.equal(waiting.length, COUNT)
  for (const [key, ttl] of waiting) assert.ok(ttl > 0 && ttl <= 3_700_000, `${key}: ${ttl}`)

  // Every tenth id is offered by another user, who gets nothing.
  const arrived = await inParts(async (i) => JSON.parse(String(await (await after.come(i % 10 === 0 ? 'thief' : `user ${i}`, ids[i])).next())) as unknown)
  assert.deepEqual(arrived, ids.map((_, i) => i % 10 === 0 ? null : { of: `user ${i}`, text: 'état 😀' }))
  assert.deepEqual([...(await server.keys()).keys()].filter((key) => key.includes('handover:')), [])
})
