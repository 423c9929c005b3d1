/**
 * How connections end: for a true cause, in bounded time, with each cleanup run once, and with nothing left behind.
 */
import { TICK } from '../time.ts'
import { eachOf } from './invariant.ts'
import type { Invariant } from './invariant.ts'

/** Milliseconds between what the tracker and the simulation call the moment of an accept, or of a close. */
const SLACK = 60

/** Causes that only the tracker can give; the other invariants judge them. */
const OWN = ['heartbeat', 'idle', 'expired', 'lifetime', 'rate', 'slow', 'replaced', 'refused', 'rebalance']

export const ends: readonly Invariant[] = [
  {
    name: 'every close has its true cause',
    closed ({ drain }, peer, { cause }) {
      if (OWN.includes(cause) || peer.causes.has(cause)) return undefined
      if ((cause === 'drain' || cause === 'leave') && drain.startedAt !== null) return undefined
      return `${peer.name} was closed with cause "${cause}"; what happened: ${[...peer.causes].join(', ') || 'nothing'}`
    }
  },
  {
    name: 'a duration is what the monotonic clock says',
    closed ({ time }, { name, acceptedAt }, { duration }) {
      const real = time.moment.now - acceptedAt.now
      return Math.abs(duration - real) > SLACK && `${name} was there for ${real} ms, and its record says ${duration}`
    }
  },
  {
    name: 'each cleanup runs once',
    step: ({ cleanups }) => {
      const wrong = cleanups.find(({ runs, early }) => runs > 1 || early)
      return wrong && `cleanup ${wrong.name} of ${wrong.peer.name} ran ${wrong.runs} times${wrong.early ? ', before its connection closed' : ''}`
    },
    end: ({ cleanups }) => {
      const wrong = cleanups.find(({ runs }) => runs !== 1)
      return wrong && `cleanup ${wrong.name} of ${wrong.peer.name} ran ${wrong.runs} times`
    }
  },
  {
    name: 'the socket of a closing connection is gone in time',
    step: ({ live, time, options }) => eachOf(live, ({ closingAt, goneAt, frameMovedAt }) => {
      if (closingAt === null || goneAt !== null) return undefined
      const since = time.slow - Math.max(closingAt.slow, frameMovedAt)
      // Looked at four times while the frame cannot leave, each a tick late; then it has its time to answer.
      return since > options.closeTimeout * 1.25 + 8 * TICK && `has neither answered nor read for ${since} ms, and is still there`
    })
  },
  {
    name: 'a connection whose socket is gone is closed in time',
    step: ({ live, time, options }) => eachOf(live, ({ closingAt, goneAt, deferredAt, cleanups, socket }) => {
      if (closingAt === null || goneAt === null) return undefined
      const gone = goneAt.slow + (socket.broken ? options.closeTimeout + 2 * TICK : 0)
      const since = time.slow - Math.max(gone, closingAt.slow + cleanups * (options.cleanupTimeout + TICK), deferredAt + options.cleanupTimeout + TICK)
      return since > 3 * TICK && `is not closed ${since} ms after all of its cleanups had their time`
    })
  },
  {
    name: 'work is counted until it has settled',
    step: ({ peers }) => eachOf(peers, ({ jobs, connection }) => jobs > 0 && !connection.working && `has ${jobs} jobs and does not work`),
    end: ({ peers }) => eachOf(peers, ({ connection }) => connection.working && 'works at the end')
  },
  {
    name: 'nothing remains',
    step ({ admission, live, drain, unsettled, tracker, clock, options }) {
      // A summary, the end of pressure or a handshake may be waited for.
      if (admission !== null || Object.values(options.modes).includes('observe')) return undefined
      if (live.size > 0 || unsettled.size > 0 || (drain.startedAt !== null && drain.doneAt === null)) return undefined
      const left = tracker.leftovers + clock.pendingTimers + clock.pendingImmediates
      return left > 0 && `there are no connections, and ${tracker.leftovers} entries, ${clock.pendingTimers} timers and ${clock.pendingImmediates} immediates are`
    },
    end ({ tracker, clock }) {
      const { connections, working, opened, closed } = tracker.stats()
      if (tracker.leftovers + clock.pendingTimers + clock.pendingImmediates > 0) return `${tracker.leftovers} entries and ${clock.pendingTimers} timers are left at the end`
      const all = Object.values(closed).reduce((sum, count) => sum + count, 0)
      return (connections + working > 0 || opened !== all) && `${connections} connections, ${working} at work, ${opened} opened and ${all} closed`
    }
  }
]
