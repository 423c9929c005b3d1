/**
 * TCP clients by the thousand: no more than a socket each.
 */
import { once } from 'node:events'
import net from 'node:net'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { portOf } from '../helpers/server.ts'

/** A TCP connection whose errors are ignored. */
export async function dial (app: FastifyInstance): Promise<Socket> {
  const socket = net.connect({ port: portOf(app), host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** RST: a flood of polite ends would only use up the ports of this machine. */
export async function reset (socket: Socket): Promise<void> {
  if (socket.destroyed) return
  const closed = new Promise<void>((resolve) => { socket.once('close', () => { resolve() }) })
  socket.resetAndDestroy()
  await closed
}

/** Asks, reads until the server ends TCP, or until it says anything, and is gone: the answer. */
export async function knock (app: FastifyInstance, request: string, until: 'end' | 'data' = 'end'): Promise<string> {
  const socket = await dial(app)
  let answer = ''
  const ended = new Promise<void>((resolve) => { socket.once(until, () => { resolve() }); socket.once('close', () => { resolve() }) })
  socket.on('data', (chunk) => { answer += chunk.toString('latin1') })
  socket.write(request)
  await ended
  await reset(socket)
  return answer
}
