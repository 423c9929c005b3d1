/**
 * Rooms with @fastify/websocket and close-with-grace.
 */
import fastifyWebsocket from '@fastify/websocket'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import type { WebSocket } from 'ws'
import { sendToAll } from '../servers/handlers.ts'
import { serveRooms } from './room-server.ts'

const app = Fastify()
await app.register(fastifyWebsocket)
closeWithGrace({ delay: 30_000 }, async () => { await app.close() })

const rooms = new Map<string, Set<WebSocket>>()

serveRooms(app, {
  join (socket, room) {
    const members = rooms.get(room) ?? new Set()
    rooms.set(room, members.add(socket))
    socket.on('close', () => { members.delete(socket) })
  },
  publish (room, text) { sendToAll(rooms.get(room) ?? [], text) }
})
