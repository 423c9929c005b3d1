/**
 * A server whose handshakes cost some milliseconds of CPU time. argv: the folder of the compiled library, and that cost.
 *
 * Reports over IPC: { port }, and after each message { capacity, opened }: what it has learned, and the connections so far.
 */
import { createHash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import type * as Library from '../../lib/index.ts'

/** Rounds of work before the measurement, and of it. */
const WARM_UP = 20_000
const MEASURED = 50_000
const BLOCK = Buffer.alloc(64)

const [folder = '', cost = '0'] = process.argv.slice(2)
const { default: sockets } = await import(pathToFileURL(join(folder, 'index.js')).href) as typeof Library

// A number of rounds, not a time: a process that waits for a CPU does not work.
const work = (rounds: number): void => { for (let i = 0; i < rounds; i++) createHash('sha256').update(BLOCK).digest() }
work(WARM_UP)
const { user: before } = process.cpuUsage()
work(MEASURED)
const rounds = Math.round(Number(cost) * 1_000 * MEASURED / (process.cpuUsage().user - before))

const app = Fastify()
await app.register(sockets)
app.addHook('preValidation', async () => { work(rounds) })
let opened = 0
app.get('/', { websocket: true }, () => { opened++ })
await app.listen({ port: 0, host: '127.0.0.1' })
// A fleet of this node alone.
const { fleet } = app.sockets
process.on('message', () => { process.send!({ capacity: fleet.nodes[0]!.capacity, opened }) })
process.send!({ port: (app.server.address() as AddressInfo).port })
