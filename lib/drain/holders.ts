/**
 * The work and the cleanups that a drain has waited for longest.
 */
import { nameOf } from '../base/guard.ts'
import type { Cleanup } from '../connection/cleanups.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Holder } from '../track/drain-report.ts'

/** Maximum number of entries. */
export const MAX_ENTRIES = 10
/** Least duration of an entry, milliseconds. */
const LEAST_DURATION = 100

export class Holders {
  /** Longest first. */
  readonly all: Holder[] = []

  /** Work has ended, or is no longer waited for, after `duration` milliseconds. */
  addWork (connection: ManagedConnection, duration: number): void { this.#add(connection, 'work', () => workName(connection), duration) }

  /** A cleanup has ended, or was given up, after `duration` milliseconds. */
  addCleanup (connection: ManagedConnection, cleanup: Cleanup, duration: number): void { this.#add(connection, 'cleanup', () => nameOf(cleanup), duration) }

  #add (connection: ManagedConnection, what: Holder['what'], name: () => string, duration: number): void {
    const { all } = this
    if (duration < LEAST_DURATION || (all.length === MAX_ENTRIES && duration <= all[MAX_ENTRIES - 1]!.duration)) return
    const place = all.findIndex((other) => other.duration < duration)
    all.splice(place === -1 ? all.length : place, 0, entryOf(connection, what, name(), duration))
    all.length = Math.min(all.length, MAX_ENTRIES)
  }
}

/** Makes an entry of the report. */
export function entryOf ({ id, route }: ManagedConnection, what: Holder['what'], name: string, duration: number): Holder {
  return { connection: id, route, what, name, duration: Math.round(duration) }
}

/** Name of the work in flight; of one of them, if there are several. */
export function workName ({ work, consumed, incoming, host, socket }: ManagedConnection): string {
  if (work.name !== undefined) return work.name
  if (consumed) return 'messages()'
  if (incoming.readsInput) return 'unread input'
  // A listener that was added with `once` is removed by now.
  return host.transport.messageListeners(socket).map(nameOf).join(', ') || 'message listener'
}
