/**
 * The program of a crowd: clients on partysocket, over the class of the library or over that of ws alone. All of them count what their
 * application sees, through the interface of partysocket.
 */
import { pathToFileURL } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { answer } from '../rpc.ts'
import { CountingClient } from './client.ts'
import type { Counts, CrowdControl, CrowdOptions } from './control.ts'

/** Handshakes under way at a time. */
const PARALLEL = 16
/** Milliseconds between two looks. */
const STEP = 10

const clients: CountingClient[] = []
let asking: NodeJS.Timeout | null = null

answer<CrowdControl>({
  async open ({ url, count, rooms, lifecycle }: CrowdOptions) {
    const Socket = lifecycle === null ? WebSocket : await overWs(lifecycle)
    while (clients.length < count) {
      const first = clients.length
      const some = Array.from({ length: Math.min(PARALLEL, count - first) }, (_, i) => new CountingClient(`${url}/${rooms[(first + i) % rooms.length]!}/${first + i}`, Socket))
      clients.push(...some)
      await connected(some)
    }
  },

  ask (period) {
    if (asking !== null) clearInterval(asking)
    asking = null
    if (period === 0) return
    const startedAt = performance.now()
    let asked = 0
    asking = setInterval(() => {
      // By the time that has passed, not by the number of steps, because timers are late.
      const due = Math.floor((performance.now() - startedAt) / period * clients.length)
      while (asked < due) clients[asked++ % clients.length]!.ask()
    }, STEP)
  },

  connected: () => connected(clients),

  closed: () => clients.filter(({ closes }) => closes > 0).map(({ closedAt }) => closedAt),

  counts (published) {
    const sum: Counts = { clients: clients.length, longest: 0, total: 0, pause: 0, closes: 0, lost: 0, twice: 0, asked: 0, unanswered: 0 }
    for (const client of clients) {
      sum.longest = Math.max(sum.longest, client.without)
      sum.total += client.without
      sum.pause = Math.max(sum.pause, client.pause)
      sum.closes += client.closes
      sum.lost += client.lost(published)
      sum.twice += client.twice
      sum.asked += client.asked
      sum.unanswered += client.unanswered
    }
    return sum
  }
})

/** The client class of the library over that of ws; every message of a deploy has a text of its own. */
async function overWs (file: string): Promise<typeof WebSocket> {
  const { lifecycle } = await import(pathToFileURL(file).href) as { lifecycle: (Base: unknown, options: { dedupe: (data: unknown) => unknown }) => typeof WebSocket }
  return lifecycle(WebSocket, { dedupe: (data) => data })
}

async function connected (some: CountingClient[]): Promise<void> {
  while (!some.every((client) => client.isOpen)) await sleep(STEP)
}
