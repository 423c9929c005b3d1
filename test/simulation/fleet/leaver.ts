/**
 * A node that leaves: by the plugin's own planning code, or as other servers do.
 */
import { Bookings } from '../../../lib/drain/bookings.ts'
import type { DrainFleet } from '../../../lib/drain/bookings.ts'
import { makePlan, momentsOf } from '../../../lib/drain/plan.ts'
import { reconnectDelay } from '../../../lib/drain/reconnect.ts'
import type { ReconnectOptions } from '../../../lib/drain/reconnect.ts'
import { Schedule } from '../../../lib/drain/schedule.ts'
import { EXPECTED_CLOSE } from '../../../lib/drain/throughput.ts'
import { SHARE, toBooked } from '../../../lib/fleet/turns.ts'
import type { Manners, Node, World } from './world.ts'

/** Time of a loop that closes sockets, for each of them, milliseconds. */
const CLOSE_LOOP = 0.075

/** What a node that leaves meets. */
export interface Circumstances {
  readonly manners: Manners
  /** Time until the node is killed, and for which it goes on serving, milliseconds. */
  readonly gracePeriod: number
  readonly settleDelay: number
  /** Time to the engine and back, milliseconds. */
  latency (): number
  /** Whether a call of the engine fails. */
  fails (): boolean
  /** How late a timer fires, milliseconds. */
  lateness (): number
}

export interface Leaver {
  /** The clients that are left lose their connections. */
  die (): void
}

/** How a node leaves. */
export type Way = (world: World, node: Node, name: string, circumstances: Circumstances) => Leaver

/** The plugin, in a fleet or, with the rate that is given, without one. */
export function ours (rate?: number): Way {
  return (world, node, name, { manners, gracePeriod, settleDelay, latency, fails, lateness }) => {
    const { events, calendar } = world
    const plan = makePlan({ timeout: undefined, defaultTimeout: 0, terminationGracePeriod: gracePeriod, preStop: 0, reserve: 5_000, settleDelay, spread: 'auto', closeTimeout: undefined })
    const reconnect: ReconnectOptions = { rate: rate ?? 200, minDelay: 0, maxDelay: 60_000 }
    const schedule = new Schedule(reconnect)
    const { lastFrameAt } = momentsOf(plan, events.now)
    let dead = false
    const fleet = {
      get rate () { return SHARE * (world.capacity - (node.counts ? node.capacity : 0)) },
      leavers: 1 + world.leaving,
      book: (clients: number, from: number) => ({
        then: (answer: (booked: ReturnType<typeof toBooked>) => void) => {
          const sent = events.now
          const failed = fails()
          events.at(sent + latency() / 2, () => {
            // What is under way when a node dies is carried out.
            if (!failed) node.counts = false
            const turns = failed ? null : calendar.book(name, { clients, from, share: SHARE, ceiling: Infinity }, events.now, world.capacity)
            events.at(events.now + latency() / 2, () => { answer(turns && toBooked(turns, from, sent, events.now)) })
          })
        }
      })
    }
    const bookings = new Bookings({ clock: events.clock, fleet: rate === undefined ? fleet as DrainFleet : null, random: world.random.next }, schedule, () => node.connections, () => {})
    bookings.begin(settleDelay)
    events.at(events.now + settleDelay, () => {
      node.accepts = false
      world.capacityChanged()
      // Its beat says so, too.
      events.at(events.now + latency() / 2, () => { node.counts = false })
      bookings.whenAnswered(() => {
        schedule.begin('auto', node.connections, events.now, lastFrameAt)
        pump()
      })
    })

    function pump (): void {
      if (dead) return
      const { now } = events
      let due = 0
      while (node.connections > 0 && (due = schedule.due(node.connections * EXPECTED_CLOSE)) <= now) {
        const wait = schedule.wait(now)
        schedule.next(now, node.connections--)
        const delay = reconnectDelay(reconnect, wait)
        world.closed(rate === undefined || delay > 0 ? delay : null, manners)
      }
      if (node.connections === 0) return bookings.end()
      // A booking may bring the next turn forward: it is looked at as often.
      events.at(Math.min(due, now + 50) + lateness(), pump)
    }

    return {
      die () {
        dead = true
        node.accepts = node.counts = false
        bookings.end()
        for (; node.connections > 0; node.connections--) world.closed(null, manners, false)
      }
    }
  }
}

/** Closes `batch` clients in a loop, again after each `interval`. */
export function batches (batch: number, interval: number): Way {
  return (world, node, _name, { manners }) => {
    const { events } = world
    node.accepts = node.counts = false
    world.capacityChanged()
    const count = node.connections
    const begins = events.now
    next(0)
    return { die () {} }

    function next (i: number): void {
      if (i === count) return
      node.connections--
      world.closed(null, manners)
      const at = Math.floor((i + 1) / batch) * interval + (i + 1) % batch * CLOSE_LOOP
      events.at(begins + at, () => { next(i + 1) })
    }
  }
}

/** Closes all in a loop. */
export const allAtOnce = batches(Infinity, 0)
/** Phoenix.Socket's drainer, with its defaults. */
export const phoenix = batches(10_000, 2_000)
/** The lame duck mode of NATS: two minutes, of which the first ten seconds close nothing. */
export const lameDuck: Way = (world, node, ...rest) => batches(1, 110_000 / node.connections)(world, node, ...rest)
