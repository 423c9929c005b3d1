/**
 * Deliberate breaks, one for each invariant at least: what proves that the simulation can fail.
 *
 * Each breaks real behaviour where it can be reached: the clock or the transport below the tracker, chance, or a method
 * of the code under test. None feeds an invariant with made-up data.
 */
import { CleanupStack } from '../../lib/connection/cleanups.ts'
import { Events } from '../../lib/track/events.ts'
import { RouteCounters } from '../../lib/connection/route-counters.ts'
import { Signals } from '../../lib/connection/signals.ts'
import { Work } from '../../lib/connection/work.ts'
import { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { MessageQueue } from '../../lib/connection/message-queue.ts'
import { Registry } from '../../lib/track/registry.ts'
import { RunningClock } from '../../lib/base/running-clock.ts'
import { Broadcasts } from '../../lib/track/broadcast.ts'
import { CutOff } from '../../lib/drain/cut-off.ts'
import { Schedule } from '../../lib/drain/schedule.ts'
import { Expiry } from '../../lib/watch/expiry.ts'
import { fake, FakeSocket } from '../helpers/fake-socket.ts'
import { clockWith, method, patch, transport } from './broken.ts'
import type { Sabotage } from './broken.ts'
import { COUNTED } from './invariants/broadcasts.ts'
import { CONTEXTS } from './invariants/contexts.ts'
import { Random } from './random.ts'
import { NOTHING_THROWS } from './run.ts'
import { BOUNDS } from './sabotage-bounds.ts'
import { badLog } from './world.ts'

const CORE: readonly Sabotage[] = [
  {
    invariant: 'states never go backwards',
    what: 'a message that comes late opens its connection again',
    begin () {
      const reopened = new WeakSet<ManagedConnection>()
      const { get } = Object.getOwnPropertyDescriptor(ManagedConnection.prototype, 'state')!
      return patch(ManagedConnection.prototype, (original) => ({
        state: {
          get (this: ManagedConnection) {
            const state = get!.call(this) as string
            return state === 'closing' && reopened.has(this) ? 'open' : state
          }
        },
        received: method<ManagedConnection>(function (...args) {
          if (get!.call(this) === 'closing') reopened.add(this)
          return Reflect.apply(original.received, this, args)
        })
      }))
    }
  },
  {
    invariant: 'each connection opens and closes once',
    what: 'a connection that was lost is told to be closed twice',
    begin: () => patch(Events.prototype, (original) => ({
      emit: method<Events>(function (...args: unknown[]) {
        Reflect.apply(original.emit, this, args)
        if (args[0] === 'closed' && (args[2] as { cause: string }).cause === 'network') Reflect.apply(original.emit, this, args)
      })
    }))
  },
  {
    invariant: 'the index holds the connections that are not closed',
    what: 'a connection with an owner stays in the index',
    begin: () => patch(Registry.prototype, (original) => ({
      closed: method<Registry>(function (...args: Parameters<Registry['closed']>) {
        if (args[0].owner === undefined) original.closed.apply(this, args)
      })
    }))
  },
  {
    invariant: 'the statistics of a route are those of its connections',
    what: 'connections that drained before they close are counted as if they had not',
    begin: () => patch(RouteCounters.prototype, (original) => ({
      moved: method<RouteCounters>(function (from, to) { Reflect.apply(original.moved, this, [to === 2 ? 0 : from, to]) })
    }))
  },
  {
    invariant: 'messages come once and in order',
    what: 'a message is queued twice',
    begin: () => patch(MessageQueue.prototype, (original) => ({
      push: method<MessageQueue>(function (message: string) {
        original.push.call(this, message)
        return original.push.call(this, message)
      })
    }))
  },
  {
    invariant: 'every close has its true cause',
    what: 'a filter selects all',
    begin: () => patch(Registry.prototype, (original) => ({
      select: method<Registry>(function () { return original.select.call(this, 'all') })
    }))
  },
  {
    invariant: 'each cleanup runs once',
    what: 'a cleanup is added twice',
    begin: () => patch(CleanupStack.prototype, (original) => ({
      push: method<CleanupStack>(function (cleanup: () => unknown) {
        original.push.call(this, cleanup)
        original.push.call(this, cleanup)
      })
    }))
  },
  {
    invariant: 'the socket of a closing connection is gone in time',
    what: 'terminating does nothing',
    begin: () => transport({ terminate () {} })
  },
  {
    invariant: 'a connection whose socket is gone is closed in time',
    what: 'a connection does not hear that its cleanups have settled',
    begin: () => patch(ManagedConnection.prototype, () => ({ cleanupsSettled: method(() => {}) }))
  },
  {
    invariant: 'work is counted until it has settled',
    what: 'tracked promises are not held',
    begin: () => patch(Work.prototype, () => ({ hold: method(() => {}) }))
  },
  {
    invariant: 'nothing remains',
    what: 'a lifetime is watched after it has ended',
    begin: () => patch(Expiry.prototype, () => ({ closing: method(() => {}) }))
  },
  {
    invariant: NOTHING_THROWS,
    what: 'closing a socket throws',
    begin: () => transport({ close () { throw new Error('sabotage') } })
  }
]

/** Breaks of what guards against the application and the machine. */
const GUARDS: readonly Sabotage[] = [
  {
    invariant: NOTHING_THROWS,
    what: 'a logger that throws is not guarded',
    // With this seed it first throws in a call, where it is found, and not in a promise, whose rejection would fail the test itself.
    begin: () => ({ parts: { log: badLog(new Random(5)) } })
  },
  {
    invariant: CONTEXTS,
    what: 'code runs where its connection was ended',
    begin: () => patch(ManagedConnection.prototype, () => ({ callAtEnd: method((call: () => unknown) => call()) }))
  },
  {
    invariant: 'listeners of a close find its signal aborted',
    what: 'signals are never aborted',
    begin: () => patch(Signals.prototype, () => ({ abortClose: method(() => {}), abortDrain: method(() => {}) }))
  },
  {
    invariant: 'every close has its true cause',
    what: 'a close by the application is not heard of',
    begin: () => patch(ManagedConnection.prototype, () => ({ socketClosing: method(() => {}) }))
  },
  {
    invariant: 'a duration is what the monotonic clock says',
    what: 'the wall clock is taken for the monotonic one',
    begin: (clock) => clockWith(clock, { now: () => clock.wallNow() })
  },
  {
    invariant: 'once its time is up the drain ends within a few turns, however little CPU there is',
    what: 'no connection is given up',
    begin: () => patch(CutOff.prototype, () => ({ giveUp: method(() => {}) }))
  },
  {
    invariant: 'a send that was replaced sees all messages',
    what: 'a broadcast goes past it',
    begin: () => transport({
      write (socket, { payload }) {
        FakeSocket.prototype.send.call(socket, Buffer.from(payload).toString())
        return true
      }
    })
  },
  {
    invariant: COUNTED,
    what: 'the bytes of a broadcast are read after the call',
    begin: () => patch(Broadcasts.prototype, (original) => ({
      send: method<Broadcasts>(async function (...args: Parameters<Broadcasts['send']>) {
        await Promise.resolve()
        return original.send.apply(this, args)
      })
    }))
  }
]

const POLICIES: readonly Sabotage[] = [
  {
    invariant: 'no peer that lives is killed',
    what: 'a paused socket is not seen to be paused',
    begin: () => transport({ isPaused: () => false })
  },
  {
    invariant: 'no peer that lives is killed',
    what: 'parts of messages are not counted',
    begin: () => transport({ bytesReceived: () => 0 })
  },
  {
    invariant: 'no peer that lives is killed',
    what: 'what the kernel takes is not counted',
    begin: () => transport({ bytesTaken: () => 0 })
  },
  {
    invariant: 'no dead peer outlives the bound',
    what: 'our own pings are taken for bytes of the peer',
    begin: () => transport({ bytesReceived: (socket) => fake(socket).bytesRead + fake(socket).bytesWritten })
  },
  {
    invariant: 'the idle timeout is never early',
    what: 'running time passes while the loop stands still',
    begin: (clock) => patch(RunningClock.prototype, () => ({ now: method(() => clock.now()) }))
  },
  {
    invariant: 'the idle timeout is never late',
    what: 'every socket looks paused',
    begin: () => transport({ isPaused: () => true })
  },
  {
    invariant: 'the expiry is never early',
    what: 'a wall clock that is set is not noticed',
    begin (clock) {
      const offset = clock.wallNow() - clock.now()
      return clockWith(clock, { wallNow: () => clock.now() + offset })
    }
  },
  {
    invariant: 'the expiry is never late',
    what: 'a token that moves is not noticed',
    begin () {
      const seen = new WeakSet<ManagedConnection>()
      return patch(Expiry.prototype, (original) => ({
        lifetimeSet: method<Expiry>(function (connection: ManagedConnection) {
          if (seen.has(connection)) return
          seen.add(connection)
          original.lifetimeSet.call(this, connection)
        })
      }))
    }
  },
  {
    invariant: 'the lifetime is never early, and gives way to the expiry',
    what: 'chance takes twice as much as it may',
    begin: () => ({ random: () => 2 })
  },
  {
    invariant: 'the lifetime is never late',
    what: 'a connection without times of its own is not watched',
    begin: () => patch(Expiry.prototype, () => ({ opened: method(() => {}) }))
  },
  {
    invariant: 'the drain ends within its timeout',
    what: 'longer timers take five times as long',
    begin: (clock) => clockWith(clock, { setTimeout: (callback, delay) => clock.setTimeout(callback, delay > 60 ? delay * 5 : delay) })
  },
  {
    invariant: 'the drain waits for work',
    what: 'no connection seems to work',
    begin: () => patch(ManagedConnection.prototype, () => ({ working: { get: () => false } }))
  },
  {
    invariant: 'clients that a drain closes come back no faster than its rate',
    what: 'clients are told to come back at once',
    begin: () => patch(Schedule.prototype, () => ({ wait: method(() => 0) }))
  },
  {
    invariant: 'a drain closes no client before its turn, unless its time is up',
    what: 'no turn is waited for',
    begin: () => patch(Schedule.prototype, () => ({ due: method(() => 0) }))
  },
  {
    invariant: 'the last close frame of a drain leaves in time',
    what: 'turns never come',
    begin: () => patch(Schedule.prototype, () => ({ due: method(() => Infinity) }))
  },
  {
    invariant: 'the drain ends every connection and reports once',
    what: 'connections with an owner are forgotten',
    begin: () => patch(Registry.prototype, (original) => ({
      snapshot: method<Registry>(function () { return original.snapshot.call(this).filter(({ owner }) => owner === undefined) })
    }))
  }
]

export const SABOTAGES: readonly Sabotage[] = [...CORE, ...GUARDS, ...POLICIES, ...BOUNDS]
