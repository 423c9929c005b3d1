/**
 * The drain: it ends within its timeout, waits for work while it may, ends every connection, and reports what it did.
 */
import type { CloseCause } from '../../../lib/base/close-codes.ts'
import type { ResolvedOptions } from '../../../lib/options/resolve.ts'
import { eachOf } from './invariant.ts'
import type { Invariant } from './invariant.ts'

/** Milliseconds that rounding a timer, and one turn of the loop for cleanups, may take. */
const SLACK = 5

/** Turns of the event loop to give up the few connections of a run: slices of 15 ms of CPU, and what arrives meanwhile. */
const TURNS = 20

/** Time that is kept for closing the connections of a run at the end of a drain, milliseconds. */
const CLOSING = 100

/** Turns that all come within this time are not waited for, milliseconds. */
const NO_TURNS = 100

/** How much faster than its rate clients may come back within a second, and one more that the second begins with. */
const FASTER = 1.05

export const drain: readonly Invariant[] = [
  {
    name: 'the drain ends within its timeout',
    step ({ drain, time, options }) {
      if (drain.startedAt === null || drain.doneAt !== null) return undefined
      const elapsed = time.slow - drain.startedAt.slow
      return elapsed > options.plan.timeout + SLACK && `it is not over after ${elapsed} of ${options.plan.timeout} ms`
    }
  },
  {
    name: 'once its time is up the drain ends within a few turns, however little CPU there is',
    step ({ drain, time, options, clock }) {
      if (drain.startedAt === null || drain.doneAt !== null || clock.now() <= drain.startedAt.now + options.plan.timeout) return undefined
      drain.overSince ??= time.turns
      const turns = time.turns - drain.overSince
      return turns > TURNS && `it is not over ${turns} turns after its time was up`
    }
  },
  {
    name: 'the drain waits for work',
    ending ({ drain, options, clock }, peer, cause) {
      if (!isDrain(cause) || peer.jobs === 0 || drain.aborted || drain.doneAt !== null) return undefined
      const { timeout, cleanupReserve, closeTimeout, spread } = options.plan
      const left = drain.startedAt!.now + timeout - cleanupReserve - closeTimeout - spread - clock.now()
      return left > 0 && `${peer.name} is closed over its work ${left} ms before the end of grace`
    }
  },
  {
    name: 'clients that a drain closes come back no faster than its rate',
    ending ({ drain, clock }, _peer, cause, reason) {
      if (isDrain(cause) && reason !== null) drain.back.push(clock.now() + retryIn(reason))
      return undefined
    },
    end ({ drain, options: { drain: { reconnect } } }) {
      const most = busiest(drain.back)
      return most > reconnect.rate * FASTER + 1 && `${most} come back within a second, and the rate is ${reconnect.rate}`
    }
  },
  {
    name: 'a drain closes no client before its turn, unless its time is up',
    ending ({ drain, starved, clock, options }, peer, cause, reason) {
      if (!isDrain(cause) || reason === null || options.drain.spread !== 'auto' || starved) return undefined
      // A handshake that opens after the drain waits for nothing.
      if (drain.doneAt !== null) return undefined
      const early = retryIn(reason) - options.drain.reconnect.minDelay
      const left = drain.startedAt!.now + lastFrame(options) - clock.now()
      return early > NO_TURNS && left > CLOSING && `${peer.name} is closed ${early} ms before its turn, ${left} ms before the last frame`
    }
  },
  {
    name: 'the last close frame of a drain leaves in time',
    ending ({ drain, time, options }, peer, cause) {
      if (!isDrain(cause) || drain.aborted || drain.doneAt !== null) return undefined
      const { slow } = drain.startedAt!
      const late = time.slow - slow - lastFrame(options)
      return late > SLACK && peer.openedAt !== null && peer.openedAt.slow < slow + lastFrame(options) && `${peer.name} is closed ${late} ms late`
    }
  },
  {
    name: 'the drain ends every connection and reports once',
    drained ({ drain, clock, options }, { connections, duration, work, phases }) {
      if (drain.reports.length > 1) return 'it was reported twice'
      const { timeout, reserve } = options.plan
      const early = drain.aborted ? Infinity : drain.startedAt!.now + timeout + reserve / 2 - clock.now()
      const left = eachOf(drain.left, () => early > 0 && `is still there after the drain, ${early} ms before half of the reserve has passed`)
      if (left) return left
      const { total, clean, terminated, unfinished } = connections
      if (drain.left.length > unfinished) return `${drain.left.length} connections are left, and the report says ${unfinished}`
      if (total !== clean + terminated + unfinished) return `of ${total} connections ${clean} were clean, ${terminated} terminated, ${unfinished} unfinished`
      if (work.inFlight !== work.finished + work.abandoned || work.finished < 0) return `of ${work.inFlight} works ${work.finished} finished, ${work.abandoned} were abandoned`
      const sum = Object.values(phases).reduce((total, phase) => total + phase)
      return Math.abs(sum - duration) > 1e-6 && `its phases took ${sum} ms, and all of it ${duration}`
    }
  },
  {
    name: 'what a drain leaves because there was too little CPU is ended right behind it',
    // By the first step after the drain all turns without a timer are over.
    step: ({ drain }) => eachOf(drain.left, ({ closed }) => !closed && 'was left by the drain, and is still there')
  }
]

function isDrain (cause: CloseCause): boolean { return cause === 'drain' || cause === 'leave' }

/** Milliseconds that a close reason tells a client to wait. */
function retryIn (reason: string): number { return Number(/retry=(\d+)/.exec(reason)?.[1] ?? 0) }

/** Milliseconds from the start of a drain until its last close frame must have left. */
function lastFrame ({ plan: { timeout, cleanupReserve, closeTimeout } }: ResolvedOptions): number { return timeout - cleanupReserve - closeTimeout }

/** The largest number of moments within a second. */
function busiest (moments: readonly number[]): number {
  const sorted = moments.toSorted((a, b) => a - b)
  let first = 0
  return Math.max(0, ...sorted.map((moment, last) => {
    while (sorted[first]! <= moment - 1_000) first++
    return last - first + 1
  }))
}
