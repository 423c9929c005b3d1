// A simulated message broker: what main.ts publishes reaches every server, as through a channel of Redis.

import type { ToServer } from './protocol.ts'

/** Calls `deliver` with every message, in the order in which they were published. */
export function subscribe (deliver: (news: string) => void): void {
  process.on('message', (order: ToServer) => {
    if (order !== 'SIGTERM') deliver(order.news)
  })
}
