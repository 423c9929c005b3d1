/**
 * Log lines at start about a set-up that does not do what its user may expect.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { DrainPlan } from '../track/drain-report.ts'

/** The default of Kubernetes' terminationGracePeriodSeconds, in milliseconds. */
const KUBERNETES_DEFAULT = 30_000

/** A drain timeout below this, in milliseconds, was probably meant in seconds. */
const LEAST_PLAUSIBLE = 100

/** Warns about other listeners of 'upgrade' on our server; `names` are the names of their functions. */
export function warnAboutListeners (log: FastifyBaseLogger, names: string[]): void {
  for (const name of names) {
    log.warn({ listener: name }, name === 'onUpgrade'
      ? 'another @fastify/websocket was registered in a child context (mercurius does so): its server is adopted at its first handshake, with options of its own; register fastify-websocket-lifecycle on the root, before it'
      : "another listener of 'upgrade' is on this server: sockets that it opens are not tracked; give its ws server to app.sockets.adopt()")
  }
}

/** Warns about an adopted ws server that was closed before the app listened. */
export function warnAboutClosedServers (log: FastifyBaseLogger): void {
  log.warn("a ws server given to app.sockets.adopt() was closed before this app listened (engine.io and Socket.IO make a new one on 'listening'): its successor is not tracked; call adopt() in an onListen hook")
}

/** Warns about a drain that is too short for a close handshake, or longer than Kubernetes' default grace period. */
export function warnAboutBudget (log: FastifyBaseLogger, { preStop, timeout, reserve, terminationGracePeriod }: DrainPlan): void {
  if (timeout < LEAST_PLAUSIBLE) log.warn(`drain: timeout ${timeout} ms is too short for a close handshake over a network: durations are milliseconds`)
  const needed = preStop + timeout + reserve
  if (terminationGracePeriod !== undefined || needed <= KUBERNETES_DEFAULT) return
  log.warn(`drain: preStop ${preStop} + timeout ${timeout} + reserve ${reserve} = ${needed} ms is more than the ${KUBERNETES_DEFAULT} ms that Kubernetes grants by default: set drain.terminationGracePeriod`)
}

/** Warns that WebSockets over HTTP/2, which have another handshake, are not supported. */
export function warnAboutHttp2 (log: FastifyBaseLogger): void {
  log.warn('this is an HTTP/2 server: WebSockets over HTTP/2 (RFC 8441) are not supported; only clients that fall back to HTTP/1.1 (https.allowHTTP1) can open one')
}

/** Logs that foreign origins are admitted: only the user can decide which pages may open a WebSocket. */
export function logOriginsAdmitted (log: FastifyBaseLogger): void {
  log.info("pages of any origin may open WebSockets here; each foreign origin is logged once; to refuse them, set allowedOrigins to 'same-origin' or a list")
}
