/**
 * A tracker on a fake clock with fake sockets and a logger that keeps what it was told.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { ConnectionFacts } from '../../lib/connection/facts.ts'
import { LineBudget } from '../../lib/base/line-budget.ts'
import { LogLimiter } from '../../lib/base/log-limiter.ts'
import { kConnection } from '../../lib/connection/of-socket.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { LocalHandoverStore } from '../../lib/move/handover-store.ts'
import { resolveOptions } from '../../lib/options/resolve.ts'
import { fleetChannels } from '../../lib/show/diagnostics.ts'
import { wire } from '../../lib/wiring.ts'
import type { Surroundings, Wiring } from '../../lib/wiring.ts'
import type { Pair } from './fake-host.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeSocket, FakeTransport } from './fake-socket.ts'
import type { FakeSocketOptions } from './fake-socket.ts'

/** One call of a logger. */
export interface LogLine {
  level: string
  /** What the logger was bound to. */
  bindings: object
  fields: Record<string, unknown>
  message: string
}

/** A logger that writes to a list. */
export interface FakeLog {
  log: FastifyBaseLogger
  lines: LogLine[]
  /** Lines of one level, as messages. */
  messages (level: string): string[]
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

/** Makes a logger; like pino it drops what is below its level. */
export function createLog (level = 'debug'): FakeLog {
  const lines: LogLine[] = []
  const create = (bindings: object): FastifyBaseLogger => {
    const log: Record<string, unknown> = { level, child: (more: object) => create({ ...bindings, ...more }) }
    for (const name of LEVELS) {
      log[name] = (fields: unknown, message: string = '') => {
        if (LEVELS.indexOf(name) < LEVELS.indexOf(level)) return
        lines.push(typeof fields === 'string'
          ? { level: name, bindings, fields: {}, message: fields }
          : { level: name, bindings, fields: fields as Record<string, unknown>, message })
      }
    }
    return log as unknown as FastifyBaseLogger
  }
  return { log: create({}), lines, messages: (of) => lines.filter(({ level }) => level === of).map(({ message }) => message) }
}

export interface TrackerRig extends FakeLog, Wiring {
  clock: FakeClock
  transport: FakeTransport
  /** What may be logged. */
  budget: LineBudget
  /** What the parts were asked for: 'adopt', 'refuseHandshakes'. */
  asked: Array<[what: string, argument?: unknown]>
  /** What connections' code threw. */
  reports: unknown[][]
  /** A socket that is accepted, but not announced yet. */
  accept (facts?: Partial<ConnectionFacts> & FakeSocketOptions): Pair
  /** A socket that is accepted and announced, as the plugin does. */
  open (facts?: Partial<ConnectionFacts> & FakeSocketOptions): Pair
}

export function createTracker (options: LifecycleOptions = {}, level = 'debug', parts: Partial<Surroundings> = {}): TrackerRig {
  const clock = parts.clock instanceof FakeClock ? parts.clock : new FakeClock()
  const transport = new FakeTransport()
  const fakeLog = createLog(level)
  const budget = new LineBudget()
  const asked: TrackerRig['asked'] = []
  const reports: unknown[][] = []
  const wiring = wire(resolveOptions(options), {
    clock,
    transport,
    log: fakeLog.log,
    lines: budget,
    limiter: new LogLimiter(clock, fakeLog.log, budget),
    engine: null,
    fleetChannels: fleetChannels(() => tracker),
    adopt: (server) => { asked.push(['adopt', server]) },
    refuseHandshakes: () => { asked.push(['refuseHandshakes']) },
    report: (...args) => { reports.push(args) },
    busy: () => 0,
    isUnderPressure: () => false,
    store: new LocalHandoverStore(clock),
    storeFailed: () => { asked.push(['storeFailed']) },
    pressureChanged: (...args) => { asked.push(['pressureChanged', args]) },
    ...parts
  })
  const { tracker } = wiring
  const accept: TrackerRig['accept'] = ({ peer = 'answers', handle, ...facts } = {}) => {
    const socket = new FakeSocket(clock, handle === undefined ? { peer } : { peer, handle })
    const connection = tracker.accept(socket.ws, { route: '/', ip: '127.0.0.1', requestId: 'req-1', ...facts })
    socket[kConnection] = connection
    return { connection, socket }
  }
  return {
    ...wiring,
    clock,
    transport,
    ...fakeLog,
    budget,
    asked,
    reports,
    accept,
    open (facts) {
      const pair = accept(facts)
      tracker.opened(pair.connection)
      return pair
    }
  }
}
