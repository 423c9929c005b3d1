/**
 * A turn of the in-process programs: a chunk of messages, or some handshakes, on an app in this process.
 */
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { frame, OPCODE } from '../load/frames.ts'
import { handshake, upgrade } from './memory-socket.ts'
import type { Pair } from './pairs.ts'

/** Messages and handshakes in a turn. */
export const MESSAGES = 1_000
export const HANDSHAKES = 50
/** Turns of each app: those that are discarded, and those that count. */
export const WARM_UP = 200
export const TURNS = 1_000

const CHUNK = Buffer.concat(Array.from({ length: MESSAGES }, () => frame(OPCODE.text, Buffer.from('0123456789abcdef'))))

let received = 0

/** An app with routes for the listeners. */
export async function makeApp (register: (app: FastifyInstance) => Promise<void>): Promise<FastifyInstance> {
  const app = Fastify()
  await register(app)
  app.get('/sync', { websocket: true }, (socket) => { socket.on('message', () => { received++ }) })
  app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (data) => { received++; socket.send(data) }) })
  app.get('/async', { websocket: true }, (socket) => { socket.on('message', async () => { received++ }) })
  await app.ready()
  return app
}

export function connect (app: FastifyInstance, path: string): Socket {
  const opening = handshake(path)
  upgrade(app.server, opening)
  return opening.socket
}

/** Milliseconds for a chunk of messages, with the work that follows from them. */
export async function deliver (socket: Socket): Promise<number> {
  received = 0
  const startedAt = performance.now()
  socket.push(CHUNK)
  await turn()
  const duration = performance.now() - startedAt
  if (received !== MESSAGES) throw new Error(`${received} of ${MESSAGES} messages were delivered`)
  return duration
}

/** Milliseconds for some handshakes, with the work that follows from them, without the end of their sockets. */
export async function open (app: FastifyInstance): Promise<number> {
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

export function inUnits ({ first, second, added }: Pair, factor: number): Pair {
  return { first: first * factor, second: second * factor, added: added * factor }
}
