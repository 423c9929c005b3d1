// A usual server with bare @fastify/websocket: close-with-grace calls app.close(), and each socket is cleaned up in its
// 'close' event. Compare with lifecycle.ts.

import websocket from '@fastify/websocket'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import { openDatabase } from './database.ts'
import { addHandlers } from './handlers.ts'
import { reportDatabaseClosed, listenAndReport } from './server-process.ts'

const app = Fastify()
const database = openDatabase(app, reportDatabaseClosed)

await app.register(websocket)

addHandlers(app, database, (socket, cleanup) => {
  socket.on('close', async () => { await cleanup() })
})

// Longer than the 30 s for which ws waits for a peer, so that app.close() can finish.
closeWithGrace({ delay: 35_000 }, async () => { await app.close() })

await listenAndReport(app, database)
