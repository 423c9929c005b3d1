// One process of the crowd. It does what main.ts orders, step by step: connect, work, knock, finish. It never
// shares a process with a server, so that neither can slow the other down unseen.

import { setTimeout as sleep } from 'node:timers/promises'
import { openClient, type Client } from './clients.ts'
import { knockOnTheDoor } from './newcomers.ts'
import type { FromCrowd, Kind, ToCrowd } from './protocol.ts'
import { emptyTally } from './tally.ts'

const reportEvery = 250
/** How long clients may take to see the end of a server that has already exited. */
const lastLook = 1_500
/** Jobs do not all start in the same instant. */
const stagger = 400

const tally = emptyTally()
const clients: Client[] = []
let port = 0
let knocks: Promise<void> | undefined

async function follow (order: ToCrowd): Promise<void> {
  switch (order.type) {
    case 'connect':
      port = order.port
      for (const [kind, count] of Object.entries(order.clients)) {
        for (let client = 0; client < count; client++) clients.push(openClient(kind as Kind, port, tally))
      }
      await Promise.all(clients.map((client) => client.opened))
      return tell({ type: 'connected' })

    case 'work':
      for (const client of clients) setTimeout(() => client.work?.(), Math.random() * stagger)
      return

    case 'knock':
      knocks = knockOnTheDoor(port, tally)
      return

    case 'finish':
      for (const client of clients) client.read?.()
      await knocks
      await Promise.race([Promise.all(clients.map((client) => client.ended)), sleep(lastLook)])
      return tell({ type: 'finished', tally })
  }
}

function tell (report: FromCrowd): void {
  if (process.connected) process.send!(report)
}

process.on('message', (order: ToCrowd) => {
  follow(order).catch((error: Error) => { tell({ type: 'broken', why: error.message }) })
})
// Ctrl-C reaches the whole terminal group; main.ts answers it for everyone.
process.on('SIGINT', () => {})
process.once('disconnect', () => { process.exit() })
setInterval(() => tell({ type: 'progress', tally }), reportEvery).unref()
tell({ type: 'loaded' })
