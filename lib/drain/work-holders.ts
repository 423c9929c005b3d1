/**
 * What a drain has waited for longest: the ten that held it up most.
 */
import type { Holder } from '../track/drain-report.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'

/** How many are kept. */
const MOST = 10
/** What took less did not hold anything up, milliseconds. */
const LEAST = 100

export class WorkHolders {
  readonly #longest: Holder[] = []

  /** Something has ended or was given up after `duration` milliseconds; its name is asked for only where it is kept. */
  add ({ id, route }: ManagedConnection, what: Holder['what'], name: () => string, duration: number): void {
    const longest = this.#longest
    if (duration < LEAST || (longest.length === MOST && duration <= longest[MOST - 1]!.duration)) return
    const place = longest.findIndex((other) => other.duration < duration)
    longest.splice(place === -1 ? longest.length : place, 0, { connection: id, route, what, name: name(), duration: Math.round(duration) })
    longest.length = Math.min(longest.length, MOST)
  }

  /** The longest first. */
  get all (): Holder[] { return this.#longest }
}
