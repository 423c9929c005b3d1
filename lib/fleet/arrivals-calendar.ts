/**
 * The calendar of arrivals: which node may send back how many clients in each second. The arithmetic of `FleetEngine.book`; pure.
 *
 * A second of engine time has room for what the nodes that stay can take. It holds rates, clients a second, not numbers: a second
 * that is under way is booked for the rest of it. A booking takes the earliest room and never moves those of other nodes; nodes
 * book again while they leave, so that bookings shrink when others leave, and move up when others join.
 */
import type { Booking, Turns } from './engine.ts'

const SECOND = 1_000

/** Seconds that a booking looks at. */
const MOST_SECONDS = 3_600

export class Calendar {
  /** Second of engine time → node → its clients a second. */
  readonly #seconds = new Map<number, Map<string, number>>()

  /** Number of seconds in which there are turns. */
  get size (): number { return this.#seconds.size }

  /** Books turns at `now`, engine time in milliseconds. All nodes together can take `capacity` clients a second. */
  book (node: string, { clients, from, share, ceiling }: Omit<Booking, 'leaves'>, now: number, capacity: number): Turns {
    // One client a second at least: turns must end.
    const rate = capacity > 0 ? Math.max(1, Math.min(ceiling, share * capacity)) : 0
    const begins = now + from
    const begun = Math.floor(begins / SECOND)
    const kept = this.#giveBack(node, now, begins)
    const seconds: number[] = []
    let left = rate > 0 ? clients : 0
    for (let second = begun; left > 0 && second < begun + MOST_SECONDS; second++) {
      const room = (rate - this.#others(node, second)) * (SECOND - startOf(second, begins)) / SECOND
      const turns = Math.min(left, Math.max(0, room))
      left -= turns
      seconds.push(turns)
      this.#set(node, second, turns + (second === begun ? kept : 0), now)
    }
    if (seconds.length === 0) this.#set(node, begun, kept, now)
    return { first: SECOND - startOf(begun, begins), seconds, rate }
  }

  /** Removes what a node has from `begins` on, and all that is past. Returns its turns in the second of `begins` that come before. */
  #giveBack (node: string, now: number, begins: number): number {
    let kept = 0
    for (const [second, rates] of this.#seconds) {
      if ((second + 1) * SECOND <= begins && (second + 1) * SECOND > now) continue
      const rate = rates.get(node) ?? 0
      if (second === Math.floor(begins / SECOND)) kept = rate * (startOf(second, begins) - startOf(second, now)) / SECOND
      rates.delete(node)
      if (rates.size === 0 || (second + 1) * SECOND <= now) this.#seconds.delete(second)
    }
    return kept
  }

  /** Clients a second of all other nodes. */
  #others (node: string, second: number): number {
    let sum = 0
    for (const [other, rate] of this.#seconds.get(second) ?? []) if (other !== node) sum += rate
    return sum
  }

  /** Spreads turns over what is left of a second. */
  #set (node: string, second: number, turns: number, now: number): void {
    if (turns === 0) return
    let rates = this.#seconds.get(second)
    if (rates === undefined) this.#seconds.set(second, rates = new Map())
    rates.set(node, turns * SECOND / (SECOND - startOf(second, now)))
  }
}

/** Returns the part of a second that has passed at `now`, milliseconds. */
function startOf (second: number, now: number): number {
  return Math.min(SECOND, Math.max(0, now - second * SECOND))
}
