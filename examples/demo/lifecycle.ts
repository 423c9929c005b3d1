// The same server with fastify-websocket-lifecycle: another import, `signals: true` in place of the signal
// handler, and `defer` in place of the 'close' listener; the options are a choice. Compare with bare.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import sockets from '../../lib/index.ts'
import { openDatabase } from './database.ts'
import { addHandlers } from './handlers.ts'
import { leaving } from './protocol.ts'
import { reportDatabaseClosed, takeTheStage } from './stage.ts'

const app = Fastify()
const database = openDatabase(app, reportDatabaseClosed)

await app.register(sockets, {
  signals: true,
  // Serves on for a second, as a load balancer needs one to send newcomers elsewhere.
  drain: { settleDelay: 1_000 },
  // Warns the client, and leaves time for what is already on its way: without it, messages that cross the close frame
  // stay unanswered here as they do on the bare server.
  onDrain: async ({ socket }) => {
    socket.send(leaving)
    await sleep(200)
  }
})

addHandlers(app, database, (socket, cleanup) => {
  app.sockets.of(socket).defer(cleanup)
})

await takeTheStage(app, database)
