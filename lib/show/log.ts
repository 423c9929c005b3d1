/**
 * Log lines about a tracker's events. A drain logs three lines at info, and its progress every 5 s; opens and closes are logged
 * at debug, closes by a policy at warn. No line has a query string, a token, an address or an owner. Above debug, a drain logs
 * at most 20 lines of at most 4 KB each.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { CloseCause } from '../base/close-codes.ts'
import { recordedRoute } from '../connection/facts.ts'
import type { Tracker } from '../track/tracker.ts'
import { LineBudget } from '../base/line-budget.ts'
import type { LogLimiter } from '../base/log-limiter.ts'
import { closeSummary } from '../track/story.ts'
import { loggedReport } from './logged-report.ts'

/** Least time between two progress lines, milliseconds. */
const PROGRESS_INTERVAL = 5_000

/** Maximum number of progress lines of a drain. */
const PROGRESS_LINES = 7

/** Maximum number of lines about acts of administration in a drain; that about its start comes before it. */
const AUDIT_LINES = 3

/** Lines about connections that a policy has closed. */
const POLICY_CLOSES: Partial<Record<CloseCause, string>> = {
  heartbeat: 'a peer was dead and its socket was destroyed',
  idle: 'an idle socket was closed',
  expired: 'a socket was closed: its session has expired',
  lifetime: 'a socket was closed at the end of its lifetime',
  replaced: 'a socket was closed to make room for a newer one',
  rate: 'a socket was closed: its client sends too much',
  slow: 'a socket was closed: its client reads too slowly',
  rebalance: 'a socket was closed so that its client connects to another server'
}

/** Logs the events of a tracker. `limiter` and `lines` bound the lines about single connections and handshakes. */
export function logEvents (tracker: Tracker, log: FastifyBaseLogger, limiter: LogLimiter, lines: LineBudget): void {
  // Of their own: faults of connections must not take the lines of the audit.
  const acts = new LineBudget(AUDIT_LINES)
  let nextProgress = PROGRESS_INTERVAL
  let admitting = true
  // A drain without connections is logged at debug: test suites open and close hundreds of servers.
  let level: 'info' | 'debug' = 'info'
  // Without this check, each open and close would build a line that the logger drops.
  const isVerbose = () => log.level === 'debug' || log.level === 'trace'
  tracker.on('open', (connection) => {
    if (isVerbose()) log.debug({ connection: connection.id, route: connection.route }, 'socket open')
  })
  tracker.on('closed', (connection, record) => {
    // `by` and `why` are for the audit, which can be logged elsewhere.
    if (isVerbose()) {
      const { by: _by, why: _why, ...logged } = record
      log.debug({ connection: connection.id, summary: closeSummary(record), record: logged }, 'socket closed')
    }
    const message = POLICY_CLOSES[record.cause]
    if (message !== undefined) limiter.warn(message, { connection: connection.id, route: connection.route, duration: record.duration, summary: closeSummary(record) })
  })
  tracker.on('refused', ({ reason, path }) => {
    // Refusals by a drain are expected; requests for plain routes are logged where they are answered.
    if (reason !== 'draining' && reason !== 'not a websocket route') limiter.warn(`handshakes are refused: ${reason}`, { path: recordedRoute(path) })
  })
  tracker.on('drain', ({ trigger, connections, timeout }) => {
    lines.begin()
    acts.begin()
    level = connections > 0 ? 'info' : 'debug'
    log[level]({ trigger, connections, timeout }, 'draining sockets')
  })
  tracker.on('progress', (progress) => {
    if (progress.connections > 0) level = 'info'
    if (admitting && progress.phase !== 'settle') {
      admitting = false
      log[level]({ connections: progress.connections }, 'no new sockets; closing those that are open')
    }
    if (progress.elapsed < nextProgress || progress.phase === 'done') return
    nextProgress = progress.elapsed + Math.max(PROGRESS_INTERVAL, progress.timeout / PROGRESS_LINES)
    log.info({ progress }, 'draining sockets')
  })
  const auditLog = log.child({ audit: true })
  tracker.on('audit', ({ at: _at, action, ...act }) => {
    if (!acts.spend(`audit: ${action}`)) return
    if (act.outcome === 'failed' || act.outcome === 'refused') auditLog.warn({ action, ...act }, `audit: ${action} ${act.outcome}`)
    else auditLog.info({ action, ...act }, `audit: ${action} ${act.outcome}`)
  })
  tracker.on('drained', (report) => {
    const suppressed = { ...lines.end(), ...acts.end() }
    if (Object.keys(suppressed).length > 0) log.warn({ suppressed }, 'draining sockets: more lines like these were not logged')
    log[level]({ report: loggedReport(report) }, 'sockets drained')
  })
}

/** Logs that pressure has begun, or has ended after `evicted` connections were closed. */
export function logPressure (log: FastifyBaseLogger, under: boolean, evicted: number): void {
  if (under) log.warn('under pressure: new sockets are refused, the idlest are closed')
  else log.warn({ evicted }, 'pressure is over: new sockets are accepted again')
}
