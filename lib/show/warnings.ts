/**
 * What is said once, at start, about a set-up that cannot work as its user may expect.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { DrainPlan } from '../track/drain-report.ts'

/** Kubernetes' terminationGracePeriodSeconds where none is stated, milliseconds. */
const KUBERNETES_DEFAULT = 30_000

/** A shorter drain was probably given in seconds, milliseconds. */
const LEAST_PLAUSIBLE = 100

/** Others that listen to 'upgrade' on our server; `names` are their functions' names. */
export function warnAboutListeners (log: FastifyBaseLogger, names: string[]): void {
  for (const name of names) {
    log.warn({ listener: name }, name === 'onUpgrade'
      ? 'another @fastify/websocket was registered in a child context (mercurius does so): its server is adopted at its first handshake, with options of its own; register fastify-websocket-lifecycle on the root, before it'
      : "somebody else listens to 'upgrade' on this server: sockets opened there are not tracked; hand its ws server to app.sockets.adopt()")
  }
}

/** A ws server that was adopted and is closed already. */
export function warnAboutClosedServers (log: FastifyBaseLogger): void {
  log.warn("a ws server given to app.sockets.adopt() was closed before this app listened (engine.io and Socket.IO make a new one on 'listening'): its successor is not tracked; call adopt() in an onListen hook")
}

/** Warns about a drain that is too short for a close handshake, or longer than what Kubernetes grants by default. */
export function warnAboutBudget (log: FastifyBaseLogger, { preStop, timeout, reserve, terminationGracePeriod }: DrainPlan): void {
  if (timeout < LEAST_PLAUSIBLE) log.warn(`drain: timeout ${timeout} ms is too short for a close handshake over a network: durations are milliseconds`)
  const needed = preStop + timeout + reserve
  if (terminationGracePeriod !== undefined || needed <= KUBERNETES_DEFAULT) return
  log.warn(`drain: preStop ${preStop} + timeout ${timeout} + reserve ${reserve} = ${needed} ms is more than the ${KUBERNETES_DEFAULT} ms that Kubernetes grants by default: state drain.terminationGracePeriod`)
}

/** WebSockets over HTTP/2 are another handshake. */
export function warnAboutHttp2 (log: FastifyBaseLogger): void {
  log.warn('this is an HTTP/2 server: WebSockets over HTTP/2 (RFC 8441) are not supported; only clients that fall back to HTTP/1.1 (https.allowHTTP1) can open one')
}

/** Which pages may open a WebSocket is up to the user; until then foreign ones are logged. */
export function sayOriginsAreReported (log: FastifyBaseLogger): void {
  log.info("pages of any origin may open WebSockets here, foreign ones are logged once each: allowedOrigins 'same-origin', or a list, refuses them")
}

/** Pressure has begun, or is over. */
export function tellPressure (log: FastifyBaseLogger, under: boolean, evicted: number): void {
  if (under) log.warn('under pressure: new sockets are refused, the idlest are closed')
  else log.warn({ evicted }, 'pressure is over: new sockets are let in again')
}
