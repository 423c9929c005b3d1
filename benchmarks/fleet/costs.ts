/**
 * The cost that a fleet adds to a connection, over handshakes without a kernel, in pairs: with the fleet and without it. Both apps run
 * in this process and take turns, so that every disturbance, and every beat, affects both.
 *
 * Its program's first argument is the folder of the built library.
 */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import type { LifecycleOptions } from '../../lib/index.ts'
import { handshake, upgrade } from '../in-process/memory-socket.ts'
import { compare } from '../in-process/pairs.ts'
import type { Pair } from '../in-process/pairs.ts'
import { answer } from '../rpc.ts'
import { loadPlugin, loadRedisFleet } from '../servers/plugin.ts'
import { cpuMicros } from '../servers/stall-probe.ts'
import type { RedisAddress } from './control.ts'

export interface FleetCostsControl {
  /**
   * CPU of the node for the owner of a connection that opens, microseconds: without an owner a fleet does nothing for a connection.
   * `redis`: what Redis takes for it in addition. Owners come all at once, or one every `gap` milliseconds. The handshakes, which
   * take forty times as long, would hide the difference.
   */
  connects (redis: RedisAddress, gap: number): Promise<Pair & { redis: number }>
  /** Milliseconds from the handshake to its answer: limits of this node come first, those of all nodes second. */
  places (redis: RedisAddress): Promise<Pair>
}

/** Connections of a turn, and turns: those that count, and those before. */
const CONNECTIONS = 2_000
const TURNS = 20
const WARM_UP = 5
/** The same where connections open one after another: a turn takes seconds. */
const STEADY_TURNS = 6
const STEADY_WARM_UP = 2
/** Until the counts of a turn have reached Redis, and until the ends of one have, milliseconds. */
const COUNTED = 700
/** Single handshakes. */
const HANDSHAKES = 1_000
const HANDSHAKES_BEFORE = 200
/** A limit that no owner reaches. */
const MANY = 1_000_000

const plugin = await loadPlugin(process.argv[2]!)
const redisFleet = await loadRedisFleet(process.argv[2]!)
let owners = 0

answer<FleetCostsControl>({
  async connects (address, gap) {
    const redis = new Redis({ ...address })
    const [alone, fleet] = [await makeApp({}), await makeApp(fleetOn(address, `connects-${gap}`))]
    const redisCosts = new Map<FastifyInstance, number>([[alone, 0], [fleet, 0]])
    let counts = false
    const work = (app: FastifyInstance) => async () => {
      const before = await redisCpu(redis)
      const cost = await open(app, gap)
      if (counts) redisCosts.set(app, redisCosts.get(app)! + await redisCpu(redis) - before)
      await leave(app)
      return cost
    }
    const [warmUp, turns] = gap === 0 ? [WARM_UP, TURNS] : [STEADY_WARM_UP, STEADY_TURNS]
    await compare(warmUp, 0, work(alone), work(fleet))
    counts = true
    const pair = await compare(turns, 0, work(alone), work(fleet))
    redis.disconnect()
    const scale = 1 / CONNECTIONS
    return { first: pair.first * scale, second: pair.second * scale, added: pair.added * scale, redis: (redisCosts.get(fleet)! - redisCosts.get(alone)!) / turns * scale }
  },
  async places (address) {
    const limit = (scope: 'node' | 'fleet'): LifecycleOptions => ({ ...fleetOn(address, `places-${scope}`), limits: { perOwner: { max: MANY, scope } } })
    const [node, fleet] = [await makeApp(limit('node')), await makeApp(limit('fleet'))]
    return await compare(HANDSHAKES, HANDSHAKES_BEFORE, () => one(node), () => one(fleet))
  }
})

function fleetOn (address: RedisAddress, name: string): LifecycleOptions {
  return { fleet: redisFleet({ redis: new Redis({ ...address, lazyConnect: true }), name }) }
}

async function makeApp (options: LifecycleOptions): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(plugin, { owner: ({ query }) => (query as { owner?: string }).owner, ...options })
  app.get('/', { websocket: true }, () => {})
  await app.ready()
  while (options.fleet !== undefined && app.sockets.fleet.state === 'down') await sleep(10)
  return app
}

/** Opens connections. Returns the CPU microseconds of this process until their owners are set and counted. */
async function open (app: FastifyInstance, gap: number): Promise<number> {
  for (let i = 0; i < CONNECTIONS; i++) upgrade(app.server, handshake('/'))
  while (app.sockets.size < CONNECTIONS) await turn()
  await sleep(COUNTED)
  const connections = app.sockets.list()
  const before = cpuMicros()
  const startedAt = performance.now()
  for (const [i, connection] of connections.entries()) {
    connection.setOwner(String(owners++))
    if (gap > 0) await sleep(Math.max(0, startedAt + (i + 1) * gap - performance.now()))
  }
  await sleep(COUNTED)
  return cpuMicros() - before
}

async function leave (app: FastifyInstance): Promise<void> {
  for (const connection of app.sockets.list()) void connection.terminate()
  while (app.sockets.size > 0) await turn()
  await sleep(COUNTED)
}

/** Milliseconds from one handshake to its answer. */
async function one (app: FastifyInstance): Promise<number> {
  const opening = handshake(`/?owner=${owners++}`)
  const startedAt = performance.now()
  upgrade(app.server, opening)
  while (opening.socket.writes === 0) await turn()
  const duration = performance.now() - startedAt
  opening.socket.destroy()
  while (app.sockets.size > 0) await turn()
  return duration
}

/** User and system time of Redis, microseconds. */
async function redisCpu (redis: Redis): Promise<number> {
  const text = await redis.info('cpu')
  const seconds = (name: string) => Number(new RegExp(`^${name}:(.+)`, 'm').exec(text)![1])
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}
