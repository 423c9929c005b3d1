/**
 * What a connection tells the parts of the plugin: the registry, the policies, the drain.
 *
 * A part has a method for each event that it hears, and the wiring names those events. Parts are called in the order in which they
 * were added, inside of what the connection does, and before the application's own listeners. They must not throw.
 */
import type { Cleanup } from './cleanups.ts'
import type { CloseRecord } from './connection.ts'

/** Every event, and what is called for it. */
export interface ConnectionHooks<C> {
  /** The socket was accepted; the connection is not in place yet. */
  accepted (connection: C): void
  /** The connection is in place; the application is told next. */
  opened (connection: C): void
  /** A message has arrived. Returns whether it may be delivered. */
  received (connection: C): boolean
  /** Something is about to be sent to this connection alone, or the connection is about to be closed. */
  sending (connection: C): void
  /** Something was sent to this connection. */
  sent (connection: C): void
  /** As many automatic pongs wait to be taken by the peer as may. */
  pongsWait (connection: C): void
  /** The owner was set. Returns whether the connection may stay open. */
  ownerSet (connection: C, owner: string | undefined, previous: string | undefined): boolean
  tagged (connection: C, tag: string): void
  untagged (connection: C, tag: string): void
  /** The application has set `idleTimeout`. */
  idleTimeoutSet (connection: C): void
  /** The application has set `expiresAt` or `maxLifetime`. */
  lifetimeSet (connection: C): void
  /** Work is in flight where there was none. */
  workStarted (connection: C): void
  /** The last work in flight has ended. */
  workEnded (connection: C): void
  /** The application's code has failed. */
  failed (connection: C): void
  /** The client has closed first. */
  left (connection: C): void
  /** The peer's close frame has arrived. */
  answered (connection: C): void
  /** The connection is closing; told once. */
  closing (connection: C): void
  /** The raw socket is gone; told once. */
  gone (connection: C): void
  cleanupFinished (connection: C): void
  cleanupFailed (connection: C): void
  /** A cleanup that took time has ended, or is about to be given up. */
  cleanupTook (connection: C, cleanup: Cleanup, duration: number): void
  cleanupAbandoned (connection: C, cleanup: Cleanup): void
  /** A cleanup was added to a closed connection, and runs. */
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
  pongsWait: Parts<C>['pongsWait'] = []
  ownerSet: Parts<C>['ownerSet'] = []
  tagged: Parts<C>['tagged'] = []
  untagged: Parts<C>['untagged'] = []
  idleTimeoutSet: Parts<C>['idleTimeoutSet'] = []
  lifetimeSet: Parts<C>['lifetimeSet'] = []
  workStarted: Parts<C>['workStarted'] = []
  workEnded: Parts<C>['workEnded'] = []
  failed: Parts<C>['failed'] = []
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

  /** Adds a part for the events that it hears; returns what takes it away again. */
  add<K extends HookName> (part: Pick<ConnectionHooks<C>, K>, ...events: K[]): () => void {
    // New arrays: an event that is being told goes on with the parts that it began with.
    for (const event of events) this[event] = [...this[event], part] as never
    return () => {
      for (const event of events) this[event] = (this[event] as ReadonlyArray<object>).filter((each) => each !== part) as never
    }
  }
}
