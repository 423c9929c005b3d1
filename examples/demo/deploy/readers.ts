// The readers of one deploy: clients on partysocket, over the class of ws or over the client class of this library. What they
// count is what their application sees: benchmarks/deploy/client.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import { CountingClient } from '../../../benchmarks/deploy/client.ts'
import { lifecycle } from '../../../lib/client/index.ts'
import type { FromReaders, ReaderCounts, ToReaders } from '../protocol.ts'

/** Handshakes under way at a time. */
const parallel = 20
const reportEvery = 250
/** Between two messages of a reader, milliseconds. */
const talkEvery = 2_000

const readers: CountingClient[] = []
let talking: NodeJS.Timeout | undefined

async function follow (order: ToReaders): Promise<void> {
  switch (order.type) {
    case 'read': {
      const Class = order.lifecycle ? lifecycle(WebSocket, { dedupe: (data) => data }) : WebSocket
      while (readers.length < order.readers) {
        const number = readers.length
        readers.push(new CountingClient(`ws://127.0.0.1:${order.port}/news/${number}`, Class))
        if (readers.length % parallel === 0) await allConnected()
      }
      await allConnected()
      return tell({ type: 'connected' })
    }

    case 'talk': {
      let turn = 0
      talking = setInterval(() => readers[turn++ % readers.length]!.ask(), talkEvery / readers.length)
      return
    }

    case 'await connections':
      await allConnected()
      return tell({ type: 'connected' })

    case 'stop talking':
      return clearInterval(talking)

    case 'count':
      return tell({ type: 'counted', counts: count(order.published) })
  }
}

async function allConnected (): Promise<void> {
  while (!readers.every((reader) => reader.isOpen)) await sleep(10)
}

function count (published: number): ReaderCounts {
  const sum = (of: (reader: CountingClient) => number) => readers.reduce((total, reader) => total + of(reader), 0)
  return {
    readers: readers.length,
    open: sum(({ isOpen }) => Number(isOpen)),
    longest: Math.max(...readers.map(({ without }) => without)),
    total: sum(({ without }) => without),
    missed: sum((reader) => reader.lost(published)),
    twice: sum(({ twice }) => twice),
    sent: sum(({ asked }) => asked),
    unanswered: sum(({ unanswered }) => unanswered),
    closes: sum(({ closes }) => closes)
  }
}

function tell (report: FromReaders): void {
  if (process.connected) process.send!(report)
}

process.on('message', (order: ToReaders) => { void follow(order) })
process.on('SIGINT', () => {}) // main.ts handles it for all.
process.once('disconnect', () => { process.exit() })
setInterval(() => {
  const { open, closes } = count(0)
  tell({ type: 'reading', open, closes })
}, reportEvery).unref()
