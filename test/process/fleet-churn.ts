/**
 * Nodes that come and go on a real Redis, one after the other and several at a time, each with a connection of an owner of its own.
 * All of them are in this process.
 */
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { redisFleet } from '../../lib/fleet/redis/index.ts'
import plugin from '../../lib/index.ts'
import { open } from '../../lib/testing/connect.ts'

/** Nodes that come in all; milliseconds from one to the next, and between the join of each and its leave. */
export interface ChurnSettings { nodes: number, every: number, stay: number }

/** What has happened. */
export interface Churn {
  /** Ids of the nodes, and owners of their connections. */
  readonly ids: string[]
  readonly owners: string[]
  /** What these nodes were told of owners, by their own finding. */
  readonly events: string[]
}

/** Resolves when the last node has left. */
export async function churn (redis: { port: number }, { nodes, every, stay }: ChurnSettings): Promise<Churn> {
  const result: Churn = { ids: [], owners: [], events: [] }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: nodes }, async (_, i) => {
    // By the time that has passed, because timers are late.
    await sleep(startedAt + i * every - performance.now())
    await visit(redis.port, `guest ${i}`, stay, result)
  }))
  return result
}

/**
 * Throws unless these events of another node tell once that each of these nodes has joined and then left, or nothing: it was too short.
 * On a busy machine one is lost that cannot beat, or say in time that it leaves; only such a one may join again. Returns the number of
 * those.
 */
export function assertTold (ids: readonly string[], events: readonly string[]): number {
  const seen = ids.map((id) => events.filter((event) => event.endsWith(id)).map((event) => event.split(' ')[0]).join(' '))
  for (const how of seen) assert.match(how, /^(?:joined lost ?)*(?:joined left)?$/)
  assert.ok(seen.some((how) => how !== ''))
  return seen.filter((how) => how.includes('lost')).length
}

async function visit (port: number, owner: string, stay: number, { ids, owners, events }: Churn): Promise<void> {
  const app = Fastify()
  const redis = new Redis({ host: '127.0.0.1', port, lazyConnect: true })
  await app.register(plugin, { fleet: redisFleet({ redis, name: 'chat' }), owner: () => owner, heartbeat: false, signals: false })
  app.get('/', { websocket: true }, () => {})
  const { fleet } = app.sockets
  for (const event of ['online', 'offline'] as const) fleet.on(event, ({ owner, here }) => { if (here) events.push(`${event} ${owner}`) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  while (fleet.state === 'down') await sleep(10)
  ids.push(fleet.node)
  owners.push(owner)
  const { socket } = await open(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/`)
  await sleep(stay)
  await app.close()
  socket.terminate()
}
