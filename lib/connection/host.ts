/**
 * What connections share: the parts they lean on, who watches them, and what is known of one when it opens.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Cleanup } from './cleanups.ts'
import type { Clock } from '../base/clock.ts'
import type { CloseRecord, Connection } from './connection.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { LineBudget } from '../base/line-budget.ts'
import type { ManagedConnection } from './managed-connection.ts'
import type { Frame, Transport } from './transport.ts'
import type { RateSettings, Settings } from './settings.ts'

/** What all connections of one tracker share. */
export interface ConnectionHost {
  readonly clock: Clock
  /** Wall time at the start of the tracker. */
  readonly epoch: number
  readonly transport: Transport
  readonly deadlines: Deadlines
  /** Deadlines in time that passes only while the event loop runs. */
  readonly running: Deadlines
  /** Settings of connections whose route says nothing. */
  readonly settings: Settings
  readonly events: ConnectionEvents
  /** What may be logged about connections and hooks. */
  readonly lines: LineBudget
  readonly registry: ConnectionIndex
  /** Milliseconds a peer has to answer a close frame, from when the frame has left. */
  readonly closeTimeout: number
  /** Milliseconds one cleanup may take. */
  readonly cleanupTimeout: number
  /** Whether what listeners throw ends their connection instead of the process. */
  readonly isolation: boolean
  /** Close code after a fault. */
  readonly errorCode: number
  /** The drain, while there is one. */
  observer: ConnectionObserver | null
  /** Messages that are not sent, while there is a drain. */
  suppression: Suppression | null
  /** Who keeps the times that an application sets. */
  timekeeper: Timekeeper | null
  /** Who counts places, where they are limited. */
  gatekeeper: Gatekeeper | null
  /** Who counts messages and bytes. */
  meter: Meter | null
  /** Who sends broadcasts. */
  outbox: Outbox | null
  /** Makes the child logger of a connection. */
  childLogger (connection: Connection): FastifyBaseLogger
  /** Reports what a connection's code threw; must not throw. */
  report (error: unknown, connection: Connection): void
  /** Reports what a hook of the application threw (`onDrain`, an event listener …); must not throw. */
  hookFailed (error: unknown, hook: string): void
}

/** Whoever must know at once what a connection does; the drain. */
export interface ConnectionObserver {
  /** The cleanups that came after its end have settled. */
  cleaned (connection: ManagedConnection): void
  /** All of its work is done. */
  idle (connection: ManagedConnection): void
  /** The client has closed first. */
  left (connection: ManagedConnection): void
  /** The peer's close frame is here. */
  answered (connection: ManagedConnection): void
  /** Its raw socket is gone; said once. */
  gone (connection: ManagedConnection): void
  closed (connection: ManagedConnection, record: CloseRecord): void
  /** A cleanup that took its time has ended, or is about to be given up. */
  cleanupTook (connection: ManagedConnection, cleanup: Cleanup, duration: number): void
  cleanupAbandoned (connection: ManagedConnection, cleanup: Cleanup): void
}

/** Messages that code of drained connections sends to other connections. */
export interface Suppression {
  /** Calls code that runs because the drain has closed a connection. */
  call<T> (connection: ManagedConnection, call: () => T): T
  /** Whether a message to `to`, or a broadcast (null), comes from such code of another connection and is not sent; counts it. */
  applies (to: ManagedConnection | null): boolean
}

/** Whoever acts on a time that was set or moved on an open connection, and when it has come. */
export interface Timekeeper {
  idleTimeoutSet (connection: ManagedConnection): void
  idleDue (connection: ManagedConnection): void
  /** Its `expiresAt` or `maxLifetime`. */
  endSet (connection: ManagedConnection): void
  endDue (connection: ManagedConnection): void
}

/** Whoever decides who may stay. */
export interface Gatekeeper {
  /** Says whether it may stay. */
  ownerSet (connection: ManagedConnection, owner: string | undefined): boolean
  /** Its raw socket is gone. */
  gone (connection: ManagedConnection): void
}

/** Whoever counts what a connection sends and is sent, where that is bounded. */
export interface Meter {
  /** A message has arrived; says whether it may be delivered. */
  spend (connection: ManagedConnection, rate: RateSettings): boolean
  /** Something was sent to it. */
  sent (connection: ManagedConnection): void
}

/** A broadcast that a connection was not handed yet. */
export interface Owed { readonly frame: Frame }

/** Whoever sends to many, a slice at a time. */
export interface Outbox {
  /** A connection is about to be sent something of its own, or closed: what was broadcast before goes first. */
  flush (connection: ManagedConnection): void
  /** It may be in the middle of a fragmented message no longer. */
  release (connection: ManagedConnection): void
}

/** Tells the application's listeners what a connection does. */
export interface ConnectionEvents {
  emit (event: 'draining' | 'closing', connection: Connection): void
  emit (event: 'closed', connection: Connection, record: CloseRecord): void
  emit (event: 'error', error: unknown, connection: Connection): void
}

/** Where connections are found and counted. */
export interface ConnectionIndex {
  /** Messages received by all so far: each connection keeps the number of its last, which tells who has been silent longer. */
  messages: number
  /** Connections that are not closed yet though their raw socket is gone: their cleanups run. */
  gone: number
  /** Connections, closed ones too, with work in flight. */
  working: number
  /** Closed connections whose late cleanups still run. */
  readonly late: Set<ManagedConnection>
  readonly counters: { faults: number, readonly cleanups: { finished: number, failed: number, abandoned: number } }
  add (connection: ManagedConnection): void
  remove (connection: ManagedConnection, record: CloseRecord): void
  moveOwner (connection: ManagedConnection, from: string | undefined, to: string | undefined): void
  addTag (connection: ManagedConnection, tag: string): void
  removeTag (connection: ManagedConnection, tag: string): void
}

/** What is known of a connection when it opens. */
export interface ConnectionFacts {
  /** How long it may be silent, idle and alive. @default the host's */
  settings?: Settings | undefined
  route: string
  ip: string
  requestId: string
  owner?: string | undefined
  request?: FastifyRequest | undefined
}
