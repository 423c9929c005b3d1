/**
 * What a node that leaves needs of the calendar: how much of the capacity of the others it books, and its turns as its drain takes
 * them.
 */
import type { Booked } from '../drain/booked-turns.ts'
import type { Turns } from './engine.ts'

/** Part of the capacity of the nodes that stay that is booked. The rest is for clients that come late, twice, or for the first time. */
export const SHARE = 0.8

/**
 * Returns turns as a drain takes them; null if there are none. They were asked for at `sent`, to begin `from` milliseconds later, and
 * answered at `received`, by the clock of the node: the engine booked them in between.
 */
export function toBooked ({ first, seconds }: Turns, from: number, sent: number, received: number): Booked | null {
  return seconds.some((turns) => turns > 0) ? { begins: (sent + received) / 2 + from, first, length: 1_000, turns: seconds } : null
}
