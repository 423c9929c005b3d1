/**
 * Behind `app.sockets` (app-sockets.ts), and what the plugin, the signals and the transport do with it.
 *
 * It composes the registry, the events and the drain; it knows no Fastify and no ws values.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket, WebSocketServer } from 'ws'
import type { CloseOptions, Tracker, TrackerState, TrackerStats } from './track/tracker.ts'
import { outside } from './base/async-context.ts'
import { show } from './base/check.ts'
import { CAUSE_CODES, CloseCode, isSendable, withRetry } from './base/close-codes.ts'
import type { Clock } from './base/clock.ts'
import type { CloseRecord, Connection } from './connection/connection.ts'
import type { ConnectionFacts } from './connection/host.ts'
import { Deadlines } from './base/deadlines.ts'
import { rejected } from './base/deferred.ts'
import type { DrainReport, DrainTrigger } from './track/drain-report.ts'
import { Enforcement } from './track/enforcement.ts'
import type { PolicyName } from './track/enforcement.ts'
import { insideCleanup } from './connection/cleanups.ts'
import { SOCKETS_ERR_CLEANUP_DEADLOCK, SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_INVALID_CLOSE_CODE, SOCKETS_ERR_UNKNOWN_SOCKET } from './base/errors.ts'
import { Events } from './track/events.ts'
import { attempt } from './base/guard.ts'
import type { LifecycleEvents, Listener, Refusal } from './track/events.ts'
import { matcher } from './track/filter.ts'
import type { Filter } from './track/filter.ts'
import type { LineBudget } from './base/line-budget.ts'
import { ManagedConnection } from './connection/managed-connection.ts'
import { Registry } from './track/registry.ts'
import { RunningClock } from './base/running-clock.ts'
import { connectionOf } from './connection/transport.ts'
import type { Transport } from './connection/transport.ts'
import type { Admission } from './limit/admission.ts'
import type { BroadcastResult } from './track/broadcast.ts'
import { Drain } from './drain/drain.ts'
import type { DrainHost } from './drain/host.ts'
import type { DrainPlan } from './track/drain-report.ts'
import { Policies } from './policies.ts'
import type { PolicyParts } from './policies.ts'
import type { ResolvedOptions } from './options/resolve.ts'

/** Reason of a close frame for whom there is no room. */
const NO_ROOM = 'no room'

/** Sockets at once that are open only to be told why they must go. */
const MAX_TURNED_AWAY = 256

/** What the tracker is built on. */
export interface TrackerParts extends PolicyParts {
  clock: Clock
  transport: Transport
  log: FastifyBaseLogger
  /** What may be logged about connections and hooks. */
  lines: LineBudget
  /** Takes a foreign ws server. */
  adopt (server: WebSocketServer): void
  /** Ends the handshakes that still wait in a hook. */
  refuseHandshakes (): void
  /** Reports what a connection's code threw. */
  report (error: unknown, connection: Connection): unknown
}

export class ManagedTracker implements Tracker {
  readonly events: Events
  readonly #registry: Registry
  readonly #parts: TrackerParts
  readonly #options: ResolvedOptions
  readonly #host: DrainHost
  readonly #drain: Drain
  readonly #policies: Policies
  readonly #turnedAway = new Set<Connection>()
  #accepting = true

  constructor (options: ResolvedOptions, parts: TrackerParts) {
    this.#options = options
    this.#parts = parts
    const hookFailed = (err: unknown, hook: string) => {
      const message = `${hook} failed`
      if (parts.lines.spend(message)) parts.log.error({ err }, message)
    }
    this.events = new Events((error, event) => { hookFailed(error, `listener of "${event}"`) })
    this.#registry = new Registry(options.history)
    const running = new Deadlines(new RunningClock(parts.clock))
    this.#host = {
      clock: parts.clock,
      epoch: parts.clock.wallNow(),
      transport: parts.transport,
      deadlines: new Deadlines(parts.clock),
      running,
      settings: options.settings,
      events: this.events,
      lines: parts.lines,
      registry: this.#registry,
      closeTimeout: options.closeTimeout,
      cleanupTimeout: options.cleanupTimeout,
      isolation: options.isolation,
      errorCode: options.errorCode,
      observer: null,
      suppression: null,
      timekeeper: null,
      gatekeeper: null,
      meter: null,
      outbox: null,
      enforcement: new Enforcement(options.modes, this.events, running, (recent) => { parts.log.info({ observed: recent }, 'policies that only observe would have acted') }),
      childLogger: ({ id, requestId }) => parts.log.child(requestId === '' ? { connection: id } : { connection: id, reqId: requestId }),
      report: (error, connection) => {
        attempt(() => parts.report(error, connection), (err) => { hookFailed(err, 'errorHandler') })
      },
      hookFailed,
      plan: options.plan,
      evenly: options.drain.evenly,
      code: options.drain.code,
      reason: options.drain.reason,
      farewells: options.drain.farewells,
      reconnect: options.drain.reconnect,
      onDrain: options.onDrain,
      random: Math.random,
      stopAdmitting: () => { this.#accepting = false },
      refuseHandshakes: () => { parts.refuseHandshakes() }
    }
    this.#drain = new Drain(this.#host)
    const policies = this.#policies = new Policies(this.#host, options, parts)
    this.#host.timekeeper = policies.timekeeper
    this.#host.gatekeeper = policies.admission
    this.#host.meter = policies.meter
    this.#host.outbox = policies.broadcasts
    this.events.on('closing', (connection) => { policies.closing(connection as ManagedConnection) })
    this.events.on('closed', (connection) => { this.#turnedAway.delete(connection) })
  }

  get size (): number { return this.#registry.size }
  get accepting (): boolean { return this.#accepting }
  get history (): CloseRecord[] { return this.#registry.history }

  get state (): TrackerState {
    const { phase } = this.#drain
    return phase === null ? 'running' : phase === 'done' ? 'drained' : 'draining'
  }

  of (socket: WebSocket): Connection {
    const connection = connectionOf(socket)
    if (connection === undefined || !connection.belongsTo(this.#host)) throw new SOCKETS_ERR_UNKNOWN_SOCKET()
    return connection
  }

  get (id: number): Connection | undefined { return this.#registry.get(id) }
  list (filter: Filter = 'all'): Connection[] { return this.#registry.select(filter) }
  count (filter: Filter = 'all'): number { return filter === 'all' ? this.size : this.#registry.select(filter).length }

  broadcast (data: string | Uint8Array, filter: Filter): Promise<BroadcastResult> {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) throw new SOCKETS_ERR_INVALID_ARGUMENT('data', 'a string or bytes', typeof data)
    if (this.#host.suppression?.applies(null)) {
      // Selecting connections for each of as many broadcasts is the quadratic work that is saved here; a bad filter still throws.
      if (filter !== 'all') matcher(filter)
      return Promise.resolve({ sent: 0, queued: 0, dropped: 0 })
    }
    const targets = this.#registry.select(filter)
    return outside(() => this.#policies.broadcasts.send(data, targets))
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

  plan (): DrainPlan { return this.#options.plan }
  adopt (server: WebSocketServer): void { this.#parts.adopt(server) }

  stats (): TrackerStats {
    const { counters, working } = this.#registry
    return structuredClone({ ...counters, connections: this.size, working, state: this.state, observed: this.#host.enforcement.observed })
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

  /** Deadlines in time that passes only while the event loop runs. */
  get running (): Deadlines { return this.#host.running }

  /** Takes charge of an accepted socket; the caller attaches the two, then calls `opened`. */
  accept (socket: WebSocket, facts: ConnectionFacts): ManagedConnection {
    const connection = new ManagedConnection(this.#host, socket, facts)
    if (this.#drain.phase !== null) this.#drain.accepted()
    return connection
  }

  /** The connection is in place: tells everyone. `failed`: it is about to be closed, and takes nobody's place. */
  opened (connection: ManagedConnection, failed = false): void {
    const { onOpen } = this.#options
    // Looked at first: where a listener starts the drain, it is one of those who are told.
    const late = this.#drain.phase !== null
    // `data` or `owner` may have had it closed.
    const open = connection.state === 'open'
    const refused = open && !failed ? this.admission?.opened(connection) ?? null : null
    // Nor may a listener of 'closing', which heard of those that made room for it.
    if (connection.state === 'open') this.#policies.opened(connection)
    this.events.emit('open', connection)
    if (refused !== null) {
      this.refused({ reason: refused, path: connection.route, ip: connection.ip })
      return this.turnAway(connection)
    }
    const ending = connection.state === 'closing' || connection.state === 'closed'
    if (onOpen !== undefined && !failed && !ending) attempt(() => onOpen(connection), (error) => connection.fault(error))
    // It spent the time until now in somebody's verifyClient, or on a server whose door is not ours.
    if (late) this.#drain.admitted(connection)
  }

  /** Whether there is room for one more that is open only to be told why it must go. */
  get mayTell (): boolean { return this.#turnedAway.size < MAX_TURNED_AWAY }

  /** Closes a connection of which `data` or `owner` has thrown; it holds no place, so only so many stay to hear of it. */
  failed (connection: ManagedConnection, error: unknown): void {
    if (this.admission !== null && !this.mayTell) return connection.handlerFailed(error)
    this.#turnedAway.add(connection)
    connection.fault(error)
  }

  /** Closes a connection that was only opened to be told so. */
  turnAway (connection: ManagedConnection): void {
    this.#turnedAway.add(connection)
    connection.end('refused', CAUSE_CODES.refused, withRetry(NO_ROOM, this.#options.drain.reconnect.minDelay))
  }

  /** Who decides about handshakes, where anything is limited. */
  get admission (): Admission | null { return this.#policies.admission }

  /** Says whether a policy is to act on a handshake. */
  allows (policy: PolicyName, action: 'refuse', path: string): boolean { return this.#host.enforcement.allows(policy, action, undefined, path) }

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

  /** Leaves no deadline of policies behind. */
  close (): void { this.#policies.close() }

  /** Entries, deadlines of connections and works that are left: 0 when nothing is. */
  get leftovers (): number {
    const { deadlines, running } = this.#host
    return this.#registry.indexSize + deadlines.size + running.size - this.#policies.standing + this.#registry.working + this.#policies.leftovers
  }
}
