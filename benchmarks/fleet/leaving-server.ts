/**
 * A server that leaves, or stays. The first argument is the folder of the built library.
 */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { monotonicMicros } from '../monotonic.ts'
import { answer } from '../rpc.ts'
import { loadPlugin, loadRedisFleet } from '../servers/plugin.ts'
import type { LeavingServerControl } from './control.ts'

/** Milliseconds. */
const GRACE_PERIOD = 60_000

const plugin = await loadPlugin(process.argv[2]!)
const redisFleet = await loadRedisFleet(process.argv[2]!)
const app = Fastify()
/** When each connection was opened, microseconds of the monotonic clock, and to which room. */
const opened: Array<{ at: number, room: string }> = []

answer<LeavingServerControl>({
  async start ({ redis, rate, settleDelay }) {
    await app.register(plugin, {
      signals: true,
      readiness: '/ready',
      drain: { terminationGracePeriod: GRACE_PERIOD, settleDelay, reconnect: { rate } },
      ...redis === null ? {} : { fleet: redisFleet({ redis: new Redis({ ...redis, lazyConnect: true }), name: 'leave' }) }
    })
    app.get<{ Params: { room: string } }>('/:room/:client', { websocket: true }, (_socket, { params: { room } }) => { opened.push({ at: monotonicMicros(), room }) })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as AddressInfo).port }
  },
  nodes: () => app.sockets.fleet.nodes.length,
  opened: (since, room) => opened.filter((each) => each.at >= since && each.room === room).map(({ at }) => at)
})
