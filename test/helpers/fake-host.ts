/**
 * A ConnectionHost on a fake clock with fake sockets. It records every call that connections make.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { CloseRecord, Connection } from '../../lib/connection/connection.ts'
import type { ConnectionFacts } from '../../lib/connection/facts.ts'
import { Hooks } from '../../lib/connection/hooks.ts'
import type { ConnectionHost } from '../../lib/connection/host.ts'
import type { Mover } from '../../lib/connection/mover.ts'
import type { Handovers } from '../../lib/connection/handovers.ts'
import { Steps } from '../../lib/connection/steps.ts'
import { NO_SUPPRESSION } from '../../lib/connection/suppression.ts'
import type { Suppression } from '../../lib/connection/suppression.ts'
import type { Tracing } from '../../lib/connection/tracing.ts'
import { Deadlines } from '../../lib/base/deadlines.ts'
import { guardLog } from '../../lib/base/guard.ts'
import { Enforcement } from '../../lib/track/enforcement.ts'
import { POLICIES } from '../../lib/track/observation.ts'
import type { Mode, PolicyName } from '../../lib/track/observation.ts'
import { Events } from '../../lib/track/events.ts'
import type { LifecycleEvents } from '../../lib/track/events.ts'
import { LineBudget } from '../../lib/base/line-budget.ts'
import { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { Registry } from '../../lib/track/registry.ts'
import { RunningClock } from '../../lib/base/running-clock.ts'
import { kConnection } from '../../lib/connection/of-socket.ts'
import { RouteCounters } from '../../lib/connection/route-counters.ts'
import type { RouteSettings } from '../../lib/connection/settings.ts'
import { FakeClock } from './fake-clock.ts'
import type { FakeClockOptions } from './fake-clock.ts'
import { FakeSocket, FakeTransport } from './fake-socket.ts'
import type { FakeSocketOptions } from './fake-socket.ts'

/** Settings under which nothing is bounded; the counters are not read. */
export const NO_SETTINGS: RouteSettings = Object.freeze({
  heartbeat: false,
  idleTimeout: false,
  maxLifetime: false,
  messageRate: false,
  backpressure: Object.freeze({ maxStallTime: false, maxBufferedBytes: false, policy: 'close' }),
  counters: new RouteCounters()
})

export interface FakeHostOptions extends FakeClockOptions {
  /** @default 2000 */
  closeTimeout?: number
  /** @default 5000 */
  cleanupTimeout?: number
  /** @default 1011 */
  errorCode?: number
  /** @default 256 */
  history?: number
  /** @default true */
  isolation?: boolean
  /** @default none: no heartbeat, no idle timeout, no lifetime */
  settings?: Partial<RouteSettings>
  /** Policies that only observe. @default none */
  observe?: PolicyName[]
}

/** One call of a connection's logger. */
export interface LogEntry {
  level: string
  connection: number
  fields: Record<string, unknown>
  message: string
}

/** A connection and the socket below it. */
export interface Pair {
  connection: ManagedConnection
  socket: FakeSocket
}

export class FakeHost implements ConnectionHost<ManagedConnection> {
  readonly clock: FakeClock
  readonly epoch: number
  readonly transport = new FakeTransport()
  readonly steps: Steps
  readonly deadlines: Deadlines
  readonly running: Deadlines
  readonly settings: RouteSettings
  readonly enforcement: Enforcement
  /** Summaries of what was only observed. */
  readonly summaries: object[] = []
  readonly events: Events
  readonly lines = new LineBudget()
  readonly registry: Registry
  readonly closeTimeout: number
  readonly cleanupTimeout: number
  readonly errorCode: number
  readonly isolation: boolean
  readonly hooks = new Hooks<ManagedConnection>()
  suppression: Suppression = NO_SUPPRESSION
  tracing: Tracing<ManagedConnection> | null = null
  /** No client can move. */
  mover: Mover<ManagedConnection> = { canAsk: () => false, ask: () => false, moved: () => false, end: () => {}, move: () => Promise.resolve(false) }
  /** Nothing is handed over. */
  handovers: Handovers<ManagedConnection> = { keep: () => {}, handed: () => undefined }
  /** What loggers were told. */
  readonly logs: LogEntry[] = []
  /** Child loggers made. */
  loggers = 0
  /** What connections' code threw. */
  readonly reports: Array<[error: unknown, connection: Connection]> = []
  /** What hooks and event listeners threw. */
  readonly hookFailures: Array<[error: unknown, hook: string]> = []

  constructor ({ closeTimeout = 2000, cleanupTimeout = 5000, errorCode = 1011, history = 256, isolation = true, settings, observe = [], ...clock }: FakeHostOptions = {}) {
    this.clock = new FakeClock(clock)
    this.epoch = this.clock.wallNow()
    this.steps = new Steps(this.clock)
    this.deadlines = new Deadlines(this.clock)
    this.running = new Deadlines(new RunningClock(this.clock))
    this.settings = { ...NO_SETTINGS, counters: new RouteCounters(), ...settings }
    this.events = new Events((error, event) => { this.hookFailed(error, `listener of "${event}"`) })
    const modes = Object.fromEntries(POLICIES.map((policy) => [policy, observe.includes(policy) ? 'observe' : 'enforce'])) as Record<PolicyName, Mode>
    this.enforcement = new Enforcement(modes, this.events, this.running, (recent) => { this.summaries.push(recent) })
    this.registry = new Registry({ size: history, owner: false, ip: false })
    this.hooks.add(this.registry, 'accepted', 'ownerSet', 'tagged', 'untagged', 'workStarted', 'workEnded', 'failed', 'gone', 'cleanupFinished', 'cleanupFailed', 'cleanupAbandoned', 'lateCleanup', 'lateCleanupsSettled', 'closed')
    this.closeTimeout = closeTimeout
    this.cleanupTimeout = cleanupTimeout
    this.errorCode = errorCode
    this.isolation = isolation
  }

  childLogger (connection: Connection): FastifyBaseLogger {
    this.loggers++
    const { id } = connection
    const write = (level: string) => (...args: [fields: Record<string, unknown>, message?: string] | [message: string]) => {
      const [fields, message = ''] = typeof args[0] === 'string' ? [{}, args[0]] : args as [Record<string, unknown>, string]
      // As pino's serializer does, which trips over a getter that throws.
      if (typeof (fields['err'] as Error | null | undefined)?.message === 'string') String((fields['err'] as Error).stack)
      this.logs.push({ level, connection: id, fields, message })
    }
    return guardLog(Object.fromEntries(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, write(level)])
    ) as unknown as FastifyBaseLogger)
  }

  report (error: unknown, connection: Connection): void { this.reports.push([error, connection]) }

  hookFailed (error: unknown, hook: string): void { this.hookFailures.push([error, hook]) }

  /** Accepts a socket, as the plugin does: attached, then announced. */
  connect ({ peer, handle, ...facts }: Partial<ConnectionFacts> & FakeSocketOptions = {}): Pair {
    const options: FakeSocketOptions = {}
    if (peer !== undefined) options.peer = peer
    if (handle !== undefined) options.handle = handle
    const socket = new FakeSocket(this.clock, options)
    const connection = new ManagedConnection(this, socket.ws, { route: '/', ip: '127.0.0.1', requestId: `req-${this.registry.counters.opened + 1}`, ...facts })
    socket[kConnection] = connection
    this.events.emit('open', connection)
    return { connection, socket }
  }

  /** Accepts `count` sockets. */
  crowd (count: number, facts?: Partial<ConnectionFacts> & FakeSocketOptions): Pair[] {
    return Array.from({ length: count }, () => this.connect(facts))
  }

  /** Keeps a list of these events, as `name id`; records and reports stay out of it. */
  listen (...names: Array<keyof LifecycleEvents>): string[] {
    const heard: string[] = []
    for (const name of names) {
      this.events.on(name, (...args: unknown[]) => {
        const id = (args[0] as { id?: number } | null)?.id
        heard.push(id === undefined ? name : `${name} ${id}`)
      })
    }
    return heard
  }

  /** Ends a connection by its peer, in full, and gives its record. */
  async leave ({ connection, socket }: Pair, code = 1000): Promise<CloseRecord> {
    const { closed } = connection
    socket.peerCloses(code)
    await this.clock.flush()
    return closed
  }

  /** Entries, deadlines, works and timers that are left: 0 when nothing is. */
  get leftovers (): number {
    return this.registry.indexSize + this.steps.size + this.deadlines.size + this.running.size + this.registry.working + this.clock.pendingTimers + this.clock.pendingImmediates
  }
}

/**
 * Makes a host. `extra` becomes part of it, for policies that need more than a ConnectionHost; connections see the same object.
 */
export function createFakeHost<T extends object = object> (options: FakeHostOptions = {}, extra: T = {} as T): FakeHost & T {
  return Object.assign(new FakeHost(options), extra)
}
