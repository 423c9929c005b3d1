// One process of the crowd. It follows the orders of main.ts: connect, work, connect late, finish. Clients and servers
// never share a process, so that neither can slow the other down unseen.

import { setTimeout as sleep } from 'node:timers/promises'
import { openClient, type Client } from './clients.ts'
import { openLateClients } from './late-clients.ts'
import type { FromCrowd, Kind, ToCrowd } from './protocol.ts'
import { emptyCounts } from './counts.ts'

const reportEvery = 250
/** Time for clients to see the end of a server that has exited, milliseconds. */
const lastLook = 1_500
/** Jobs start at random within this time, milliseconds. */
const stagger = 400

const counts = emptyCounts()
const clients: Client[] = []
let port = 0
let attempts: Promise<void> | undefined

async function follow (order: ToCrowd): Promise<void> {
  switch (order.type) {
    case 'connect':
      port = order.port
      for (const [kind, count] of Object.entries(order.clients)) {
        for (let client = 0; client < count; client++) clients.push(openClient(kind as Kind, port, counts))
      }
      await Promise.all(clients.map((client) => client.opened))
      return tell({ type: 'connected' })

    case 'work':
      for (const client of clients) setTimeout(() => client.work?.(), Math.random() * stagger)
      return

    case 'connect late':
      attempts = openLateClients(port, counts)
      await attempts
      return tell({ type: 'attempted' })

    case 'finish':
      for (const client of clients) client.read?.()
      await attempts
      await Promise.race([Promise.all(clients.map((client) => client.ended)), sleep(lastLook)])
      return tell({ type: 'finished', counts })
  }
}

function tell (report: FromCrowd): void {
  if (process.connected) process.send!(report)
}

process.on('message', (order: ToCrowd) => {
  follow(order).catch((error: Error) => { tell({ type: 'broken', why: error.message }) })
})
// Ctrl-C reaches the whole process group; main.ts handles it for all.
process.on('SIGINT', () => {})
process.once('disconnect', () => { process.exit() })
setInterval(() => tell({ type: 'progress', counts }), reportEvery).unref()
tell({ type: 'loaded' })
