/**
 * Makes an accepted socket a connection: finds its route and request, asks the options `owner` and `data`, and directs its errors to
 * the application's errorHandler or to the log.
 *
 * The request is stored on its IncomingMessage from our onRequest hook until the socket has opened. After that only `keepRequest`
 * or an errorHandler keeps it.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { LONGEST_TIMER } from '../base/clock.ts'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionFacts } from '../connection/facts.ts'
import { handleError, fault } from '../connection/faults.ts'
import { isProxied, isUpgrade, rawSocketOf } from '../base/internals.ts'
import { atOnce, attempt } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { note } from '../connection/note.ts'
import { connectionOf } from '../connection/of-socket.ts'
import { asksForWebSocket } from '../http/raw-socket.ts'
import { offerOf } from '../http/subprotocol.ts'
import type { LogLimiter } from '../base/log-limiter.ts'
import type { LifecycleOptions } from '../options/options.ts'
import type { ResolvedOptions } from '../options/resolve.ts'
import { factsOf, foreignFacts, pathOf, routeOf } from './routes.ts'
import type { PlainRoutes, Route } from './routes.ts'
import type { ManagedTracker } from '../track/managed-tracker.ts'
import type { Wiring } from '../wiring.ts'
import { WS_CLOSE_TIMEOUT } from '../ws/accept.ts'
import type { Acceptance } from '../ws/accept.ts'
import { addressOf } from '../ws/released-memory.ts'
import { isRefused, takeTrace, traceOf } from './handshake.ts'
import { attach } from '../ws/tracked-socket.ts'

/** Warning for a proxied route whose handshakes @fastify/http-proxy does not take. */
const UNPROXIED = '@fastify/http-proxy does not proxy WebSockets of this route: beside other upgrade listeners it compares its prefix with the URL as it stands; use a prefix without parameters'

const NO_ROUTE = 'not a websocket route'

const kUpgrade = Symbol('fastify-websocket-lifecycle.upgrade')

interface Upgrade {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** What the option `owner` has returned, once it was called. */
  owner?: { value: string | undefined } | { error: unknown }
}

type RawRequest = IncomingMessage & { [kUpgrade]?: Upgrade | undefined }

type ErrorHandler = NonNullable<LifecycleOptions['errorHandler']>

export class Acceptor implements Acceptance {
  readonly closeTimeout: number
  readonly plainRoutes: PlainRoutes = new Map()
  readonly #tracker: ManagedTracker
  readonly #moves: Wiring['moves']
  readonly #handovers: Wiring['handovers']
  readonly #statistics: Wiring['statistics']
  readonly #options: ResolvedOptions
  readonly #limiter: LogLimiter
  /** Arguments of the application's errorHandler; empty without one. */
  readonly #upgrades = new WeakMap<Connection, Upgrade>()
  /** Routes that had a connection. */
  readonly #routes = new Set<string>()

  constructor ({ tracker, moves, handovers, statistics }: Pick<Wiring, 'tracker' | 'moves' | 'handovers' | 'statistics'>, options: ResolvedOptions, limiter: LogLimiter) {
    this.closeTimeout = Math.min(LONGEST_TIMER, Math.max(WS_CLOSE_TIMEOUT, options.plan.timeout + options.closeTimeout))
    this.#tracker = tracker
    this.#moves = moves
    this.#handovers = handovers
    this.#statistics = statistics
    this.#options = options
    this.#limiter = limiter
  }

  /** Stores an upgrade request that has reached Fastify. */
  remember (request: FastifyRequest, reply: FastifyReply): void {
    (request.raw as RawRequest)[kUpgrade] = { request, reply }
    traceOf(request.raw)?.routed(request)
  }

  accept (socket: WebSocket, raw: RawRequest | undefined): void {
    const upgrade = raw?.[kUpgrade]
    const refused = raw !== undefined && isRefused(raw)
    if (upgrade === undefined || refused) {
      const connection = this.#attach(socket, raw, { ...foreignFacts(raw), settings: refused ? this.#statistics.unrouted : undefined })
      if (!refused) return this.#tracker.opened(connection)
      this.#tracker.events.emit('open', connection)
      return this.#tracker.refuse(connection)
    }
    raw![kUpgrade] = undefined
    const route = routeOf(upgrade.request, this.plainRoutes)
    if (route?.websocket === false) traceOf(raw!)?.refused(NO_ROUTE)
    const connection = this.#attach(socket, raw, factsOf(upgrade.request, route))
    if (this.#options.websocket.errorHandler !== undefined) this.#upgrades.set(connection, upgrade)
    if (route !== undefined) this.#routes.add(route.url)
    // @fastify/websocket closes it without a code right after this.
    if (route?.websocket === false) return this.#notAWebSocketRoute(connection, route, upgrade.reply)
    if (route?.options.holdMessages) hold(connection)
    this.#identify(connection, upgrade)
  }

  #attach (socket: WebSocket, raw: IncomingMessage | undefined, facts: ConnectionFacts): ManagedConnection {
    const connection = this.#tracker.accept(socket, facts)
    attach(socket, connection)
    if (raw !== undefined) takeTrace(raw)?.opened(connection)
    const offer = raw === undefined ? undefined : offerOf(raw)
    if (offer !== undefined) {
      this.#moves.offered(connection, offer.id, offer.key)
      this.#handovers.offered(connection, pathOf(raw!), offer.record)
    }
    return connection
  }

  /** Returns the address and the owner of a handshake, as far as they are known. */
  whoIs (raw: RawRequest, socket: Duplex): { address: string | undefined, owner: string | undefined } {
    const upgrade = raw[kUpgrade]
    if (upgrade === undefined) return { address: (socket as { remoteAddress?: string }).remoteAddress ?? '', owner: undefined }
    const owner = this.#ownerOf(upgrade)
    return { address: addressOf(upgrade.request), owner: 'value' in owner && typeof owner.value === 'string' ? owner.value : undefined }
  }

  /** Returns whether the socket of a request will be closed as it opens, because its route is a plain HTTP route. */
  willClose (raw: RawRequest): boolean {
    const upgrade = raw[kUpgrade]
    return upgrade !== undefined && routeOf(upgrade.request, this.plainRoutes)?.websocket === false
  }

  /** Returns whether a request asks for a WebSocket on a route that was declared before the plugin was loaded. */
  isStray (request: FastifyRequest): boolean {
    return routeOf(request, this.plainRoutes) === undefined && !request.is404 && asksForWebSocket(request)
  }

  /** Answers such a request with 404: the handler of the route would be called as an HTTP handler. */
  refuseRoute (request: FastifyRequest, reply: FastifyReply): void {
    this.#refuse(request, reply, isProxied(reply)
      ? UNPROXIED
      : 'this route was declared before fastify-websocket-lifecycle was loaded and cannot open a WebSocket: await the registration first')
  }

  /** Returns whether a handshake has reached a route outside of the plugin's context, which @fastify/websocket does not know either. */
  isOutside (request: FastifyRequest): boolean {
    return !request.ws && isUpgrade(request.raw) && asksForWebSocket(request)
  }

  /** Answers such a request with 404: the handler of the route would be called as an HTTP handler, and the TCP connection stay open. */
  refuseOutside (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    // Node.js leaves the connection of an upgrade request open after the answer.
    reply.raw.once('finish', () => { request.raw.socket.destroySoon() })
    // Fastify answers.
    if (request.is404) return done()
    this.#refuse(request, reply, 'this route lies outside of the context in which fastify-websocket-lifecycle is registered and cannot open a WebSocket: register the plugin on the root instance, before the routes')
  }

  #refuse (request: FastifyRequest, reply: FastifyReply, message: string): void {
    const url = request.routeOptions.url ?? ''
    traceOf(request.raw)?.refused(NO_ROUTE)
    this.#tracker.refused({ reason: NO_ROUTE, path: url, ip: request.ip })
    this.#limiter.warn(message, { route: url })
    void reply.code(404).send({ statusCode: 404, error: 'Not Found', message: `not a websocket route: ${url}` })
  }

  unheard ({ route }: ManagedConnection): void {
    if (!this.#routes.has(route)) return
    this.#limiter.warnOnce('a message arrived without a listener: add the listener before the first await, use connection.messages(), or set holdMessages', route)
  }

  unheardError (connection: ManagedConnection, error: unknown): void {
    const { code, message } = (error ?? {}) as Error & { code?: unknown }
    // ws sends a close frame before it emits a protocol error, unless its inflater finds the error after the end of TCP. Any other
    // error was emitted by the application.
    const breach = typeof code === 'string' && /^(WS_ERR|Z)_/.test(code) && rawSocketOf(connection.socket).destroyed
    if (breach) connection.socketClosing('protocol', 1006, '')
    if (connection.state !== 'closing' && connection.state !== 'closed') return fault(connection, error)
    this.#limiter.warn('a peer broke the WebSocket protocol', { connection: connection.id, route: connection.route, code, reason: message })
  }

  /** Passes an error of a connection's code to the application's errorHandler, or logs it. */
  report (error: unknown, connection: Connection): unknown {
    const { errorHandler } = this.#options.websocket
    const upgrade = this.#upgrades.get(connection)
    if (errorHandler !== undefined && upgrade !== undefined) {
      return errorHandler.call(upgrade.request.server, error as Error, connection.socket, upgrade.request, upgrade.reply)
    }
    return note(connection as ManagedConnection, 'error', { err: error }, 'handler or listener of a socket failed')
  }

  /** The errorHandler for @fastify/websocket, which calls it with errors of handlers and 'error' events. It never throws. */
  get errorHandler (): ErrorHandler {
    const acceptor = this
    const { errorHandler } = this.#options.websocket
    return function (this: FastifyInstance, error, socket, request, reply) {
      const connection = connectionOf(socket)!
      if (errorHandler === undefined) return acceptor.unheardError(connection, error)
      attempt(() => handleError(connection, () => errorHandler.call(this, error, socket, request, reply)), (err) => { note(connection, 'error', { err }, 'errorHandler failed') })
    }
  }

  /** Calls the options `data` and `owner`, and announces the connection. */
  #identify (connection: ManagedConnection, upgrade: Upgrade): void {
    const { request } = upgrade
    const { data } = this.#options
    let failed: (() => void) | undefined
    try {
      if (data !== undefined) connection.data = atOnce('data()', data(request))
      const owner = this.#ownerOf(upgrade)
      if ('error' in owner) throw owner.error
      // Most have none: without it a connection needs no labels.
      if (owner.value !== undefined) connection.setOwner(owner.value)
    } catch (error) {
      failed = () => { this.#tracker.failed(connection, error) }
    }
    this.#tracker.opened(connection, failed !== undefined)
    failed?.()
  }

  /** Calls the option `owner`, once per handshake. */
  #ownerOf (upgrade: Upgrade): NonNullable<Upgrade['owner']> {
    if (upgrade.owner !== undefined) return upgrade.owner
    try {
      return (upgrade.owner = { value: atOnce('owner()', this.#options.owner?.(upgrade.request)) })
    } catch (error) {
      return (upgrade.owner = { error })
    }
  }

  #notAWebSocketRoute (connection: ManagedConnection, route: Route, reply: FastifyReply): void {
    this.#tracker.refused({ reason: NO_ROUTE, path: route.url, ip: connection.ip })
    this.#limiter.warnOnce(isProxied(reply) ? UNPROXIED : 'a plain HTTP route was asked for a WebSocket: not a websocket route', route.url)
    // Metrics that count opens and closes must see as many of both. `onOpen` is not called: no handler expects this connection.
    this.#tracker.events.emit('open', connection)
    connection.socketClosing('refused', 1005, NO_ROUTE)
  }
}

/** Pauses a socket until it has a listener for messages. */
function hold (connection: ManagedConnection): void {
  const { socket } = connection
  connection.incoming.pause('listener')
  const release = (): void => {
    socket.removeListener('newListener' as 'message', onNewListener)
    Reflect.deleteProperty(socket, 'removeAllListeners')
    connection.incoming.resume('listener')
  }
  const onNewListener = (event: unknown): void => { if (event === 'message') release() }
  socket.on('newListener' as 'message', onNewListener)
  const { removeAllListeners } = socket
  // It would remove our listener, too, and the socket would stay paused.
  socket.removeAllListeners = function (this: WebSocket, ...events: []) {
    removeAllListeners.apply(this, events)
    if (events.length === 0) this.on('newListener' as 'message', onNewListener)
    return this
  }
}
