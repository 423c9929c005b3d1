// The same server with fastify-websocket-lifecycle: another import, `signals: true` instead of the signal handler, and
// `defer` instead of the 'close' listener. The other options are optional. Compare with bare.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import sockets from '../../lib/index.ts'
import { openDatabase } from './database.ts'
import { addHandlers } from './handlers.ts'
import { leaving } from './protocol.ts'
import { reportDatabaseClosed, listenAndReport } from './server-process.ts'

const app = Fastify()
const database = openDatabase(app, reportDatabaseClosed)

await app.register(sockets, {
  signals: true,
  // The time until SIGKILL, as in a manifest of Kubernetes. Keeps serving for a second first, so that load balancers notice.
  drain: { terminationGracePeriod: 30_000, settleDelay: 1_000 },
  // Announces the shutdown, and leaves time for messages on their way. Without it, messages that cross the close frame stay
  // unanswered, as on the bare server.
  onDrain: async ({ socket }) => {
    socket.send(leaving)
    await sleep(200)
  }
})

addHandlers(app, database, (socket, cleanup) => {
  app.sockets.of(socket).defer(cleanup)
})

await listenAndReport(app, database)
