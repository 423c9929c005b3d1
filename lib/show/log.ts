/**
 * What is logged, at which level: three lines a drain at info and its progress every 5 s, opens and closes at debug,
 * closes by a policy at warn. Never a query string, a token, an address or an owner. Above debug, a drain logs 20 lines at
 * most, of which none is longer than 4 KB.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { CloseCause } from '../base/close-codes.ts'
import type { Tracker } from '../track/tracker.ts'
import type { LineBudget } from '../base/line-budget.ts'
import type { LogGate } from '../base/log-gate.ts'
import { loggedReport } from './logged-report.ts'

/** Milliseconds between two progress lines, at least. */
const PROGRESS_INTERVAL = 5_000

/** Most progress lines of a drain. */
const PROGRESS_LINES = 8

/** Characters of a path that are shown: whoever connects chooses it. */
const MAX_PATH = 256

/** What is said of connections that a policy has closed; `gate` bounds how often. */
const POLICY_CLOSES: Partial<Record<CloseCause, string>> = {
  heartbeat: 'a peer was dead and its socket was destroyed',
  idle: 'an idle socket was closed',
  expired: 'a socket was closed: its session has expired',
  lifetime: 'a socket was closed at the end of its lifetime',
  replaced: 'a socket was closed to make room for a newer one',
  rate: 'a socket was closed: its client sends too much',
  slow: 'a socket was closed: its client reads too slowly',
  rebalance: 'a socket was closed: the server is under pressure'
}

/** Logs the events of a tracker. */
export function logEvents (tracker: Tracker, log: FastifyBaseLogger, gate: LogGate, lines: LineBudget): void {
  let nextProgress = PROGRESS_INTERVAL
  let admitting = true
  // A drain of nobody is no news: suites open and close hundreds of servers.
  let level: 'info' | 'debug' = 'info'
  tracker.on('open', (connection) => {
    if (log.level === 'debug' || log.level === 'trace') log.debug({ connection: connection.id, route: connection.route }, 'socket open')
  })
  tracker.on('closed', (connection, record) => {
    if (log.level === 'debug' || log.level === 'trace') log.debug({ connection: connection.id, record }, 'socket closed')
    const said = POLICY_CLOSES[record.cause]
    if (said !== undefined) gate.warn(said, { connection: connection.id, route: connection.route, duration: record.duration })
  })
  tracker.on('refused', ({ reason, path }) => {
    // The others are told elsewhere, or are no news.
    if (reason !== 'draining' && reason !== 'not a websocket route') gate.warn(`handshakes are refused: ${reason}`, { path: path.slice(0, MAX_PATH) })
  })
  tracker.on('drain', ({ trigger, connections, timeout }) => {
    lines.begin()
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
  tracker.on('drained', (report) => {
    const suppressed = lines.end()
    if (suppressed !== null) log.warn({ suppressed }, 'draining sockets: more lines like these were not logged')
    log[level]({ report: loggedReport(report) }, 'sockets drained')
  })
}
