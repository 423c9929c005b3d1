/**
 * The tracker: implements `app.sockets` (tracker.ts) with the registry, the events, the broadcasts and the drain.
 *
 * The plugin and handshake/ accept and refuse connections through it.
 */
import type { WebSocket, WebSocketServer } from 'ws'
import { outside } from '../base/async-context.ts'
import { CAUSE_CODES, withRetry } from '../base/close-codes.ts'
import type { Clock } from '../base/clock.ts'
import { rejected } from '../base/deferred.ts'
import { SOCKETS_ERR_CLEANUP_DEADLOCK, SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_UNKNOWN_SOCKET } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import { insideCleanup } from '../connection/cleanups.ts'
import { isClosing } from '../connection/connection.ts'
import type { ActOptions, CloseRecord, Connection } from '../connection/connection.ts'
import type { ConnectionFacts } from '../connection/facts.ts'
import { fault, handlerFailed } from '../connection/faults.ts'
import type { ConnectionHost } from '../connection/host.ts'
import { ManagedConnection } from '../connection/managed-connection.ts'
import { connectionOf } from '../connection/of-socket.ts'
import type { Tracing } from '../connection/tracing.ts'
import { auditRecord, checkedAct, codeOf, readAct } from './audit.ts'
import type { Act } from './audit.ts'
import type { BroadcastResult } from './broadcast.ts'
import { checkedClose } from './close-options.ts'
import type { CloseOptions } from './close-options.ts'
import type { DrainPlan, DrainReport, DrainTrigger, Holder } from './drain-report.ts'
import type { Events, LifecycleEvents, Listener, Refusal } from './events.ts'
import type { HistoryEntry } from './history.ts'
import { matcher } from './filter.ts'
import type { Filter } from './filter.ts'
import type { Fleet } from './fleet.ts'
import type { PolicyName } from './observation.ts'
import type { Registry } from './registry.ts'
import { snapshot } from './snapshot.ts'
import type { CountingParts } from './snapshot.ts'
import type { TrackerState, TrackerStats } from './stats.ts'
import { explain } from './explain.ts'
import type { StoryQuery } from './explain.ts'
import type { Story } from './story.ts'
import type { Tracker } from './tracker.ts'

/** Close reason if a limit leaves no room. */
const NO_ROOM = 'no room'

/** Most connections at once that are only opened to get a close frame: browsers do not show the status of a refused handshake. */
const MAX_REFUSED_OPEN = 256

/** The drain, for the tracker. */
export type DrainControl = CountingParts['drain'] & {
  readonly plan: DrainPlan
  /** As in the plan, without its forecasts, which take time for each connection. */
  readonly capacity: number | null
  /** What the drain waits for now. */
  readonly holding: Holder[]
  /** `asked`: who has asked for it, and why. */
  start (trigger: DrainTrigger, asked?: ActOptions): Promise<DrainReport>
  preClose (hook: () => unknown): unknown
  abort (): void
  /** A connection was accepted during the drain. */
  accepted (): void
  /** The connection has opened. */
  admitted (connection: ManagedConnection): void
}

/** What the tracker shares with connections. */
interface TrackerHost extends ConnectionHost<ManagedConnection> {
  readonly events: Events
  readonly registry: Registry
  tracing: Tracing<ManagedConnection> | null
}

/** What the tracker needs. */
export interface TrackerParts extends CountingParts {
  readonly host: TrackerHost
  readonly drain: DrainControl
  /** Delay before the client of a refused connection reconnects, milliseconds. */
  readonly minDelay: number
  readonly onOpen: ((connection: Connection) => unknown) | undefined
  /** Counts an open connection; returns the policy whose limit it exceeds, or null. Null if nothing is limited. */
  readonly admit: ((connection: ManagedConnection) => PolicyName | null) | null
  /** Tracks a foreign ws server. */
  adopt (server: WebSocketServer): void
  /** Entries of policies, less their deadlines that belong to no connection. */
  leftovers (): number
  /** Returns the fleet; the first call may make it. */
  fleet (): Fleet
  /** Cancels the deadlines of policies that belong to no connection. */
  close (): void
}

export class ManagedTracker implements Tracker {
  readonly events: Events
  readonly #registry: Registry
  readonly #parts: TrackerParts
  readonly #host: TrackerHost
  readonly #drain: DrainControl
  /** Connections that are only open to get a close frame. */
  readonly #refusedOpen = new Set<Connection>()

  constructor (parts: TrackerParts) {
    this.#parts = parts
    this.#host = parts.host
    this.#drain = parts.drain
    this.#registry = parts.host.registry
    this.events = parts.host.events
  }

  get size (): number { return this.#registry.size }
  get accepting (): boolean { return this.#drain.phase === null || this.#drain.phase === 'settle' }
  get fleet (): Fleet { return this.#parts.fleet() }
  get history (): CloseRecord[] { return this.#registry.history.find() }

  get state (): TrackerState {
    const { phase } = this.#drain
    return phase === null ? 'running' : phase === 'done' ? 'drained' : 'draining'
  }

  of (socket: WebSocket): Connection {
    const connection = connectionOf(socket)
    if (connection === undefined || connection.host !== this.#host) throw new SOCKETS_ERR_UNKNOWN_SOCKET()
    return connection
  }

  get (id: number): Connection | undefined { return this.#registry.get(id) }
  explain (query: StoryQuery): Story[] { return explain(this.#registry, this.#host, query) }
  list (filter: Filter = 'all'): Connection[] { return this.#registry.select(filter) }
  count (filter: Filter = 'all'): number { return filter === 'all' ? this.size : this.#registry.select(filter).length }

  broadcast (data: string | Uint8Array, filter: Filter): Promise<BroadcastResult> {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) throw new SOCKETS_ERR_INVALID_ARGUMENT('data', 'a string or bytes', typeof data)
    if (this.#host.suppression.applies(null)) {
      // To select connections for each of many broadcasts is the quadratic work that suppression saves; a bad filter still throws.
      if (filter !== 'all') matcher(filter)
      this.#parts.broadcasts.counts.suppressed++
      return Promise.resolve({ sent: 0, queued: 0, dropped: 0 })
    }
    const targets = this.#registry.select(filter)
    return outside(() => this.#parts.broadcasts.send(data, targets))
  }

  disconnect (filter: Filter, close: CloseOptions = {}): number {
    const act = { action: 'disconnect', target: filter, connections: 0 } as const
    try {
      // Before the first close: a bad code must not throw halfway.
      const { code, reason } = checkedClose(close)
      const asked = checkedAct(close)
      const connections = this.#registry.select(filter).filter((connection) => connection.end('disconnected', code, reason, asked)).length
      this.audited({ ...act, ...asked, outcome: 'done', connections })
      return connections
    } catch (error) {
      this.audited({ ...act, ...readAct(close), outcome: 'failed', error: codeOf(error) })
      throw error
    }
  }

  drain (given: ActOptions = {}): Promise<DrainReport> {
    // A text that is none does not keep a server from draining.
    const asked = readAct(given)
    const act = { action: 'drain', ...asked, target: 'all', connections: this.size } as const
    if (insideCleanup()) {
      const error = new SOCKETS_ERR_CLEANUP_DEADLOCK('awaiting `drain()`')
      this.audited({ ...act, outcome: 'failed', error: error.code })
      return rejected(error)
    }
    this.audited({ ...act, outcome: this.#drain.phase === null ? 'started' : 'joined' })
    return this.startDrain('drain', asked)
  }

  plan (): DrainPlan { return this.#drain.plan }
  adopt (server: WebSocketServer): void { this.#parts.adopt(server) }

  stats (): TrackerStats { return snapshot(this.state, this.#registry, this.#parts) }

  on<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this {
    this.events.on(event, listener)
    return this
  }

  off<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this {
    this.events.off(event, listener)
    return this
  }

  // ——— what the plugin, the page and the metrics do

  /** Connections that a drain can close in their turns; null without turns. */
  get drainCapacity (): number | null { return this.#drain.capacity }

  get clock (): Clock { return this.#host.clock }

  /** What the history has, for a page of it. */
  get historyEntries (): HistoryEntry[] { return this.#registry.history.entries }

  /** The work and the cleanups that the drain waits for now, the longest first, ten at most. */
  get holding (): Holder[] { return this.#drain.holding }

  /** Makes the connection of an accepted socket; the caller attaches it to the socket, then calls `opened`. */
  accept (socket: WebSocket, facts: ConnectionFacts): ManagedConnection {
    const connection = new ManagedConnection(this.#host, socket, facts)
    if (this.#drain.phase !== null) this.#drain.accepted()
    return connection
  }

  /** The connection is attached: calls hooks and listeners. `failed`: it is about to be closed, and evicts no other connection. */
  opened (connection: ManagedConnection, failed = false): void {
    const { admit, onOpen } = this.#parts
    // Read first: if a listener starts the drain, the drain notifies this connection with the others.
    const late = this.#drain.phase !== null
    // `data` or `owner` may have closed it.
    const open = connection.state === 'open'
    const refused = open && !failed && admit !== null ? admit(connection) : null
    // A listener of 'closing', called for the evicted connection, may have closed this one.
    if (connection.state === 'open') for (const part of this.#host.hooks.opened) part.opened(connection)
    this.events.emit('open', connection)
    if (refused !== null) {
      this.refused({ reason: refused, path: connection.route, ip: connection.ip })
      return this.refuse(connection)
    }
    if (onOpen !== undefined && !failed && !isClosing(connection.state)) attempt(() => onOpen(connection), (error) => { fault(connection, error) })
    // Its handshake began before the drain, or its server is adopted and still accepts.
    if (late) this.#drain.admitted(connection)
  }

  /** Traces what connections do; null without tracing. */
  get tracing (): Tracing<ManagedConnection> | null { return this.#host.tracing }
  set tracing (tracing: Tracing<ManagedConnection>) { this.#host.tracing = tracing }

  /** Whether one more connection may be opened only to get a close frame. */
  get mayRefuseOpen (): boolean { return this.#refusedOpen.size < MAX_REFUSED_OPEN }

  /** Closes a connection whose `data` or `owner` threw. Limits do not count it; so only MAX_REFUSED_OPEN get a close frame. */
  failed (connection: ManagedConnection, error: unknown): void {
    if (this.#parts.admit !== null && !this.mayRefuseOpen) return handlerFailed(connection, error)
    this.#refusedOpen.add(connection)
    fault(connection, error)
  }

  /** Closes a connection that was only opened to get a close frame. */
  refuse (connection: ManagedConnection): void {
    this.#refusedOpen.add(connection)
    connection.end('refused', CAUSE_CODES.refused, withRetry(NO_ROOM, this.#parts.minDelay))
  }

  /** Counts and emits a refused handshake. */
  refused (refusal: Refusal): void {
    const { refused } = this.#registry.counters
    refused[refusal.reason] = (refused[refusal.reason] ?? 0) + 1
    this.events.emit('refused', refusal)
  }

  /** Starts the drain, or joins it. */
  startDrain (trigger: DrainTrigger, asked?: ActOptions): Promise<DrainReport> { return outside(() => this.#drain.start(trigger, asked)) }

  /** Emits an act of administration. */
  audited (act: Act): void { outside(() => { this.events.emit('audit', auditRecord(act, this.#host.clock.wallNow())) }) }

  /** Runs a preClose hook in the drain's phase *notify*; later at once, and returns its promise. */
  preClose (hook: () => unknown): unknown { return this.#drain.preClose(hook) }

  /** Cuts the drain short. */
  abortDrain (): void { outside(() => { this.#drain.abort() }) }

  closed (connection: ManagedConnection): void { this.#refusedOpen.delete(connection) }

  /** Cancels the deadlines of policies that belong to no connection. */
  close (): void { this.#parts.close() }

  /** Number of index entries, deadlines of connections and pieces of work that are left, for tests. */
  get leftovers (): number {
    const { deadlines, running } = this.#host
    return this.#registry.indexSize + deadlines.size + running.size + this.#registry.working + this.#parts.leftovers()
  }
}
