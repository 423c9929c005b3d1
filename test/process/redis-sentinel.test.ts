/**
 * A failover of Redis by a real Sentinel: the primary is killed, its replica promoted, and the fleet goes on.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis-5'
import { WebSocket } from 'ws'
import { redisFleet } from '../../lib/fleet/redis/index.ts'
import type { RedisClient } from '../../lib/fleet/redis/client.ts'
import { missing } from '../helpers/optional.ts'
import { plain } from '../helpers/routes.ts'
import { startSentinel } from '../helpers/sentinel.ts'
import { portOf, start, until } from '../helpers/server.ts'

/** Connections of each node that stay, and those that are disconnected. */
const STAY = 5
const ORDERS = 60

/** A client that comes back when it is closed, and counts how often that was. */
class Returning {
  readonly #url: string
  closed = 0
  socket!: WebSocket

  constructor (url: string) { this.#url = url }

  async connect (): Promise<void> {
    this.socket = new WebSocket(this.#url)
    this.socket.on('error', () => {})
    await once(this.socket, 'open')
    this.socket.once('close', () => {
      this.closed++
      // At the end there is no server.
      this.connect().catch(() => {})
    })
  }
}

test('a Sentinel promotes the replica: no connection is lost, orders are carried out once, and the view is right', { skip: missing('redis') }, async (t) => {
  const { primary, options, promoted } = await startSentinel(t)
  // A node with each version of ioredis.
  const redis = [new Redis({ ...options, lazyConnect: true }), new Redis5({ ...options, lazyConnect: true })] as unknown as RedisClient[]
  const nodes = await Promise.all(redis.map((redis) => start(t, {
    fleet: redisFleet({ redis, name: 'chat' }),
    owner: ({ query }) => (query as { owner: string }).owner
  }, plain)))
  const [issuer, other] = nodes
  const events: string[] = []
  for (const { sockets: { fleet } } of nodes) {
    for (const event of ['left', 'lost'] as const) fleet.on(event, ({ id }) => { events.push(`${event} ${id}`) })
    fleet.on('offline', ({ owner, here }) => { if (here) events.push(`offline ${owner}`) })
  }
  await until(() => nodes.every(({ sockets }) => sockets.fleet.nodes.length === 2))
  const clients = nodes.flatMap((node) => Array.from({ length: STAY }, () => new Returning(`ws://127.0.0.1:${portOf(node)}/?owner=stays`)))
  const owners = Array.from({ length: ORDERS }, (_, i) => `owner ${i}`)
  const ordered = owners.map((owner) => new Returning(`ws://127.0.0.1:${portOf(other!)}/?owner=${owner}`))
  for (const client of [...clients, ...ordered]) await client.connect()

  // One after the other; one that is rejected is given again.
  let rejected = 0
  const orders = (async () => {
    for (const owner of owners) {
      const order = () => issuer!.sockets.fleet.disconnect({ owner })
      for (let done = false; !done;) {
        done = await order().then(() => true, () => false)
        if (!done) rejected++
        await sleep(done ? 10 : 50)
      }
    }
  })()
  await until(() => ordered.filter(({ closed }) => closed > 0).length > ORDERS / 4)
  await primary.kill()
  await promoted()
  await orders
  await until(() => ordered.every(({ closed }) => closed > 0))
  assert.ok(rejected > 0)
  const counted = async () => await Promise.all(nodes.map(({ sockets }) => sockets.fleet.count({ owner: 'stays' }).catch(() => null)))
  for (let answers = await counted(); answers.some((answer) => answer?.value !== 2 * STAY || !answer.complete); answers = await counted()) await sleep(50)
  for (const { sockets: { fleet } } of nodes) assert.equal(fleet.nodes.length, 2)
  // An order that were carried out again would come within a beat.
  await sleep(2_500)
  assert.deepEqual(ordered.filter(({ closed }) => closed !== 1), [])
  assert.deepEqual(clients.filter(({ closed }) => closed > 0), [])
  assert.deepEqual(events.filter((event) => !event.startsWith('offline owner')), [])
})
