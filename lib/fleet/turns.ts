/**
 * Turns in the calendar of the fleet, for nodes that leave and for parts of the connections that do.
 */
import type { Booked } from '../drain/booked-turns.ts'
import type { FleetCore } from './core.ts'
import type { Booking, Turns } from './engine.ts'

/** Part of the capacity of the nodes that stay that is booked. The rest is for clients that come late, twice, or for the first time. */
export const SHARE = 0.8

const SECOND = 1_000

/** Turns a second, at most: of more, a turn takes no time that a clock shows. */
const MOST_RATE = 1e7

/** Turns in all, at least: what sums of fractions leave is no turn. */
const LEAST_TURNS = 1e-9

/** Most seconds of an answer: an hour, and the part of a second before it. */
const MOST_SECONDS = 3_601

/** Books turns; null: there are none. Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE. */
export async function bookTurns ({ clock, node, engine }: FleetCore, booking: Omit<Booking, 'share'>): Promise<Booked | null> {
  const sent = clock.now()
  return toBooked(await engine.book(node, { ...booking, share: SHARE }), booking.from, sent, clock.now())
}

/**
 * Returns turns as a drain takes them; null if there are none. They were asked for at `sent`, to begin `from` milliseconds later, and
 * answered at `received`, by the clock of the node: the engine booked them in between. What an engine answers is not trusted.
 */
export function toBooked ({ first, seconds }: Turns, from: number, sent: number, received: number): Booked | null {
  const isSound = first > 0 && first <= SECOND && Array.isArray(seconds) && seconds.length <= MOST_SECONDS &&
    Array.from(seconds).every((turns, index) => turns >= 0 && turns * SECOND <= MOST_RATE * (index === 0 ? first : SECOND))
  if (!isSound || !seconds.some((turns) => turns > LEAST_TURNS)) return null
  return { begins: (sent + received) / 2 + from, first, length: SECOND, turns: seconds }
}
