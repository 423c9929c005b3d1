/**
 * The application of a deploy, the same for every candidate: clients join the room in their URL, and their questions are
 * answered after a query.
 */
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { WebSocket } from 'ws'
import { answer } from '../rpc.ts'
import type { RoomServerControl } from './control.ts'

/** Milliseconds. */
const QUERY = 20

/** How a candidate keeps the members of its rooms. */
interface Rooms {
  join (socket: WebSocket, room: string): void
  publish (room: string, text: string): unknown
}

/** Turns the process into a server under test. The application must not listen yet. */
export function serveRooms (app: FastifyInstance, { join, publish }: Rooms): void {
  app.get<{ Params: { room: string } }>('/:room/:client', { websocket: true }, (socket, { params }) => {
    join(socket, params.room)
    socket.on('message', async (question: Buffer) => {
      await sleep(QUERY)
      socket.send(question.toString())
    })
  })
  answer<RoomServerControl>({
    async start (port) {
      await app.listen({ port, host: '127.0.0.1' })
      return { port: (app.server.address() as AddressInfo).port }
    },
    publish
  })
}
