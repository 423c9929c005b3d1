/**
 * Behind `app.sockets` (app-sockets.ts), and what the plugin, the signals and the transport do with it.
 *
 * It composes the registry, the events and the drain; it knows no Fastify and no ws values.
 */
import type { WebSocket, WebSocketServer } from 'ws'
import { outside } from '../base/async-context.ts'
import { show } from '../base/check.ts'
import { CAUSE_CODES, CloseCode, isSendable, withRetry } from '../base/close-codes.ts'
import { rejected } from '../base/deferred.ts'
import { SOCKETS_ERR_CLEANUP_DEADLOCK, SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_INVALID_CLOSE_CODE, SOCKETS_ERR_UNKNOWN_SOCKET } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import { insideCleanup } from '../connection/cleanups.ts'
import { isClosing } from '../connection/connection.ts'
import type { CloseRecord, Connection } from '../connection/connection.ts'
import type { ConnectionFacts } from '../connection/facts.ts'
import { fault, handlerFailed } from '../connection/faults.ts'
import type { ConnectionHost } from '../connection/host.ts'
import { ManagedConnection } from '../connection/managed-connection.ts'
import { connectionOf } from '../connection/of-socket.ts'
import type { BroadcastResult, Broadcasts } from './broadcast.ts'
import type { DrainPhase, DrainPlan, DrainReport, DrainTrigger } from './drain-report.ts'
import type { Enforcement } from './enforcement.ts'
import type { Events, LifecycleEvents, Listener, Refusal } from './events.ts'
import { matcher } from './filter.ts'
import type { Filter } from './filter.ts'
import type { PolicyName } from './observation.ts'
import type { Registry } from './registry.ts'
import type { CloseOptions, Tracker, TrackerState, TrackerStats } from './tracker.ts'

/** Reason of a close frame for whom there is no room. */
const NO_ROOM = 'no room'

/** Sockets at once that are open only to be told why they must go. */
const MAX_TURNED_AWAY = 256

/** The drain, as the tracker drives it. */
export interface DrainControl {
  /** Null before the drain. */
  readonly phase: DrainPhase | null
  start (trigger: DrainTrigger): Promise<DrainReport>
  preClose (hook: () => unknown): unknown
  abort (): void
  /** A connection was accepted while the server drains. */
  accepted (): void
  /** It has opened. */
  admitted (connection: ManagedConnection): void
}

/** What the tracker shares with connections. */
interface TrackerHost extends ConnectionHost<ManagedConnection> {
  readonly events: Events
  readonly registry: Registry
  readonly plan: DrainPlan
}

/** What the tracker needs. */
export interface TrackerParts {
  readonly host: TrackerHost
  readonly drain: DrainControl
  readonly broadcasts: Broadcasts
  readonly enforcement: Enforcement
  /** Shortest delay before a client that was turned away comes back, milliseconds. */
  readonly minDelay: number
  readonly onOpen: ((connection: Connection) => unknown) | undefined
  /** Gives an open connection its place; returns the policy that has none. Null where nothing is limited. */
  readonly admit: ((connection: ManagedConnection) => PolicyName | null) | null
  /** Takes a foreign ws server. */
  adopt (server: WebSocketServer): void
  /** Connections that policies hold, less the deadlines that belong to none. */
  leftovers (): number
  /** Leaves no deadline of policies behind. */
  close (): void
}

export class ManagedTracker implements Tracker {
  readonly events: Events
  readonly #registry: Registry
  readonly #parts: TrackerParts
  readonly #host: TrackerHost
  readonly #drain: DrainControl
  /** Connections that are open only to be told why they must go. */
  readonly #turnedAway = new Set<Connection>()

  constructor (parts: TrackerParts) {
    this.#parts = parts
    this.#host = parts.host
    this.#drain = parts.drain
    this.#registry = parts.host.registry
    this.events = parts.host.events
  }

  get size (): number { return this.#registry.size }
  get accepting (): boolean { return this.#drain.phase === null || this.#drain.phase === 'settle' }
  get history (): CloseRecord[] { return this.#registry.history }

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
  list (filter: Filter = 'all'): Connection[] { return this.#registry.select(filter) }
  count (filter: Filter = 'all'): number { return filter === 'all' ? this.size : this.#registry.select(filter).length }

  broadcast (data: string | Uint8Array, filter: Filter): Promise<BroadcastResult> {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) throw new SOCKETS_ERR_INVALID_ARGUMENT('data', 'a string or bytes', typeof data)
    if (this.#host.suppression.applies(null)) {
      // Selecting connections for each of as many broadcasts is the quadratic work that is saved here; a bad filter still throws.
      if (filter !== 'all') matcher(filter)
      return Promise.resolve({ sent: 0, queued: 0, dropped: 0 })
    }
    const targets = this.#registry.select(filter)
    return outside(() => this.#parts.broadcasts.send(data, targets))
  }

  disconnect (filter: Filter, close: CloseOptions = {}): number {
    // A bare code would be ignored.
    if (typeof close !== 'object' || close === null) throw new SOCKETS_ERR_INVALID_ARGUMENT('close', 'an object such as { code: 3003 }', show(close))
    const { code = CloseCode.Forbidden, reason = '' } = close
    // Before anyone is closed: a bad code must not be found out halfway.
    if (!isSendable(code)) throw new SOCKETS_ERR_INVALID_CLOSE_CODE(code)
    return this.#registry.select(filter).filter((connection) => connection.end('disconnected', code, reason)).length
  }

  drain (): Promise<DrainReport> {
    if (insideCleanup()) return rejected(new SOCKETS_ERR_CLEANUP_DEADLOCK('awaiting `drain()`'))
    return this.startDrain('drain')
  }

  plan (): DrainPlan { return this.#host.plan }
  adopt (server: WebSocketServer): void { this.#parts.adopt(server) }

  stats (): TrackerStats {
    const { counters, working } = this.#registry
    return structuredClone({ ...counters, connections: this.size, working, state: this.state, observed: this.#parts.enforcement.observed })
  }

  on<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this {
    this.events.on(event, listener)
    return this
  }

  off<K extends keyof LifecycleEvents> (event: K, listener: Listener<K>): this {
    this.events.off(event, listener)
    return this
  }

  // ——— what the plugin does

  /** Takes charge of an accepted socket; the caller attaches the two, then calls `opened`. */
  accept (socket: WebSocket, facts: ConnectionFacts): ManagedConnection {
    const connection = new ManagedConnection(this.#host, socket, facts)
    if (this.#drain.phase !== null) this.#drain.accepted()
    return connection
  }

  /** The connection is in place: tells everyone. `failed`: it is about to be closed, and takes nobody's place. */
  opened (connection: ManagedConnection, failed = false): void {
    const { admit, onOpen } = this.#parts
    // Looked at first: where a listener starts the drain, it is one of those who are told.
    const late = this.#drain.phase !== null
    // `data` or `owner` may have had it closed.
    const open = connection.state === 'open'
    const refused = open && !failed && admit !== null ? admit(connection) : null
    // Nor may a listener of 'closing', which heard of those that made room for it.
    if (connection.state === 'open') for (const part of this.#host.hooks.opened) part.opened(connection)
    this.events.emit('open', connection)
    if (refused !== null) {
      this.refused({ reason: refused, path: connection.route, ip: connection.ip })
      return this.turnAway(connection)
    }
    if (onOpen !== undefined && !failed && !isClosing(connection.state)) attempt(() => onOpen(connection), (error) => { fault(connection, error) })
    // It spent the time until now in somebody's verifyClient, or on a server whose door is not ours.
    if (late) this.#drain.admitted(connection)
  }

  /** Whether there is room for one more that is open only to be told why it must go. */
  get mayTell (): boolean { return this.#turnedAway.size < MAX_TURNED_AWAY }

  /** Closes a connection of which `data` or `owner` has thrown; it holds no place, so only so many stay to hear of it. */
  failed (connection: ManagedConnection, error: unknown): void {
    if (this.#parts.admit !== null && !this.mayTell) return handlerFailed(connection, error)
    this.#turnedAway.add(connection)
    fault(connection, error)
  }

  /** Closes a connection that was only opened to be told so. */
  turnAway (connection: ManagedConnection): void {
    this.#turnedAway.add(connection)
    connection.end('refused', CAUSE_CODES.refused, withRetry(NO_ROOM, this.#parts.minDelay))
  }

  /** A handshake was turned away. */
  refused (refusal: Refusal): void {
    this.#registry.counters.refused++
    this.events.emit('refused', refusal)
  }

  /** Starts the drain or joins it. */
  startDrain (trigger: DrainTrigger): Promise<DrainReport> { return outside(() => this.#drain.start(trigger)) }

  /** Runs a hook in the drain's *notify*; later at once, and returns its promise. */
  preClose (hook: () => unknown): unknown { return this.#drain.preClose(hook) }

  /** Cuts the drain short. */
  abortDrain (): void { outside(() => { this.#drain.abort() }) }

  /** A connection is closed. */
  closed (connection: ManagedConnection): void { this.#turnedAway.delete(connection) }

  /** Leaves no deadline of policies behind. */
  close (): void { this.#parts.close() }

  /** Entries, deadlines of connections and works that are left: 0 when nothing is. */
  get leftovers (): number {
    const { deadlines, running } = this.#host
    return this.#registry.indexSize + deadlines.size + running.size + this.#registry.working + this.#parts.leftovers()
  }
}
