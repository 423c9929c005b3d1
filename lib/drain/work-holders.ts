/**
 * What a drain has waited for longest: the ten that held it up most.
 */
import { nameOf } from '../base/guard.ts'
import type { Cleanup } from '../connection/cleanups.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Holder } from '../track/drain-report.ts'

/** How many are kept. */
const MOST = 10
/** What took less did not hold anything up, milliseconds. */
const LEAST = 100

export class WorkHolders {
  readonly #longest: Holder[] = []

  /** Work has ended, or is no longer waited for, after `duration` milliseconds. */
  addWork (connection: ManagedConnection, duration: number): void { this.#add(connection, 'work', () => workName(connection), duration) }

  /** A cleanup has ended or was given up after `duration` milliseconds. */
  addCleanup (connection: ManagedConnection, cleanup: Cleanup, duration: number): void { this.#add(connection, 'cleanup', () => nameOf(cleanup), duration) }

  #add ({ id, route }: ManagedConnection, what: Holder['what'], name: () => string, duration: number): void {
    const longest = this.#longest
    if (duration < LEAST || (longest.length === MOST && duration <= longest[MOST - 1]!.duration)) return
    const place = longest.findIndex((other) => other.duration < duration)
    longest.splice(place === -1 ? longest.length : place, 0, { connection: id, route, what, name: name(), duration: Math.round(duration) })
    longest.length = Math.min(longest.length, MOST)
  }

  /** The longest first. */
  get all (): Holder[] { return this.#longest }
}

/** Name of the work in flight; of one of them, if there are several. */
export function workName ({ work, consumed, incoming, host, socket }: ManagedConnection): string {
  if (work.name !== undefined) return work.name
  if (consumed) return 'messages()'
  if (incoming.readsInput) return 'unread input'
  // A listener that was added with `once` is removed by now.
  return host.transport.messageListeners(socket).map(nameOf).join(', ') || 'message listener'
}
