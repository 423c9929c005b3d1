// The application: four WebSocket routes, the same for both servers. The cleanup of a socket, which differs, is passed in.

import type { WebSocket } from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import type { Database } from './database.ts'
import { subscribe } from './news.ts'

/** Registers a cleanup that runs once the socket is gone. */
export type WhenGone = (socket: WebSocket, cleanup: () => Promise<void>) => void

const jobTime = 2_000
const feed = Buffer.alloc(1024 * 1024, 'x')

export function addHandlers (app: FastifyInstance, database: Database, whenGone: WhenGone): void {
  // Every message makes a database query and is answered.
  app.get('/chat', { websocket: true }, (socket) => {
    const session = database.acquire()
    whenGone(socket, () => database.release(session))

    socket.on('message', async (message, isBinary) => {
      await database.query()
      socket.send(message, { binary: isBinary })
    })
  })

  // Every message is a job of two seconds.
  app.get('/jobs', { websocket: true }, (socket) => {
    const session = database.acquire()
    whenGone(socket, () => database.release(session))

    socket.on('message', async (message) => {
      await database.query(jobTime)
      socket.send(`done: ${(message as Buffer).toString()}`)
    })
  })

  // Sends 16 MB at once, whether the client reads or not.
  app.get('/feed', { websocket: true }, (socket) => {
    const session = database.acquire()
    whenGone(socket, () => database.release(session))

    for (let megabyte = 0; megabyte < 16; megabyte++) socket.send(feed)
  })

  // Sends what is published to every reader. Their messages are answered as in /chat. The path has the name of the reader.
  const readers = new Set<WebSocket>()
  subscribe((news) => { for (const reader of readers) reader.send(news) })
  app.get('/news/:reader', { websocket: true }, (socket) => {
    readers.add(socket)
    whenGone(socket, async () => { readers.delete(socket) })

    socket.on('message', async (message, isBinary) => {
      await database.query()
      socket.send(message, { binary: isBinary })
    })
  })
}
