/**
 * Limits that count the connections of all nodes, on a real Redis, over real sockets and processes.
 *
 * A machine that is busy may let calls of the engine expire: the nodes then refuse (`onOutage: 'refuse'`), and tests try again.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { redisFleet } from '../../lib/fleet/redis/index.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { open } from '../../lib/testing/connect.ts'
import type { TestClient } from '../../lib/testing/connect.ts'
import { forkFixture } from '../helpers/child.ts'
import { ended } from '../helpers/ends.ts'
import { missing } from '../helpers/optional.ts'
import { startRedis } from '../helpers/redis.ts'
import type { RedisServer } from '../helpers/redis.ts'
import { plain } from '../helpers/routes.ts'
import { portOf, start, until } from '../helpers/server.ts'

type Limits = NonNullable<LifecycleOptions['limits']>

const skip = missing('redis')
const BUSY = 503

/** Starts a node in this process. */
async function startNode (t: TestContext, server: RedisServer, limits: Limits) {
  return await start(t, {
    fleet: redisFleet({ redis: new Redis({ ...server.options, lazyConnect: true }), name: 'places' }),
    onOutage: 'refuse',
    owner: ({ headers }) => headers['x-user'] as string | undefined,
    limits
  }, plain)
}

/** Starts a node in a process of its own. */
async function forkNode (t: TestContext, server: RedisServer, limits: Limits) {
  const child = forkFixture(t, 'places-node', [String(server.options.port), JSON.stringify(limits)])
  return { child, port: await child.message<number>() }
}

/** Connects an owner. Resolves with the client, or with the status of the refusal. */
async function connect (t: TestContext, port: number, owner: string): Promise<TestClient | number> {
  const client = await open(`ws://127.0.0.1:${port}/`, { headers: { 'x-user': owner } }).catch(({ status }: { status: number }) => status)
  if (typeof client !== 'number') t.after(() => { client.socket.terminate() })
  return client
}

/** The same until it is neither refused for want of an engine, nor, unless `status` says so, at all. */
async function attempt<T extends TestClient | number> (t: TestContext, port: number, owner: string, wanted: (result: TestClient | number) => result is T): Promise<T> {
  for (;;) {
    const result = await connect(t, port, owner)
    if (wanted(result)) return result
  }
}

const isOpen = (result: TestClient | number): result is TestClient => typeof result !== 'number'
const isDecided = (result: TestClient | number): result is TestClient | number => result !== BUSY

test('handshakes that race over eight nodes fill the limit of an owner exactly', { skip }, async (t) => {
  const server = await startRedis(t)
  const nodes = await Promise.all(Array.from({ length: 8 }, () => startNode(t, server, { perOwner: { max: 3, scope: 'fleet' } })))
  const counts = new Map<string, number>()
  for (const { sockets } of nodes) {
    sockets.on('open', ({ owner }) => {
      counts.set(owner!, (counts.get(owner!) ?? 0) + 1)
      assert.ok(counts.get(owner!)! <= 3, owner)
    })
  }
  await Promise.all(Array.from({ length: 200 }, (_, i) => attempt(t, portOf(nodes[i % 8]!), `owner ${i % 20}`, isDecided)))
  assert.deepEqual([...counts.values()], Array.from({ length: 20 }, () => 3))
})

test('evict-oldest closes the oldest connection, in another process', { skip }, async (t) => {
  const server = await startRedis(t)
  const limits: Limits = { perOwner: { max: 1, policy: 'evict-oldest', scope: 'fleet' } }
  const { port } = await forkNode(t, server, limits)
  const first = await attempt(t, port, 'ann', isOpen)
  const app = await startNode(t, server, limits)
  await attempt(t, portOf(app), 'ann', isOpen)
  assert.deepEqual(await ended(first), { code: 4001, reason: 'replaced' })
})

test('a node that is killed with SIGKILL gives its places back with its lease', { skip }, async (t) => {
  const server = await startRedis(t)
  const limits: Limits = { perOwner: { max: 1, scope: 'fleet' } }
  const { child, port } = await forkNode(t, server, limits)
  await attempt(t, port, 'ann', isOpen)
  const app = await startNode(t, server, limits)
  assert.equal(await attempt(t, portOf(app), 'ann', isDecided), 429)
  child.kill('SIGKILL')
  await child.exited
  await attempt(t, portOf(app), 'ann', isOpen)
  assert.equal(app.sockets.fleet.nodes.length, 1)
})

test('Redis restarts empty: two beats later it knows every place', { skip }, async (t) => {
  const server = await startRedis(t)
  const limits: Limits = { perOwner: { max: 1, scope: 'fleet' } }
  const [one, two] = await Promise.all([startNode(t, server, limits), startNode(t, server, limits)])
  await attempt(t, portOf(one), 'ann', isOpen)
  await server.kill()
  await until(() => one.sockets.fleet.state === 'down')
  await server.start()
  // A node has this key while it has a place.
  while (![...(await server.keys()).keys()].some((key) => key.endsWith(`places:${one.sockets.fleet.node}`))) continue
  await until(() => two.sockets.fleet.state === 'up')
  assert.equal(await attempt(t, portOf(two), 'ann', isDecided), 429)
  assert.equal(one.sockets.size, 1)
})
