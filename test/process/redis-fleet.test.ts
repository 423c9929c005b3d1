/**
 * Nodes of a fleet in processes of their own, on a real Redis that fails, and nodes that fail: after each fault no connection is lost,
 * and all nodes know each other again.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, beforeEach, afterEach, describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { forkFixture } from '../helpers/child.ts'
import type { Child } from '../helpers/child.ts'
import { missing } from '../helpers/optional.ts'
import { launchRedis } from '../helpers/redis.ts'
import type { RedisServer } from '../helpers/redis.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'
import type { TcpProxy } from '../helpers/tcp-proxy.ts'

interface View {
  state: 'up' | 'down'
  nodes: string[]
  open: number
  count: { value: number, complete: boolean } | null
  ignored: number
}

/** Connections of each node. */
const CONNECTIONS = 5
const HOUR = 3_600_000

class Node {
  readonly id: string
  readonly child: Child
  readonly clients: WebSocket[] = []
  readonly #port: number

  constructor (child: Child, { id, port }: { id: string, port: number }) {
    this.child = child
    this.id = id
    this.#port = port
  }

  /** Opens connections of an owner that all nodes have. */
  async connect (): Promise<void> {
    for (let i = 0; i < CONNECTIONS; i++) {
      const client = new WebSocket(`ws://127.0.0.1:${this.#port}/?owner=shared`).on('error', () => {})
      this.clients.push(client)
      await once(client, 'open')
    }
  }

  async ask<T> (question: string): Promise<T> {
    this.child.process.send(question)
    return (await this.child.message<{ answer: T }>()).answer
  }

  async view (): Promise<View> { return await this.ask('view') }
}

/** Ends what was begun, last first. */
class Scope {
  readonly #ends: Array<() => unknown> = []

  after (end?: () => unknown): void { if (end !== undefined) this.#ends.push(end) }

  async end (): Promise<void> { for (const end of this.#ends.splice(0).reverse()) await end() }
}

describe('a fleet of processes on Redis', { skip: missing('redis') }, () => {
  const scope = new Scope()
  let server: RedisServer
  /** In front of Redis: one for the first node, and one for all others. */
  let proxies: [TcpProxy, TcpProxy]
  let nodes: Node[]

  const start = async (offset = 0, [, proxy] = proxies): Promise<Node> => {
    const child = forkFixture(scope as unknown as TestContext, 'fleet-node', [String(proxy.port), String(offset)])
    return new Node(child, await child.message())
  }

  /** Resolves when each node is up, sees all of them, and counts all connections. */
  const agreed = async (all: readonly Node[] = nodes): Promise<View[]> => {
    const expected = { state: 'up', nodes: all.map(({ id }) => id).sort(), open: CONNECTIONS, value: CONNECTIONS * all.length, complete: true }
    for (let tries = 0; ; tries++) {
      const views = await Promise.all(all.map((node) => node.view()))
      const seen = views.map(({ state, nodes, open, count }) => ({ state, nodes, open, value: count?.value, complete: count?.complete }))
      try {
        assert.deepEqual(seen, all.map(() => expected))
        return views
      } catch (error) {
        if (tries === 600) throw error
        await sleep(100)
      }
    }
  }

  const assertConnected = async (all: readonly Node[] = nodes): Promise<void> => {
    await Promise.all(all.flatMap(({ clients }) => clients).map(async (client) => {
      assert.equal(client.readyState, WebSocket.OPEN)
      client.send('still there?')
      assert.equal(String((await once(client, 'message'))[0]), 'echo still there?')
    }))
  }

  /** Resolves when the others no longer see a node, or count its connections. */
  const lost = async ({ id }: Node, others: readonly Node[]): Promise<void> => {
    const isGone = ({ nodes, count }: View) => !nodes.includes(id) && count?.value === CONNECTIONS * others.length
    while (!(await Promise.all(others.map((node) => node.view()))).every(isGone)) await sleep(100)
  }

  before(async () => {
    server = await launchRedis()
    scope.after(() => server.close())
    proxies = [await startProxy(scope as unknown as TestContext, server.options.port), await startProxy(scope as unknown as TestContext, server.options.port)]
    // At the same time, and with clocks an hour apart.
    nodes = await Promise.all([start(-HOUR, [proxies[1], proxies[0]]), start(0), start(HOUR)])
    for (const node of nodes) await node.connect()
  })
  after(() => scope.end())
  beforeEach(async () => {
    await agreed()
    for (const node of nodes) await node.ask('events')
  })
  afterEach(async () => { await assertConnected() })

  test('nodes that start at the same time, with clocks an hour apart, know each other', async () => {
    assert.equal(new Set(nodes.map(({ id }) => id)).size, 3)
    await agreed()
  })

  test('Redis is killed and restarted empty', async () => {
    await server.kill()
    while ((await nodes[0]!.view()).state === 'up') await sleep(50)
    await assertConnected()
    await server.start()
    await agreed()
    for (const node of nodes) assert.deepEqual((await node.ask<string[]>('events')).filter((event) => /lost|left|offline/.test(event)), [])
  })

  test('Redis is frozen for longer than a lease', async () => {
    server.freeze()
    await sleep(8_000)
    for (const node of nodes) assert.equal((await node.view()).state, 'down')
    await assertConnected()
    server.thaw()
    await agreed()
    for (const node of nodes) assert.deepEqual((await node.ask<string[]>('events')).filter((event) => /lost|left|offline/.test(event)), [])
  })

  test('CLIENT KILL of all connections', async () => {
    for (const type of ['normal', 'pubsub']) await server.command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
    await agreed()
  })

  test('each answer of Redis comes half a second later', async () => {
    for (const proxy of proxies) proxy.delay = 500
    for (const node of nodes) while ((await node.view()).state === 'up') await sleep(50)
    await assertConnected()
    for (const proxy of proxies) proxy.delay = 0
    await agreed()
  })

  test('a node that is cut off from Redis for longer than its lease is lost, keeps its connections, and joins anew', async () => {
    const [proxy] = proxies
    const [lonely, ...others] = nodes
    proxy.silent = true
    await lost(lonely!, others)
    assert.equal((await lonely!.view()).state, 'down')
    await assertConnected()
    proxy.silent = false
    proxy.cut()
    await agreed()
  })

  test('FLUSHALL', async () => {
    await server.command('FLUSHALL')
    await agreed()
    for (const node of nodes) assert.deepEqual((await node.ask<string[]>('events')).filter((event) => /lost|left|offline/.test(event)), [])
  })

  test('Redis has no memory for a while', async () => {
    await server.command('CONFIG', 'SET', 'maxmemory', 1)
    while ((await nodes[0]!.view()).state === 'up') await sleep(50)
    await assertConnected()
    await server.command('CONFIG', 'SET', 'maxmemory', 0)
    await agreed()
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
    await agreed()
    for (const node of nodes) assert.ok((await node.ask<string[]>('events')).includes(`lost ${victim.id}`))
  })

  test('a node that is frozen for longer than its lease is lost, and joins anew with its connections', async () => {
    const [zombie, ...others] = nodes
    zombie!.child.kill('SIGSTOP')
    await lost(zombie!, others)
    zombie!.child.kill('SIGCONT')
    await agreed()
    for (const node of others) {
      const events = (await node.ask<string[]>('events')).filter((event) => event.endsWith(zombie!.id))
      assert.deepEqual(events, [`lost ${zombie!.id}`, `joined ${zombie!.id}`])
    }
  })

  test('nodes that come and go leave nothing behind', async () => {
    for (let round = 0; round < 2; round++) {
      const guests = await Promise.all([start(), start()])
      for (const guest of guests) await guest.connect()
      await agreed([...nodes, ...guests])
      for (const guest of guests) {
        guest.child.process.send('close')
        await guest.child.message()
        guest.child.process.disconnect()
      }
      await agreed()
    }
    const stray = [...(await server.keys()).keys()].filter((key) => key.includes(':node:') && !nodes.some(({ id }) => key.endsWith(id)))
    assert.deepEqual(stray, [])
    for (const [key, ttl] of await server.keys()) assert.ok(ttl > 0 && ttl <= HOUR, `${key}: ${ttl}`)
  })
})
