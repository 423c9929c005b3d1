/**
 * A node with this plugin. The first argument is the folder of the built library.
 */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { loadPlugin, loadRedisFleet } from '../servers/plugin.ts'
import type { Told } from './control.ts'
import { serveNode } from './node.ts'

interface Query { owner?: string, tag?: string }

const plugin = await loadPlugin(process.argv[2]!)
const redisFleet = await loadRedisFleet(process.argv[2]!)

serveNode(async (address) => {
  const app = Fastify()
  await app.register(plugin, {
    owner: ({ query }) => (query as Query).owner,
    fleet: redisFleet({ redis: new Redis({ ...address, lazyConnect: true }), name: 'bench' })
  })
  app.get<{ Querystring: Query }>('/', { websocket: true }, (socket, { query: { tag } }) => {
    if (tag !== undefined) app.sockets.of(socket).tag(tag)
  })
  const { fleet } = app.sockets
  const told: Told = { lost: [], offline: [] }
  fleet.on('lost', ({ id }) => { told.lost.push(id) })
  fleet.on('offline', ({ owner, here }) => { if (here) told.offline.push(owner) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const named = (missing: ReadonlyArray<{ node: string }>) => missing.map(({ node }) => node)
  return {
    port: (app.server.address() as AddressInfo).port,
    id: fleet.node,
    size: () => app.sockets.size,
    nodes: () => fleet.nodes.length,
    async count (owner) {
      const { value, missing } = await fleet.count({ owner })
      return { found: value, missing: named(missing) }
    },
    async presence (owner) { return (await fleet.presence(owner)).connections },
    async page () {
      // All nodes are asked; for 'all' those that fill the page would be.
      const { value, missing } = await fleet.list({ state: 'open' }, { limit: 50 })
      return { found: value.length, missing: named(missing) }
    },
    broadcast: (tag, text) => fleet.broadcast(text, { tag }),
    disconnect: (owner) => fleet.disconnect({ owner }),
    told: () => told
  }
})
