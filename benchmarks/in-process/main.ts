/**
 * Costs that are smaller than the noise of the network: messages and handshakes of a real server, without the kernel and
 * without the HTTP parser. Both apps run in this process and take turns of a fraction of a millisecond, so that every
 * disturbance affects both.
 *
 * Its program's first argument is the folder of the built library; the second, 'everything', turns on what is off by default.
 */
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { frame, OPCODE } from '../load/frames.ts'
import { answer } from '../rpc.ts'
import { EVERYTHING, optionsOf } from '../servers/features.ts'
import { loadPlugin } from '../servers/plugin.ts'
import { activeBeats } from './beats.ts'
import type { InProcessControl } from './control.ts'
import { handshake, upgrade } from './memory-socket.ts'
import { compare } from './pairs.ts'
import type { Pair } from './pairs.ts'

/** Messages and handshakes in a turn. */
const MESSAGES = 1_000
const HANDSHAKES = 50
/** Turns of each app: those that are discarded, and those that count. */
const WARM_UP = 200
const TURNS = 1_000

const CHUNK = Buffer.concat(Array.from({ length: MESSAGES }, () => frame(OPCODE.text, Buffer.from('0123456789abcdef'))))

const plugin = await loadPlugin(process.argv[2]!)
let received = 0

const bare = await makeApp(async (app) => { await app.register(fastifyWebsocket) })
const ours = await makeApp(async (app) => { await app.register(plugin, optionsOf(process.argv[3] === 'everything' ? EVERYTHING : [])) })

answer<InProcessControl>({
  async messages (listener) {
    const [first, second] = [connect(bare, `/${listener}`), connect(ours, `/${listener}`)]
    await turn()
    const pair = await compare(TURNS, WARM_UP, () => deliver(first), () => deliver(second))
    for (const socket of [first, second]) socket.destroy()
    return inUnits(pair, 1e6 / MESSAGES)
  },
  async handshakes () {
    // A server usually has connections already; the first one starts timers that the others find running.
    const there = [connect(bare, '/sync'), connect(ours, '/sync')]
    const pair = await compare(TURNS, WARM_UP, () => open(bare), () => open(ours))
    for (const socket of there) socket.destroy()
    return inUnits(pair, 1e3 / HANDSHAKES)
  },
  activeBeats: () => activeBeats((options) => makeApp(async (app) => { await app.register(plugin, options) }))
})

async function makeApp (register: (app: FastifyInstance) => Promise<void>): Promise<FastifyInstance> {
  const app = Fastify()
  await register(app)
  app.get('/sync', { websocket: true }, (socket) => { socket.on('message', () => { received++ }) })
  app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (data) => { received++; socket.send(data) }) })
  app.get('/async', { websocket: true }, (socket) => { socket.on('message', async () => { received++ }) })
  await app.ready()
  return app
}

function connect (app: FastifyInstance, path: string): Socket {
  const opening = handshake(path)
  upgrade(app.server, opening)
  return opening.socket
}

/** Milliseconds for a chunk of messages, with the work that follows from them. */
async function deliver (socket: Socket): Promise<number> {
  received = 0
  const startedAt = performance.now()
  socket.push(CHUNK)
  await turn()
  const duration = performance.now() - startedAt
  if (received !== MESSAGES) throw new Error(`${received} of ${MESSAGES} messages were delivered`)
  return duration
}

/** Milliseconds for some handshakes, with the work that follows from them, without the end of their sockets. */
async function open (app: FastifyInstance): Promise<number> {
  const openings = Array.from({ length: HANDSHAKES }, () => handshake('/sync'))
  const before = app.websocketServer.clients.size
  const startedAt = performance.now()
  for (const opening of openings) upgrade(app.server, opening)
  await turn()
  const duration = performance.now() - startedAt
  const { clients } = app.websocketServer
  if (clients.size !== before + HANDSHAKES) throw new Error(`${clients.size - before} of ${HANDSHAKES} are open`)
  for (const { socket } of openings) socket.destroy()
  while (clients.size > before) await turn()
  return duration
}

function inUnits ({ first, second, added }: Pair, factor: number): Pair {
  return { first: first * factor, second: second * factor, added: added * factor }
}
