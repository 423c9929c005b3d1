// A simulated database: queries take time, sessions are counted, and a session released after its close is lost. Both
// servers open it first, as is usual, so Fastify closes it last.

import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { DatabaseFigures } from './protocol.ts'

const queryTime = 50
const releaseTime = 50

export class Database {
  /** Sessions acquired, and sessions released while the database was still open. */
  readonly figures: DatabaseFigures = { acquired: 0, released: 0 }
  #closed = false

  /** Takes a session for one socket. */
  acquire (): number {
    return ++this.figures.acquired
  }

  /** Releases a session. After `close` it is lost: presence rows, locks, counters stay behind. */
  async release (_session: number): Promise<void> {
    await sleep(releaseTime)
    if (!this.#closed) this.figures.released++
  }

  async query (milliseconds = queryTime): Promise<void> {
    await sleep(milliseconds)
  }

  close (): void {
    this.#closed = true
  }
}

/** Opens the database of a server, and closes it in onClose, as Fastify recommends. */
export function openDatabase (app: FastifyInstance, onClosed: (figures: DatabaseFigures) => Promise<void>): Database {
  const database = new Database()
  app.addHook('onClose', async () => {
    database.close()
    await onClosed({ ...database.figures })
  })
  return database
}
