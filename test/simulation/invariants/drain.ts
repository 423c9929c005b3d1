/**
 * The drain: it ends within its timeout, waits for work while it may, ends every connection, and reports what it did.
 */
import { eachOf } from './invariant.ts'
import type { Invariant } from './invariant.ts'

/** Milliseconds that rounding a timer, and one turn of the loop for cleanups, may take. */
const SLACK = 5

/** Turns of the event loop to give up the few connections of a run: slices of 15 ms of CPU, and what arrives meanwhile. */
const TURNS = 20

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
      if ((cause !== 'drain' && cause !== 'leave') || peer.jobs === 0 || drain.aborted || drain.doneAt !== null) return undefined
      const { timeout, cleanupReserve, closeTimeout, spread } = options.plan
      const left = drain.startedAt!.now + timeout - cleanupReserve - closeTimeout - spread - clock.now()
      return left > 0 && `${peer.name} is closed over its work ${left} ms before the end of grace`
    }
  },
  {
    name: 'the drain ends every connection and reports once',
    drained ({ drain, live, clock }, { connections, duration, work, phases }) {
      if (drain.reports.length > 1) return 'it was reported twice'
      // A handshake may open, or be accepted, in the very last turn.
      const left = eachOf(live, ({ acceptedAt, openedAt }) => (openedAt ?? acceptedAt).now < clock.now() - 1 && 'is still there after the drain')
      if (left) return left
      const { total, clean, terminated, unfinished } = connections
      if (total !== clean + terminated + unfinished) return `of ${total} connections ${clean} were clean, ${terminated} terminated, ${unfinished} unfinished`
      if (work.inFlight !== work.finished + work.abandoned || work.finished < 0) return `of ${work.inFlight} works ${work.finished} finished, ${work.abandoned} were abandoned`
      const sum = Object.values(phases).reduce((total, phase) => total + phase)
      return Math.abs(sum - duration) > 1e-6 && `its phases took ${sum} ms, and all of it ${duration}`
    }
  }
]
