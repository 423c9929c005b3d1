/**
 * The wiring: makes the parts of the plugin, and names the events that each of them hears. A policy takes one line here.
 *
 * The parts do not know each other. If two of them close a connection, the first close wins.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocketServer } from 'ws'
import type { Clock } from './base/clock.ts'
import { Deadlines } from './base/deadlines.ts'
import { attempt } from './base/guard.ts'
import type { LineBudget } from './base/line-budget.ts'
import type { LogLimiter } from './base/log-limiter.ts'
import { RunningClock } from './base/running-clock.ts'
import type { Connection } from './connection/connection.ts'
import { recordedRequestId } from './connection/facts.ts'
import { Hooks } from './connection/hooks.ts'
import type { ManagedConnection } from './connection/managed-connection.ts'
import { Steps } from './connection/steps.ts'
import { NO_SUPPRESSION } from './connection/suppression.ts'
import type { Transport } from './connection/transport.ts'
import { Drain } from './drain/drain.ts'
import { TOO_SMALL } from './drain/forecast.ts'
import type { DrainFleet } from './drain/bookings.ts'
import type { DrainHost } from './drain/host.ts'
import type { FleetEngine } from './fleet/engine.ts'
import type { FleetHost } from './fleet/host.ts'
import { LazyFleet } from './fleet/lazy-fleet.ts'
import { FleetReporter } from './fleet/reporter.ts'
import { Admission } from './limit/admission.ts'
import { Backpressure } from './limit/backpressure.ts'
import { MessageRate } from './limit/message-rate.ts'
import { PongBacklog } from './limit/pong-backlog.ts'
import { Pressure } from './limit/pressure.ts'
import { StoredHandovers } from './move/handover.ts'
import type { HandoverStore } from './move/handover-store.ts'
import { Moves } from './move/moves.ts'
import type { ResolvedOptions } from './options/resolve.ts'
import { Broadcasts } from './track/broadcast.ts'
import { Enforcement } from './track/enforcement.ts'
import { Events } from './track/events.ts'
import { Expected } from './track/expected.ts'
import type { FleetChannels } from './track/fleet.ts'
import { ManagedTracker } from './track/managed-tracker.ts'
import { Registry } from './track/registry.ts'
import { Statistics } from './track/statistics.ts'
import { Expiry } from './watch/expiry.ts'
import { Heartbeats } from './watch/heartbeat.ts'
import { Idle } from './watch/idle.ts'

/** What the parts need of the plugin. */
export interface Surroundings {
  readonly clock: Clock
  readonly transport: Transport
  readonly log: FastifyBaseLogger
  /** Limits the log lines about connections and hooks during a drain. */
  readonly lines: LineBudget
  /** Limits the log lines of each kind. */
  readonly limiter: LogLimiter
  /** The engine of the fleet; null without the option `fleet`. */
  readonly engine: FleetEngine | null
  readonly fleetChannels: FleetChannels
  /** Tracks a foreign ws server. */
  adopt (server: WebSocketServer): void
  /** Refuses the handshakes that wait in a hook. */
  refuseHandshakes (): void
  /** Reports an error of the application's code on a connection. */
  report (error: unknown, connection: Connection): unknown
  /** Milliseconds for which the event loop has been busy so far. */
  busy (): number
  /** Asks @fastify/under-pressure. */
  isUnderPressure (): boolean
  /** Where handed-over states wait for their clients. */
  readonly store: HandoverStore
  /** The store of handed-over states has failed; its error may contain one. */
  storeFailed (): void
  /** Pressure has begun, or has ended after `evicted` evictions. */
  pressureChanged (under: boolean, evicted: number): void
}

/** The parts that the plugin and handshake/ need. */
export interface Wiring {
  readonly tracker: ManagedTracker
  /** Limits of connections; null if there are none. */
  readonly admission: Admission | null
  readonly enforcement: Enforcement
  readonly fleet: LazyFleet
  readonly broadcasts: Broadcasts
  readonly handovers: StoredHandovers
  readonly moves: Moves
  readonly statistics: Statistics
  /** Deadlines in time that passes only while the event loop runs. */
  readonly running: Deadlines
}

/** Makes the parts and connects them. */
export function wire (options: ResolvedOptions, { clock, log, lines, limiter, engine, adopt, report, store, storeFailed, ...surroundings }: Surroundings): Wiring {
  const { limits, plan, retryDelay: minDelay } = options
  const hookFailed = (err: unknown, hook: string) => {
    const message = `${hook} failed`
    if (lines.spend(message)) log.error({ err }, message)
  }
  const hooks = new Hooks<ManagedConnection>()
  const events = new Events((error, event) => { hookFailed(error, `listener of "${event}"`) })
  const registry = new Registry(options.history)
  const statistics = new Statistics(options.settings)
  const steps = new Steps(clock)
  const running = new Deadlines(new RunningClock(clock))
  const enforcement = new Enforcement(options.modes, events, running, (recent) => { log.info({ observed: recent }, 'policies that only observe would have acted') })
  const handovers: StoredHandovers = new StoredHandovers({ clock, transport: surroundings.transport, store, moved: (connection) => moves.moved(connection), keyOf: (connection) => moves.keyOf(connection), storeFailed })
  const moves = new Moves({ asked: (...args) => { handovers.asked(...args) }, clock, hooks, transport: surroundings.transport, running, steps, move: options.drain.move, grace: plan.grace })
  const drainFleet: DrainFleet | null = engine && {
    get rate () { return fleet.fleet.leaving.rate },
    get leavers () { return fleet.fleet.leaving.leavers },
    book: (...args) => fleet.fleet.leaving.book(...args)
  }
  const host: DrainHost = {
    clock,
    lines,
    hooks,
    events,
    registry,
    running,
    hookFailed,
    plan,
    ...options.drain,
    fleet: drainFleet,
    maxConnections: limits.total && limits.total.max,
    epoch: clock.wallNow(),
    transport: surroundings.transport,
    deadlines: new Deadlines(clock),
    settings: statistics.adopted,
    closeTimeout: options.closeTimeout,
    cleanupTimeout: options.cleanupTimeout,
    isolation: options.isolation,
    errorCode: options.errorCode,
    onDrain: options.onDrain,
    suppression: NO_SUPPRESSION,
    tracing: null,
    mover: moves,
    steps,
    handovers,
    random: Math.random,
    childLogger: ({ id, requestId }) => log.child(requestId === '' ? { connection: id } : { connection: id, reqId: recordedRequestId(requestId) }),
    report: (error, connection) => {
      attempt(() => report(error, connection), (err) => { hookFailed(err, 'errorHandler') })
    },
    refuseHandshakes: () => { surroundings.refuseHandshakes() }
  }
  const shared = { ...host, ...surroundings, enforcement, minDelay, grace: plan.grace }
  const drain = new Drain(host)
  const expected = new Expected({ clock, longestDelay: options.drain.reconnect.maxDelay, moved: (connection) => moves.moved(connection) })
  const broadcasts: Broadcasts = new Broadcasts({ ...shared, skips: (connection, bytes) => backpressure.skips(connection, bytes) })
  const backpressure = new Backpressure({ ...shared, heldBytes: (connection) => broadcasts.heldBytes(connection) })
  const heartbeats = new Heartbeats(shared)
  const idle = new Idle(shared)
  const expiry = new Expiry(shared)
  const rate = new MessageRate(shared)
  const pongs = new PongBacklog(shared)
  const pressure = limits.pressure ? new Pressure(shared) : null
  const limited = limits.pressure || [limits.total, limits.perOwner, limits.perAddress, limits.handshakes].some((limit) => limit !== false)
  const admission = limited ? new Admission({ ...shared, moving: (...args) => moves.take(...args) }, limits, () => pressure?.under ?? false) : null
  const sized = [heartbeats, idle, expiry, rate, pongs, backpressure, broadcasts, moves, handovers, steps, ...(admission === null ? [] : [admission])]

  const tracker = new ManagedTracker({
    host,
    drain,
    broadcasts,
    enforcement,
    statistics,
    expected,
    minDelay,
    adopt,
    onOpen: options.onOpen,
    admit: admission === null ? null : (connection) => admission.opened(connection, moves.takePrevious(connection)),
    // Without the deadlines that belong to no connection: they may be set while there is none.
    leftovers: () => sized.reduce((sum, { size }) => sum + size, -Number(enforcement.standing) - Number(pressure?.standing ?? false)),
    fleet: () => fleet.fleet,
    fleetStats: () => fleet.stats,
    close: () => {
      pressure?.close()
      enforcement.close()
    }
  })

  const fleetHost: FleetHost = {
    clock,
    registry,
    hooks,
    mover: moves,
    reporter: new FleetReporter(log, limiter, engine === null ? 'debug' : 'info'),
    reconnectRate: options.drain.reconnect.rate,
    reconnectCeiling: options.reconnectCeiling,
    places: admission === null || ![limits.total, limits.perOwner].some((limit) => limit !== false && limit.scope === 'fleet')
      ? null
      : { limits, onOutage: options.onOutage, running, local: admission, share: (places) => { admission.share(places) } },
    counters: () => {
      const { count, sum } = statistics.handshakes.toHistogram()
      return { now: clock.now(), busy: surroundings.busy(), cpu: clock.cpu(), handshakes: count, time: sum }
    },
    channels: surroundings.fleetChannels,
    expected: () => expected.count,
    draining: () => !tracker.accepting,
    broadcast: (data, filter) => tracker.broadcast(data, filter),
    explain: (query) => tracker.explain(query),
    audited: (act) => { tracker.audited(act) },
    listenerFailed: (error, event) => { hookFailed(error, `listener of "${event}"`) }
  }
  const fleet: LazyFleet = new LazyFleet(fleetHost, engine)
  events.on('progress', ({ phase }) => { if (phase === 'notify') fleet.draining() })
  // Without a fleet the plan says it, too; to forecast takes time for each connection.
  if (engine !== null) {
    events.on('drain', ({ connections }) => {
      const what = connections === 0 ? '' : drain.plan.clients[0]!.what
      if (what.includes(TOO_SMALL)) log.warn({ clients: what }, 'draining sockets: the fleet is too small')
    })
  }

  // The events that each part hears. Parts are called in this order; the drain adds itself when it starts, idle and rate hear of
  // messages when the first connection needs it.
  hooks.add(registry, 'accepted', 'ownerSet', 'tagged', 'untagged', 'workStarted', 'workEnded', 'failed', 'gone', 'cleanupFinished', 'cleanupFailed', 'cleanupAbandoned', 'lateCleanup', 'lateCleanupsSettled', 'closed')
  hooks.add(tracker, 'closed')
  hooks.add(statistics, 'accepted', 'roundTripMeasured', 'closed')
  // Before moves, which forget at 'closing' that a client has moved.
  hooks.add(expected, 'accepted', 'moved', 'ending', 'closing')
  hooks.add(heartbeats, 'opened', 'closing')
  hooks.add(idle, 'opened', 'idleTimeoutSet', 'closing')
  hooks.add(expiry, 'opened', 'lifetimeSet', 'closing')
  hooks.add(rate, 'opened', 'closing')
  hooks.add(pongs, 'pongsWait', 'closing')
  hooks.add(broadcasts, 'sending', 'sent', 'moved', 'closing')
  hooks.add(backpressure, 'opened', 'sent', 'closing')
  hooks.add(moves, 'closing')
  hooks.add(handovers, 'ending', 'closing')
  if (pressure !== null) hooks.add(pressure, 'opened', 'closing')
  if (admission !== null) hooks.add(admission, 'ownerSet', 'moved', 'moveFailed', 'gone')
  return { tracker, admission, fleet, broadcasts, enforcement, handovers, moves, statistics, running }
}
