/**
 * Events of a connection for the parts of the plugin: the registry, the policies, the drain.
 *
 * A part has a method for each event that it hears, and the wiring names those events. Parts are called synchronously, in the
 * order in which they were added, and before the application's listeners. They must not throw.
 *
 * The application's events (track/events.ts) are a mechanism of their own: their listeners may throw, and return nothing.
 */
import type { CloseCause } from '../base/close-codes.ts'
import type { Cleanup } from './cleanups.ts'
import type { CloseRecord } from './connection.ts'

/** The method of a part for each event. */
export interface ConnectionHooks<C> {
  /** The socket was accepted; the connection is not attached to it yet. */
  accepted (connection: C): void
  /** The connection is attached; the application's listeners are called next. */
  opened (connection: C): void
  /** A message has arrived. Returns whether it may be delivered. */
  received (connection: C): boolean
  /** A message to this connection alone, or our close frame, is about to be sent. */
  sending (connection: C): void
  /** A message was sent to this connection. */
  sent (connection: C): void
  /** A pong has answered our ping: `roundTrip` was set. */
  roundTripMeasured (connection: C): void
  /** The limit of queued automatic pongs was reached. */
  pongsWait (connection: C): void
  /** The owner was set. Returns whether the connection may stay open. */
  ownerSet (connection: C, owner: string | undefined, previous: string | undefined): boolean
  tagged (connection: C, tag: string): void
  untagged (connection: C, tag: string): void
  /** The application has set `idleTimeout`. */
  idleTimeoutSet (connection: C): void
  /** The application has set `expiresAt` or `maxLifetime`. */
  lifetimeSet (connection: C): void
  /** The first work in flight has started. */
  workStarted (connection: C): void
  /** The last work in flight has ended. */
  workEnded (connection: C): void
  /** A listener, the handler or a callback of the application threw or rejected. */
  failed (connection: C): void
  /** The client has moved to a new connection: this one is closed when its work has ended. */
  moved (connection: C): void
  /** A close frame of ours is about to be sent; messages that are sent now arrive before it. */
  ending (connection: C, code: number, reason: string, cause: CloseCause): void
  /** `connection.move()` has waited in vain: the connection goes on. */
  moveFailed (connection: C): void
  /** The client has closed the connection first. */
  left (connection: C): void
  /** The peer's close frame has arrived. */
  answered (connection: C): void
  /** The connection is closing; called once. */
  closing (connection: C): void
  /** The raw socket is gone; called once. */
  gone (connection: C): void
  cleanupFinished (connection: C): void
  cleanupFailed (connection: C): void
  /** An asynchronous cleanup has ended, or is about to be given up, after `duration` milliseconds. */
  cleanupTook (connection: C, cleanup: Cleanup, duration: number): void
  cleanupAbandoned (connection: C, cleanup: Cleanup): void
  /** A cleanup that was added to a closed connection runs. */
  lateCleanup (connection: C): void
  /** The cleanups that were added to a closed connection have settled. */
  lateCleanupsSettled (connection: C): void
  closed (connection: C, record: CloseRecord): void
}

type HookName = keyof ConnectionHooks<never>

type Parts<C> = { [K in HookName]: ReadonlyArray<Pick<ConnectionHooks<C>, K>> }

/** The parts that hear each event. */
export class Hooks<C> implements Parts<C> {
  accepted: Parts<C>['accepted'] = []
  opened: Parts<C>['opened'] = []
  received: Parts<C>['received'] = []
  sending: Parts<C>['sending'] = []
  sent: Parts<C>['sent'] = []
  roundTripMeasured: Parts<C>['roundTripMeasured'] = []
  pongsWait: Parts<C>['pongsWait'] = []
  ownerSet: Parts<C>['ownerSet'] = []
  tagged: Parts<C>['tagged'] = []
  untagged: Parts<C>['untagged'] = []
  idleTimeoutSet: Parts<C>['idleTimeoutSet'] = []
  lifetimeSet: Parts<C>['lifetimeSet'] = []
  workStarted: Parts<C>['workStarted'] = []
  workEnded: Parts<C>['workEnded'] = []
  failed: Parts<C>['failed'] = []
  moved: Parts<C>['moved'] = []
  ending: Parts<C>['ending'] = []
  moveFailed: Parts<C>['moveFailed'] = []
  left: Parts<C>['left'] = []
  answered: Parts<C>['answered'] = []
  closing: Parts<C>['closing'] = []
  gone: Parts<C>['gone'] = []
  cleanupFinished: Parts<C>['cleanupFinished'] = []
  cleanupFailed: Parts<C>['cleanupFailed'] = []
  cleanupTook: Parts<C>['cleanupTook'] = []
  cleanupAbandoned: Parts<C>['cleanupAbandoned'] = []
  lateCleanup: Parts<C>['lateCleanup'] = []
  lateCleanupsSettled: Parts<C>['lateCleanupsSettled'] = []
  closed: Parts<C>['closed'] = []

  /** Adds a part for the events that it hears. Returns a function that removes it. */
  add<K extends HookName> (part: Pick<ConnectionHooks<C>, K>, ...events: K[]): () => void {
    // New arrays: an event that is under way continues with the parts that it began with.
    for (const event of events) this[event] = [...this[event], part] as never
    return () => {
      for (const event of events) this[event] = (this[event] as ReadonlyArray<object>).filter((each) => each !== part) as never
    }
  }
}
