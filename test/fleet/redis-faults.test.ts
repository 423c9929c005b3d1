/**
 * What the engine on Redis does when Redis, or the way to it, fails.
 *
 * Deadlines of the engine are short here, and those of the tests long: a busy machine makes a call fail that would not have, so that
 * calls which must succeed are tried until they do.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5'
import type { Pulse } from '../../lib/fleet/engine.ts'
import type { RedisClient, Timeouts } from '../../lib/fleet/redis/client.ts'
import { Connection } from '../../lib/fleet/redis/connection.ts'
import { RedisEngine } from '../../lib/fleet/redis/redis-engine.ts'
import { BEAT, BEING_REMOVED } from '../../lib/fleet/redis/scripts.ts'
import { EngineNode, LONG } from '../helpers/engine-node.ts'
import { freePort } from '../helpers/free-port.ts'
import { missing } from '../helpers/optional.ts'
import { launchRedis, PATIENT, startRedis } from '../helpers/redis.ts'
import type { RedisServer } from '../helpers/redis.ts'
import { within } from '../helpers/server.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'

const skip = missing('redis')
/** Both versions of ioredis end connections and reject commands in their own ways. */
const VERSIONS = { 5: Redis5, 6: Redis } as unknown as Record<string, new (options: object) => Redis>
/** A lease that is over soon, milliseconds. What is not written again is gone after 600 leases: less is none on a busy machine. */
const SHORT = 40
const HASTY: Timeouts = { ...PATIENT, commandTimeout: 500 }

/** Has a node send itself messages until it hears one. */
async function hearsItself ({ id, engine, heard }: EngineNode): Promise<void> {
  const before = heard.length
  await persist(async () => {
    await engine.send([id], 'probe')
    await sleep(20)
    assert.ok(heard.length > before)
  })
}

/** Tries until it does not throw. */
async function persist<T> (attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (tries === 1000) throw error
      await sleep(20)
    }
  }
}

const ids = ({ nodes }: Pulse): string[] => nodes.map(({ id }) => id).sort()

/** Nodes of a fleet of their own on a Redis, which have joined. Fails if ioredis has no listener for an error. */
async function join (t: TestContext, client: RedisClient, names: string[], timeouts = PATIENT): Promise<EngineNode[]> {
  const complained = t.mock.method(console, 'error', () => {})
  const nodes = names.map((id) => {
    const engine = new RedisEngine(client, 'chat', timeouts)
    t.after(async () => { await engine.close() })
    return new EngineNode(id, engine)
  })
  t.after(() => { assert.deepEqual(complained.mock.calls.map((call) => call.arguments), []) })
  for (const node of nodes) {
    await persist(async () => { await node.listen() })
    await persist(async () => await node.beat())
  }
  return nodes
}

for (const [version, Client] of Object.entries(VERSIONS)) {
  const title = (text: string): string => `ioredis ${version}: ${text}`
  const connect = (t: TestContext, { options }: Pick<RedisServer, 'options'>, more = {}): RedisClient => {
    const client = new Client({ ...options, ...more, lazyConnect: true })
    t.after(() => { client.disconnect() })
    return client
  }

  test(title('Redis is killed and restarted empty: nodes join anew, and hear without listening again'), { skip }, async (t) => {
    const server = await startRedis(t)
    const [a, b] = await join(t, connect(t, server), ['a', 'b'])
    await a!.engine.label('a', [{ kind: 'owner', label: 'x', count: 1, away: 0 }])
    const pending = assert.rejects(a!.beat())
    await server.kill()
    await pending.catch(() => {}) // It may have been answered before.
    await assert.rejects(a!.beat(), /^Error: Redis is not connected: (connect ECONNREFUSED|read ECONNRESET|the connection has ended)/)
    await assert.rejects(a!.engine.handovers.take('x') as Promise<unknown>, /^Error: Redis is not connected/)
    await server.start()
    assert.equal((await persist(async () => await a!.beat())).joined, true)
    assert.deepEqual((await a!.engine.find('owner', 'x')).nodes, [])
    await persist(async () => { await assert.rejects(b!.engine.label('b', [{ kind: 'owner', label: 'x', count: 1, away: 0 }]), /node b is no member of the fleet/) })
    const pulse = await persist(async () => await b!.beat())
    assert.deepEqual([pulse.joined, ids(pulse), pulse.lost], [true, ['a', 'b'], []])
    await hearsItself(a!)
    await hearsItself(b!)
  })

  test(title('Redis is back with what it had some time ago, as a replica that is promoted may be: the node joins anew'), { skip }, async (t) => {
    const server = await startRedis(t)
    const [a] = await join(t, connect(t, server), ['a'])
    const restart = async (): Promise<Pulse> => {
      await server.kill()
      await server.start()
      return await persist(async () => await a!.beat())
    }
    const count = async (label: string, count: number): Promise<void> => { await a!.engine.label('a', [{ kind: 'owner', label, count, away: 0 }]) }
    await count('x', 1)
    await server.command('SAVE')
    // All that it has answered is there.
    assert.equal((await restart()).joined, false)
    await count('x', 0)
    await count('y', 1)
    assert.equal((await restart()).joined, true)
    for (const label of ['x', 'y']) assert.deepEqual((await a!.engine.find('owner', label)).nodes, [])
    assert.equal((await a!.beat()).joined, false)
    await server.command('SAVE')
    const places = { key: 'total', want: 0, max: 10, oldest: null }
    await a!.engine.take('a', [{ ...places, have: 1 }])
    assert.equal((await restart()).joined, true)
    assert.equal((await a!.beat()).joined, false)
  })

  test(title('of two calls the first is sent again, because Redis does not know its script: nothing was lost, and the node does not join anew'), { skip }, async (t) => {
    const server = await startRedis(t)
    const [a, b] = await join(t, connect(t, server), ['a', 'b'])
    const label = ({ id, engine }: EngineNode) => engine.label(id, [{ kind: 'owner', label: 'x', count: 1, away: 0 }])
    // Redis knows the script of the second call, and carries it out first.
    await label(b!)
    await Promise.all([a!.engine.take('a', [{ key: 'total', have: 1, want: 0, max: 10, oldest: null }]), label(a!)])
    assert.equal((await a!.beat()).joined, false)
  })

  test(title('Redis is frozen: calls end, then fail at once; thawed, no node is lost'), { skip }, async (t) => {
    const server = await startRedis(t)
    const lease = 1_000
    const [a, b] = await join(t, connect(t, server), ['a', 'b'], HASTY)
    await persist(async () => await a!.beat({ lease }))
    await persist(async () => await b!.beat({ lease }))
    server.freeze()
    await assert.rejects(a!.beat({ lease }), /^Error: Command timed out$/)
    await assert.rejects(a!.beat({ lease }), /^Error: Redis is not connected/)
    // The first connection still has a beat that Redis will carry out: its answer reaches no node.
    await sleep(2 * lease)
    server.thaw()
    for (const node of [a!, b!]) {
      const { joined, lost } = await persist(async () => await node.beat({ lease: LONG }))
      assert.deepEqual({ joined, lost }, { joined: false, lost: [] })
    }
    assert.deepEqual(ids(await persist(async () => await a!.beat())), ['a', 'b'])
    await persist(async () => { await b!.listen() })
    await hearsItself(b!)
  })

  test(title('a call of listen that is made again before it has ended leaves no connection, and no message is heard twice'), { skip }, async (t) => {
    const server = await startRedis(t)
    const engine = new RedisEngine(connect(t, server), 'chat', PATIENT)
    const node = new EngineNode('a', engine)
    t.after(async () => { await engine.close() })
    const givenUp = assert.rejects(node.listen(), /^Error: listen\(\) was called again$/)
    await node.listen()
    await givenUp
    await node.beat()
    await engine.send(['a'], 'hello')
    // Messages come in order: all of the first one have arrived when the second has.
    await persist(async () => {
      await engine.send(['a'], 'end')
      await sleep(20)
      assert.ok(node.heard.includes('end'))
    })
    assert.equal(node.heard.filter((message) => message === 'hello').length, 1)
    await engine.close()
    await persist(async () => { assert.equal((await server.command('CLIENT', 'LIST') as string).trim().split('\n').length, 1) })
  })

  test(title('CLIENT KILL: both connections come back by themselves'), { skip }, async (t) => {
    const server = await startRedis(t)
    const [a] = await join(t, connect(t, server), ['a'])
    for (const type of ['normal', 'pubsub']) {
      await server.command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
      await hearsItself(a!)
      assert.equal((await persist(async () => await a!.beat())).joined, false)
    }
  })

  test(title('FLUSHALL and SCRIPT FLUSH: the next beat joins anew'), { skip }, async (t) => {
    const server = await startRedis(t)
    const [a] = await join(t, connect(t, server), ['a'])
    await server.command('FLUSHALL')
    await server.command('SCRIPT', 'FLUSH')
    assert.equal((await a!.beat()).joined, true)
    assert.equal((await a!.beat()).joined, false)
    await hearsItself(a!)
  })

  test(title('without memory, Redis refuses a script as a whole, and takes it when it has some'), { skip }, async (t) => {
    const server = await startRedis(t)
    const [a] = await join(t, connect(t, server), ['a'])
    await a!.engine.label('a', [{ kind: 'owner', label: 'x', count: 1, away: 0 }])
    await server.command('CONFIG', 'SET', 'maxmemory', 1)
    await assert.rejects(a!.beat(), /maxmemory/)
    await assert.rejects(a!.engine.label('a', [{ kind: 'owner', label: 'x', count: 2, away: 0 }]), /maxmemory/)
    await assert.rejects(a!.engine.handovers.put('id', 'state', LONG) as Promise<void>, /maxmemory/)
    await server.command('CONFIG', 'SET', 'maxmemory', 0)
    assert.equal((await a!.beat()).joined, false)
    assert.deepEqual((await a!.engine.find('owner', 'x')).nodes, [['a', 1]])
  })

  test(title('each answer half a second later: all calls are answered'), { skip }, async (t) => {
    const server = await startRedis(t)
    const proxy = await startProxy(t, server.options.port)
    const [a, b] = await join(t, connect(t, server, { port: proxy.port }), ['a', 'b'])
    proxy.delay = 500
    const begun = performance.now()
    const [pulse] = await Promise.all([a!.beat(), b!.engine.label('b', [{ kind: 'owner', label: 'x', count: 1, away: 0 }])])
    assert.deepEqual(ids(pulse), ['a', 'b'])
    await b!.listen()
    await hearsItself(b!)
    assert.ok(performance.now() - begun > 1_000)
  })

  test(title('an answer that is lost with its connection is given again, once'), { skip }, async (t) => {
    const server = await startRedis(t)
    const proxy = await startProxy(t, server.options.port)
    const direct = connect(t, server)
    const [a] = await join(t, connect(t, server, { port: proxy.port }), ['a'])
    const [b] = await join(t, direct, ['b'])
    const owner = { kind: 'owner', label: 'x', count: 1, away: 0 } as const

    await server.command('FLUSHALL')
    await b!.beat({ lease: SHORT })
    await sleep(50)
    proxy.dropNext = true
    await assert.rejects(a!.beat())
    const { joined, lost } = await persist(async () => await a!.beat())
    assert.deepEqual([joined, lost.map(({ id }) => id)], [true, ['b']])
    const next = await a!.beat()
    assert.deepEqual([next.joined, next.lost], [false, []])

    proxy.dropNext = true
    await assert.rejects(a!.engine.label('a', [owner]))
    const { at, ...again } = await persist(async () => await a!.engine.label('a', [owner]))
    assert.deepEqual(again, { online: ['x'], offline: [] })
    const { at: later, ...rest } = await a!.engine.label('a', [owner])
    assert.deepEqual(rest, { online: [], offline: [] })
    assert.ok(later > at)

    // What is not so any more is not told again: no owner is in both lists.
    const write = async (count: number): Promise<unknown> => {
      const { online, offline } = await persist(async () => await a!.engine.label('a', [{ ...owner, count }]))
      return { online, offline }
    }
    proxy.dropNext = true
    await assert.rejects(a!.engine.label('a', [{ ...owner, count: 0 }]))
    assert.deepEqual(await write(1), { online: ['x'], offline: [] })
    assert.deepEqual(await write(0), { online: [], offline: ['x'] })
  })

  test(title('changes whose answer the plugin has given up are told again'), { skip }, async (t) => {
    const server = await startRedis(t)
    const engine = new RedisEngine(connect(t, server), 'chat', { ...PATIENT, labelTimeout: -1 })
    t.after(() => engine.close())
    await engine.listen('a', () => {})
    await engine.beat('a', { info: '{}', capacity: 1, lease: 60_000, settled: [], away: 1_000 })
    const owner = { kind: 'owner', label: 'x', count: 1, away: 0 } as const
    for (let call = 0; call < 2; call++) assert.deepEqual((await engine.label('a', [owner])).online, ['x'])
  })

  test(title('a node with many owners is removed in slices: its owners are away, its places are free, and it may join again'), { skip }, async (t) => {
    const server = await startRedis(t)
    const [a, b] = await join(t, connect(t, server), ['a', 'b'])
    const place = { key: 'total', have: 0, want: 1, max: 1, oldest: null }
    await a!.engine.label('a', Array.from({ length: 6_000 }, (_, index) => ({ kind: 'owner', label: `owner ${index}`, count: 1, away: 0 })))
    assert.equal((await a!.engine.take('a', [place]))[0]!.given, 1)
    await a!.beat({ lease: SHORT })
    await sleep(50)
    assert.deepEqual((await b!.beat()).lost.map(({ id }) => id), ['a'])
    const left = Number(await server.command('HLEN', '{chat}:owner'))
    assert.ok(left >= 3_000 && left < 6_000, `${left} are left`)
    for (const index of [0, 2_999, 5_999]) {
      const { nodes, expectedBack } = await b!.engine.find('owner', `owner ${index}`)
      assert.deepEqual(nodes, [])
      assert.ok(expectedBack! > 0)
    }
    assert.equal((await b!.engine.take('b', [place]))[0]!.given, 1)
    // However much is left: a node that cannot join is unknown to the others.
    assert.equal((await a!.beat()).joined, true)
    assert.equal(await server.command('HLEN', '{chat}:owner'), 0)
    assert.deepEqual((await a!.engine.label('a', [{ kind: 'owner', label: 'owner 1', count: 1, away: 0 }])).online, [])
  })

  test(title('calls that wait for their turn fail with the one before them, and later ones do not'), { skip }, async (t) => {
    const server = await startRedis(t)
    const proxy = await startProxy(t, server.options.port)
    const [a] = await join(t, connect(t, server, { port: proxy.port }), ['a'])
    proxy.dropNext = true
    const results = await Promise.allSettled([a!.beat(), a!.beat(), a!.beat()])
    assert.equal(results[0]!.status, 'rejected')
    assert.equal((await persist(async () => await a!.beat())).joined, false)
  })

  test(title('a wrong password, a missing permission, no server: listen says so at once, and nothing else does'), { skip }, async (t) => {
    const server = await startRedis(t, { password: 'secret', userOf: 'app:{' })
    const listen = async (options: object): Promise<void> => {
      const engine = new RedisEngine(connect(t, server, options), 'chat', PATIENT)
      t.after(async () => { await engine.close() })
      await engine.listen('a', () => {})
    }
    const complained = t.mock.method(console, 'error', () => {})
    await assert.rejects(listen({ password: 'mistaken' }), (error) => {
      // Node prints an uncaught error with its causes, and all that they have.
      assert.match((error as Error).message, /WRONGPASS/)
      assert.doesNotMatch(inspect(error, { depth: Infinity }), /mistaken/)
      return true
    })
    await assert.rejects(listen({ password: undefined }), /NOAUTH/)
    await assert.rejects(listen({ username: 'fleet', password: 'pass' }), /NOPERM/)
    await listen({ username: 'fleet', password: 'pass', keyPrefix: 'app:' })
    await assert.rejects(listen({ port: await freePort() }), /^Error: Redis is not connected: connect ECONNREFUSED/)
    assert.deepEqual(complained.mock.calls.map((call) => call.arguments), [])
  })

  test(title('close ends both connections and the calls in flight, frozen or not, and leaves the client alone'), { skip }, async (t) => {
    const server = await startRedis(t)
    const client = new Client({ ...server.options, retryStrategy: null })
    t.after(() => { client.disconnect() })
    const count = async (): Promise<number> => (await server.command('CLIENT', 'LIST') as string).trim().split('\n').length
    await client.ping()
    const before = await count()
    for (const frozen of [false, true]) {
      const engine = new RedisEngine(client, 'chat', PATIENT)
      const a = new EngineNode('a', engine)
      await a.listen()
      await a.beat()
      assert.equal(await count(), before + 2)
      if (frozen) server.freeze()
      const pending = assert.rejects(a.beat())
      await within(30_000, engine.close(), 'close hangs')
      await within(30_000, pending, 'a call hangs')
      if (frozen) server.thaw()
      await persist(async () => { assert.equal(await count(), before) })
      assert.equal(await client.ping(), 'PONG')
    }
  })
}

/** A server that answers each command by its text, in small letters; undefined: it does not. */
async function startScripted (t: TestContext, answer: (text: string) => string | undefined): Promise<{ host: string, port: number, lazyConnect: true, connections: () => number }> {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.on('error', () => {})
    socket.on('data', (data) => {
      const text = data.toString().toLowerCase()
      const reply = text.includes('hello\r\n') ? "-ERR unknown command 'hello'\r\n" : answer(text)
      if (reply !== undefined) socket.write(reply)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => { server.close() })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, lazyConnect: true, connections: () => connections }
}

for (const [version, Client] of Object.entries(VERSIONS)) {
  test(`ioredis ${version}: a server that is older than Redis 7 is refused`, async (t) => {
    const options = await startScripted(t, (text) => text.includes('evalsha')
      ? '-NOSCRIPT No matching script. Please use EVAL.\r\n'
      : "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n")
    const engine = new RedisEngine(new Client(options), 'chat', PATIENT)
    await assert.rejects(engine.listen('a', () => {}), /^Error: a fleet needs Redis 7 or newer$/)
    await engine.close()
  })

  test(`ioredis ${version}: many calls that are not answered in time end their connection once`, async (t) => {
    const warned = t.mock.method(process, 'emitWarning', () => {})
    const options = await startScripted(t, () => undefined)
    const connection = new Connection(new Client(options), { ...PATIENT, commandTimeout: 20 })
    await connection.open()
    for (const made of [2, 3]) {
      const calls = Promise.allSettled(Array.from({ length: 20 }, () => connection.call('GET', ['x'])))
      // Their time is over in the same turn.
      for (const end = performance.now() + 40; performance.now() < end;) { /* busy */ }
      assert.deepEqual(new Set((await calls).map((call) => call.status === 'rejected' && (call.reason as Error).message)), new Set(['Command timed out']))
      await persist(async () => { assert.ok(connection.ready && options.connections() === made) })
    }
    assert.deepEqual(warned.mock.calls.map((call) => String(call.arguments[0])), [])
    await connection.close()
  })

  test(`ioredis ${version}: what a beat is told too late is told again, also if it was long because its node was being removed`, async (t) => {
    const id = '1700000000000001'
    const beats: string[] = []
    const options = await startScripted(t, (text) => {
      if (text.includes('subscribe')) return '*3\r\n$9\r\nsubscribe\r\n$11\r\n{chat}:to:a\r\n:1\r\n'
      if (!text.includes('{"info"')) return ':1\r\n'
      beats.push(text)
      if (beats.length > 1) return `*7\r\n$16\r\n${id}\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n`
      // Longer than the plugin waits.
      while (performance.now() < end) { /* busy */ }
      return `-ERR node a${BEING_REMOVED}\r\n`
    })
    const engine = new RedisEngine(new Client(options), 'chat', { ...PATIENT, beatTimeout: 30 })
    await engine.listen('a', () => {})
    const end = performance.now() + 40
    const beat = { info: '{"info":1}', capacity: 1, lease: LONG, settled: [], away: LONG }
    for (let i = 0; i < 2; i++) await engine.beat('a', beat)
    assert.deepEqual(beats.map((text) => text.includes(id)), [false, false, false])
    await engine.close()
  })
}

for (const [version, Client] of [[5, Cluster5], [6, Cluster]] as const) {
  test(`ioredis ${version}: what was sent to a Cluster is not sent again when its connection ends`, { skip }, async (t) => {
    const server = await startRedis(t, { cluster: true })
    const proxy = await startProxy(t, server.options.port)
    const connect = (port: number): RedisClient => {
      const client = new Client([{ host: '127.0.0.1', port }], { lazyConnect: true, natMap: { [`127.0.0.1:${server.options.port}`]: { host: '127.0.0.1', port } } })
      t.after(() => { client.disconnect() })
      return client as unknown as RedisClient
    }
    const [a] = await join(t, connect(proxy.port), ['a'])
    const [b] = await join(t, connect(server.options.port), ['b'])
    // Redis knows the script then, and carries out the call whose answer gets lost; it may be that to another command.
    await a!.engine.send(['b'], 'message')
    let lost = false
    for (let i = 0; i < 20 && !lost; i++) {
      await persist(async () => await a!.beat())
      proxy.dropNext = true
      lost = await a!.engine.send(['b'], `message ${i}`).then(() => false, () => true)
      proxy.dropNext = false
    }
    await persist(async () => await a!.beat())
    await hearsItself(b!)
    const messages = b!.heard.filter((message) => message.startsWith('message'))
    assert.ok(lost && messages.length > 1, `${messages.length} messages arrived, and an answer was lost: ${lost}`)
    assert.deepEqual(messages, [...new Set(messages)])
  })
}

test('a node whose lease ends long from now, because the clock of Redis has gone back, is lost all the same', { skip }, async (t) => {
  const server = await startRedis(t)
  const client = new Redis({ ...server.options, lazyConnect: true })
  t.after(() => { client.disconnect() })
  const [a, b] = await join(t, client, ['a', 'b'])
  await b!.beat({ lease: SHORT })
  await server.command('ZINCRBY', '{chat}:leases', 3_600_000, 'b')
  await a!.beat()
  await sleep(50)
  assert.deepEqual((await a!.beat()).lost.map(({ id }) => id), ['b'])
})

test('a label with half of a pair of surrogates is that of U+FFFD', { skip }, async (t) => {
  const server = await startRedis(t)
  const client = new Redis({ ...server.options, lazyConnect: true })
  t.after(() => { client.disconnect() })
  const [a] = await join(t, client, ['a'])
  assert.deepEqual((await a!.engine.label('a', [{ kind: 'owner', label: 'x\ud800', count: 1, away: 0 }])).online, ['x\ufffd'])
  assert.deepEqual((await a!.engine.find('owner', 'x\ud800')).nodes, [['a', 1]])
  assert.deepEqual((await a!.engine.find('owner', 'x\ufffd')).nodes, [['a', 1]])
})

test('a beat that is refused because its node is being removed leaves no key without a time to live', { skip }, async (t) => {
  const server = await startRedis(t)
  const client = new Redis({ ...server.options, lazyConnect: true })
  t.after(() => { client.disconnect() })
  const [a] = await join(t, client, ['a'])
  await a!.engine.label('a', Array.from({ length: 6_000 }, (_, index) => ({ kind: 'owner', label: `owner ${index}`, count: 1, away: 0 })))
  // Redis has lost calls of this node, and the node ends before it beats again.
  const calls = 99
  await assert.rejects(server.command('EVAL', BEAT.text, 1, '{chat}:', 'a', '{}', 1, LONG, LONG, '', calls), (error: Error) => error.message.includes(BEING_REMOVED))
  const keys = await server.keys()
  assert.ok(keys.has('{chat}:removed') && keys.has('{chat}:away'))
  for (const [key, ttl] of keys) assert.ok(ttl > 0, `${key}: ${ttl}`)
})

test('every key has a time to live, and nothing is left when it is over', { skip }, async (t) => {
  const server = await launchRedis()
  t.after(async () => { await server.close() })
  const client = new Redis({ ...server.options, lazyConnect: true, keyPrefix: 'app:' })
  const [a, b] = await join(t, client, ['a', 'b'])
  for (const node of [a!, b!]) {
    await node.beat({ capacity: 10 })
    await node.engine.label(node.id, [
      { kind: 'owner', label: 'x', count: 1, away: 0 }, { kind: 'tag', label: 't', count: 1, away: 0 }, { kind: 'owner', label: 'y', count: 0, away: LONG }
    ])
    await node.engine.take(node.id, [{ key: 'total', have: 1, want: 1, max: 10, oldest: 1 }])
    await node.engine.book(node.id, { clients: 10, from: 0, share: 1, ceiling: 5, leaves: false })
    await node.engine.order(node.id, 'id', 'order', 'notice')
    await node.engine.handovers.put(node.id, 'state', LONG)
  }
  const names = ['away', 'calendar', 'handover:a', 'handover:b', 'inbox:a', 'inbox:b', 'leases', 'node:a', 'node:b', 'owner', 'owner:a', 'owner:b', 'places', 'places:a', 'places:b', 'tag', 'tag:a', 'tag:b']
  const keys = await server.keys()
  assert.deepEqual([...keys.keys()].sort(), names.map((name) => `app:{chat}:${name}`))
  for (const [key, ttl] of keys) assert.ok(ttl > 0 && ttl <= 600 * LONG, `${key}: ${ttl}`)

  // Both end without a word, after a last beat with a short lease.
  await b!.engine.handovers.replace('a', 'state', 500)
  await b!.engine.handovers.replace('b', 'state', 500)
  for (const node of [a!, b!]) await node.beat({ lease: 5 })
  while (await server.command('DBSIZE') !== 0) await sleep(100)
})
