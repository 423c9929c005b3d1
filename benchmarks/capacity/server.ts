/**
 * A server whose handshakes cost some milliseconds of the event loop. argv: the folder of the compiled library, and that cost.
 *
 * Reports over IPC: { port }, and after each message { capacity, opened }: what it has learned, and the connections so far.
 */
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import type * as Library from '../../lib/index.ts'

const [folder = '', cost = '0'] = process.argv.slice(2)
const { default: sockets } = await import(pathToFileURL(join(folder, 'index.js')).href) as typeof Library

const app = Fastify()
await app.register(sockets)
app.addHook('preValidation', async () => {
  const until = performance.now() + Number(cost)
  while (performance.now() < until);
})
let opened = 0
app.get('/', { websocket: true }, () => { opened++ })
await app.listen({ port: 0, host: '127.0.0.1' })
// A fleet of this node alone.
const { fleet } = app.sockets
process.on('message', () => { process.send!({ capacity: fleet.nodes[0]!.capacity, opened }) })
process.send!({ port: (app.server.address() as AddressInfo).port })
