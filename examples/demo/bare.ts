// The server as people write it with bare @fastify/websocket: close-with-grace calls app.close(), and each
// socket is cleaned up in its 'close' event. Compare with lifecycle.ts.

import websocket from '@fastify/websocket'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import { openDatabase } from './database.ts'
import { addHandlers } from './handlers.ts'
import { reportDatabaseClosed, takeTheStage } from './stage.ts'

const app = Fastify()
const database = openDatabase(app, reportDatabaseClosed)

await app.register(websocket)

addHandlers(app, database, (socket, cleanup) => {
  socket.on('close', async () => { await cleanup() })
})

// Longer than the 30 s that ws waits for a peer, so that app.close() can get to its end.
closeWithGrace({ delay: 35_000 }, async () => { await app.close() })

await takeTheStage(app, database)
