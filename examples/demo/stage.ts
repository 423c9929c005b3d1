// The part of both servers that belongs to the demo, not to a server: listen on a free port, tell main.ts
// how many connections are open, and say what the database looked like when it closed.

import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Database } from './database.ts'
import type { DatabaseFigures, FromServer } from './protocol.ts'

const reportEvery = 250

export async function takeTheStage (app: FastifyInstance, database: Database): Promise<void> {
  await app.listen({ host: '127.0.0.1', port: 0 })

  setInterval(() => {
    tell({ type: 'open', open: app.websocketServer.clients.size, database: { ...database.figures } })
  }, reportEvery).unref()

  // Without main.ts there is no demo. It also keeps us from outliving a main.ts that was killed.
  process.once('disconnect', () => { process.exit(1) })
  // Only Windows uses it, where no signal can be caught (protocol.ts).
  process.on('message', (message) => { if (message === 'SIGTERM') process.emit('SIGTERM', 'SIGTERM') })

  tell({ type: 'listening', port: (app.server.address() as AddressInfo).port })
}

/** Resolves once the message has left this process, which may be about to exit. */
export function reportDatabaseClosed (database: DatabaseFigures): Promise<void> {
  return new Promise((resolve) => { tell({ type: 'database closed', database }, resolve) })
}

function tell (report: FromServer, sent: () => void = () => {}): void {
  if (process.connected) process.send!(report, undefined, undefined, sent)
  else sent()
}
