/**
 * Nodes of a fleet in processes of their own, on a real Redis that fails, and nodes that fail: after each fault no connection is lost,
 * and all nodes know each other again.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addNamespace, noNamespace } from '../helpers/namespace.ts'
import type { Namespace } from '../helpers/namespace.ts'
import { missing } from '../helpers/optional.ts'
import { launchRedis } from '../helpers/redis.ts'
import type { RedisServer } from '../helpers/redis.ts'
import { Scope } from '../helpers/scope.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'
import type { TcpProxy } from '../helpers/tcp-proxy.ts'
import { assertTold, churn } from './fleet-churn.ts'
import { agreed, assertConnected, assertNotGone, down, FleetProcess, lost } from './fleet-processes.ts'

const HOUR = 3_600_000

describe('a fleet of processes on Redis', { skip: missing('redis') }, () => {
  const scope = new Scope()
  let server: RedisServer
  /** In front of Redis: one for the first node, and one for all others. */
  let proxies: [TcpProxy, TcpProxy]
  /** The first node is in it, and its proxy is not. Where there is none, the proxy drops what it gets. */
  let namespace: Namespace | null = null
  let nodes: FleetProcess[]

  const start = (offset = 0): Promise<FleetProcess> => FleetProcess.start(scope, { redis: proxies[1], offset })

  const startFirst = async (offset: number): Promise<FleetProcess> => {
    const { port } = proxies[0]
    if (namespace === null) return await FleetProcess.start(scope, { redis: { port }, offset })
    return await FleetProcess.start(scope, { redis: { host: namespace.near, port }, host: namespace.far, offset, ...namespace.fork })
  }

  before(async () => {
    server = await launchRedis()
    scope.after(() => server.close())
    if (noNamespace() === false) namespace = addNamespace(scope, 'fleet')
    proxies = [await startProxy(scope, server.options.port, namespace?.near), await startProxy(scope, server.options.port)]
    // At the same time, and with clocks an hour apart.
    nodes = await Promise.all([startFirst(-HOUR), start(), start(HOUR)])
    for (const node of nodes) await node.connect()
  })
  after(() => scope.end())
  beforeEach(async () => {
    await agreed(nodes)
    for (const node of nodes) await node.events()
  })
  afterEach(async () => { await assertConnected(nodes) })

  test('nodes that start at the same time, with clocks an hour apart, know each other', async () => {
    assert.equal(new Set(nodes.map(({ id }) => id)).size, 3)
    await agreed(nodes)
  })

  test('Redis is killed and restarted empty', async () => {
    await server.kill()
    await down([nodes[0]!])
    await assertConnected(nodes)
    await server.start()
    await agreed(nodes)
    await assertNotGone(nodes)
  })

  test('Redis is frozen for longer than a lease', async () => {
    server.freeze()
    await sleep(8_000)
    for (const node of nodes) assert.equal((await node.view()).state, 'down')
    await assertConnected(nodes)
    server.thaw()
    await agreed(nodes)
    await assertNotGone(nodes)
  })

  test('CLIENT KILL of all connections', async () => {
    for (const type of ['normal', 'pubsub']) await server.command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
    await agreed(nodes)
    await assertNotGone(nodes)
  })

  test('each answer of Redis comes half a second later', async () => {
    for (const proxy of proxies) proxy.delay = 500
    await down(nodes)
    await assertConnected(nodes)
    for (const proxy of proxies) proxy.delay = 0
    await agreed(nodes)
    await assertNotGone(nodes)
  })

  test('a node whose network to Redis is cut for longer than its lease is lost, keeps its connections, and joins anew', async (t) => {
    const [proxy] = proxies
    const [lonely, ...others] = nodes
    if (namespace === null) t.diagnostic(`without a network namespace: ${String(noNamespace())}`)
    if (namespace === null) proxy.silent = true
    else namespace.cut(proxy.port)
    await lost(lonely!, others)
    assert.equal((await lonely!.view()).state, 'down')
    await assertConnected(nodes)
    if (namespace === null) {
      proxy.silent = false
      proxy.cut()
    } else {
      namespace.heal(proxy.port)
    }
    await agreed(nodes)
  })

  test('FLUSHALL', async () => {
    await server.command('FLUSHALL')
    await agreed(nodes)
    await assertNotGone(nodes)
  })

  test('Redis has no memory for a while', async () => {
    await server.command('CONFIG', 'SET', 'maxmemory', 1)
    await down([nodes[0]!])
    await assertConnected(nodes)
    await server.command('CONFIG', 'SET', 'maxmemory', 0)
    await agreed(nodes)
    await assertNotGone(nodes)
  })

  test('messages of another program and of another version are ignored and counted', async () => {
    const [node] = nodes
    const { ignored } = await node!.view()
    for (const text of ['hello', '{}', '{"v":2,"type":"probe","from":"x","body":{}}', '{"v":1,"type":"unheard of","from":"x","body":{}}', '[1]', '\ud800']) {
      assert.equal(await server.command('PUBLISH', `{chat}:to:${node!.id}`, text), 1)
    }
    while ((await node!.view()).ignored !== ignored + 6) await sleep(20)
  })

  test('a node that is killed is out of the view of the others, and its owners are gone', async () => {
    const victim = await start()
    await victim.connect()
    await agreed([...nodes, victim])
    victim.child.kill('SIGKILL')
    await victim.child.exited
    await agreed(nodes)
    for (const node of nodes) assert.ok((await node.events()).includes(`lost ${victim.id}`))
  })

  test('a node that is frozen for longer than its lease is lost, and joins anew with its connections', async () => {
    const [zombie, ...others] = nodes
    zombie!.child.kill('SIGSTOP')
    await lost(zombie!, others)
    zombie!.child.kill('SIGCONT')
    await agreed(nodes)
    for (const node of others) {
      const events = (await node.events()).filter((event) => event.endsWith(zombie!.id))
      assert.deepEqual(events, [`lost ${zombie!.id}`, `joined ${zombie!.id}`])
    }
  })

  test('200 nodes a minute come and go: each is told once, and nothing is left of them', async () => {
    const { ids } = await churn(server.options, { nodes: 10, every: 300, stay: 500 })
    await agreed(nodes)
    for (const node of nodes) assertTold(ids, await node.events())
    const stray = [...(await server.keys()).keys()].filter((key) => key.includes(':node:') && !nodes.some(({ id }) => key.endsWith(id)))
    assert.deepEqual(stray, [])
    for (const [key, ttl] of await server.keys()) assert.ok(ttl > 0 && ttl <= HOUR, `${key}: ${ttl}`)
  })
})
