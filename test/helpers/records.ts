/**
 * What a tracker tells, as promises: the record of the next connection that closes, the order of its events.
 */
import type { CloseRecord, Connection, LifecycleEvents, Tracker } from '../../lib/index.ts'

/** The record of the next connection that closes. */
export function nextClosed ({ sockets }: { sockets: Tracker }): Promise<CloseRecord> {
  return new Promise((resolve) => {
    sockets.on('closed', function listener (_connection: Connection, record: CloseRecord) {
      sockets.off('closed', listener)
      resolve(record)
    })
  })
}

/** The next event of a kind. */
export function nextEvent<K extends keyof LifecycleEvents> ({ sockets }: { sockets: Tracker }, event: K): Promise<LifecycleEvents[K]> {
  return new Promise((resolve) => {
    sockets.on(event, function listener (...args: LifecycleEvents[K]) {
      sockets.off(event, listener)
      resolve(args)
    })
  })
}

/** Names of a connection's events in the order in which they were emitted, from now on. */
export function recordEvents ({ sockets }: { sockets: Tracker }): string[] {
  const seen: string[] = []
  for (const event of ['open', 'draining', 'closing', 'closed', 'error', 'refused', 'drain', 'drained'] as const) {
    sockets.on(event, () => { seen.push(event) })
  }
  return seen
}

/** Lets everything that is due run: promises, then a turn of the event loop. */
export function turn (): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve) })
}
