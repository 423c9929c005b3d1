// What both servers do for the demo: listen on a free port, and report to main.ts the number of open connections and the
// state of the database at its close.

import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Database } from './database.ts'
import type { DatabaseFigures, FromServer } from './protocol.ts'

const reportEvery = 250

export async function listenAndReport (app: FastifyInstance, database: Database): Promise<void> {
  await app.listen({ host: '127.0.0.1', port: 0 })

  setInterval(() => {
    tell({ type: 'open', open: app.websocketServer.clients.size, database: { ...database.figures } })
  }, reportEvery).unref()

  // Ends with main.ts, also when that was killed.
  process.once('disconnect', () => { process.exit(1) })
  // For Windows only, where no signal can be caught (protocol.ts).
  process.on('message', (message) => { if (message === 'SIGTERM') process.emit('SIGTERM', 'SIGTERM') })

  tell({ type: 'listening', port: (app.server.address() as AddressInfo).port })
}

/** Resolves once the message has left this process, which may exit next. */
export function reportDatabaseClosed (database: DatabaseFigures): Promise<void> {
  return new Promise((resolve) => { tell({ type: 'database closed', database }, resolve) })
}

function tell (report: FromServer, sent: () => void = () => {}): void {
  if (process.connected) process.send!(report, undefined, undefined, sent)
  else sent()
}
