/**
 * From an accepted socket to a connection: which route and request it came by, who it is, and who hears of its errors.
 *
 * The request is kept on its IncomingMessage from our onRequest hook until the handler is about to run; from then on we
 * hold it only where somebody asks for it (@fastify/websocket holds it for as long as the socket lives).
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Connection } from './core/connection.ts'
import { atOnce, attempt } from './core/events.ts'
import type { ManagedConnection } from './core/managed-connection.ts'
import { connectionOf } from './core/socket.ts'
import type { LogGate } from './observe/log-gate.ts'
import type { LifecycleOptions } from './options.ts'
import type { ResolvedOptions } from './resolve-options.ts'
import { factsOf, foreignFacts, routeOf, warnOnce } from './routes.ts'
import type { Route } from './routes.ts'
import type { SocketTracker } from './tracker.ts'
import type { Acceptance } from './transport/accept.ts'
import { attach } from './transport/ws-socket.ts'

/** Least time ws itself is to wait for an answer, milliseconds; ours is shorter, and knows when the frame has left. */
const WS_CLOSE_TIMEOUT = 30_000

/** What is said of whatever a connection's code threw. */
const FAILED = 'handler or listener of a socket failed'

const kUpgrade = Symbol('fastify-websocket-lifecycle.upgrade')

interface Upgrade { request: FastifyRequest, reply: FastifyReply }

type RawRequest = IncomingMessage & { [kUpgrade]?: Upgrade | undefined }

type ErrorHandler = NonNullable<LifecycleOptions['errorHandler']>

export class Intake implements Acceptance {
  readonly closeTimeout: number
  readonly #tracker: SocketTracker
  readonly #options: ResolvedOptions
  readonly #log: FastifyBaseLogger
  readonly #gate: LogGate
  /** What a user's errorHandler is called with; filled only where there is one. */
  readonly #upgrades = new WeakMap<Connection, Upgrade>()
  /** Routes that had a connection, by their pattern. */
  readonly #routes = new Map<string, Route>()

  constructor (tracker: SocketTracker, options: ResolvedOptions, log: FastifyBaseLogger, gate: LogGate) {
    this.closeTimeout = Math.max(WS_CLOSE_TIMEOUT, options.plan.timeout + options.closeTimeout)
    this.#tracker = tracker
    this.#options = options
    this.#log = log
    this.#gate = gate
  }

  /** An upgrade request has reached Fastify. */
  remember (request: FastifyRequest, reply: FastifyReply): void {
    (request.raw as RawRequest)[kUpgrade] = { request, reply }
  }

  accept (socket: WebSocket, raw: RawRequest | undefined): void {
    const upgrade = raw?.[kUpgrade]
    if (upgrade === undefined) {
      const connection = this.#tracker.accept(socket, foreignFacts(raw))
      attach(socket, connection)
      return this.#tracker.opened(connection)
    }
    raw![kUpgrade] = undefined
    const route = routeOf(upgrade.request)
    const connection = this.#tracker.accept(socket, factsOf(upgrade.request, route))
    attach(socket, connection)
    if (this.#options.websocket.errorHandler !== undefined) this.#upgrades.set(connection, upgrade)
    if (route !== undefined) this.#routes.set(route.url, route)
    // A plain HTTP route that was upgraded: @fastify/websocket closes it without a code right after this.
    if (route?.websocket === false) return this.#notAWebSocketRoute(connection, route)
    if (route?.options.holdMessages) hold(connection)
    this.#identify(connection, upgrade.request)
  }

  /** Whether a WebSocket is asked of a route that was declared before the plugin was loaded. */
  isStray (request: FastifyRequest): boolean {
    return routeOf(request) === undefined && !request.is404 && request.headers.upgrade?.toLowerCase() === 'websocket'
  }

  /** A route that was declared before the plugin was loaded: its handler would be called as an HTTP handler. */
  refuseRoute (request: FastifyRequest, reply: FastifyReply): void {
    const url = request.routeOptions.url ?? ''
    this.#tracker.refused({ reason: 'not a websocket route', path: url, ip: request.ip })
    this.#gate.warn('this route was declared before fastify-websocket-lifecycle was loaded and cannot open a WebSocket: await the registration first', { route: url })
    void reply.code(404).send({ statusCode: 404, error: 'Not Found', message: `not a websocket route: ${url}` })
  }

  unheard ({ route }: ManagedConnection): void {
    warnOnce(this.#routes.get(route), 'unheard', () => {
      this.#log.warn({ route }, 'a message arrived that nobody listens for: add the listener before the first await, use connection.messages(), or set holdMessages')
    })
  }

  unheardError (connection: ManagedConnection, error: unknown): void {
    // ws answers a breach of the protocol with a close frame before it tells; anything else is our side's.
    if (connection.state !== 'closing' && connection.state !== 'closed') return connection.fault(error)
    const { code, message } = error as Error & { code?: string }
    this.#gate.warn('a peer broke the WebSocket protocol', { connection: connection.id, route: connection.route, code, reason: message })
  }

  /** What a connection's code threw: to the user's errorHandler, or to the log. */
  report (error: unknown, connection: Connection): unknown {
    const { errorHandler } = this.#options.websocket
    const upgrade = this.#upgrades.get(connection)
    if (errorHandler !== undefined && upgrade !== undefined) {
      return errorHandler.call(upgrade.request.server, error as Error, connection.socket, upgrade.request, upgrade.reply)
    }
    // A serializer may trip over what was thrown: that it was is told all the same.
    return attempt(() => { connection.log.error({ err: error }, FAILED) }, () => { connection.log.error(FAILED) })
  }

  /** What @fastify/websocket calls with handlers' errors and 'error' events: the user's, which must harm nobody, or ours. */
  get errorHandler (): ErrorHandler {
    const intake = this
    const { errorHandler } = this.#options.websocket
    return function (this: FastifyInstance, error, socket, request, reply) {
      const connection = connectionOf(socket)!
      if (errorHandler === undefined) return intake.unheardError(connection, error)
      attempt(() => connection.blame(() => errorHandler.call(this, error, socket, request, reply)), (err) => { intake.#log.error({ err }, 'errorHandler failed') })
    }
  }

  /** Asks the application who this is, and tells everyone. */
  #identify (connection: ManagedConnection, request: FastifyRequest): void {
    const { data, owner } = this.#options
    let failed: (() => void) | undefined
    try {
      if (data !== undefined) connection.data = atOnce('data()', data(request))
      if (owner !== undefined) connection.setOwner(atOnce('owner()', owner(request)))
    } catch (error) {
      failed = () => { connection.fault(error) }
    }
    this.#tracker.opened(connection)
    failed?.()
  }

  #notAWebSocketRoute (connection: ManagedConnection, route: Route): void {
    this.#tracker.refused({ reason: 'not a websocket route', path: route.url, ip: connection.ip })
    warnOnce(route, 'plain', () => {
      this.#log.warn({ route: route.url }, 'a plain HTTP route was asked for a WebSocket: not a websocket route')
    })
    // Whoever counts opens and closes must see as many of both; no `onOpen`, for nobody asked for this one.
    this.#tracker.events.emit('open', connection)
    connection.socketClosing('refused', 1005, 'not a websocket route')
  }
}

/** Reads nothing from a socket until somebody listens for messages. */
function hold (connection: ManagedConnection): void {
  const { socket } = connection
  connection.holdMessages()
  const release = (): void => {
    socket.removeListener('newListener' as 'message', onNewListener)
    Reflect.deleteProperty(socket, 'removeAllListeners')
    connection.releaseMessages()
  }
  const onNewListener = (event: unknown): void => { if (event === 'message') release() }
  socket.on('newListener' as 'message', onNewListener)
  const { removeAllListeners } = socket
  // Or it would take ours along, and nothing would ever be read.
  socket.removeAllListeners = function (this: WebSocket, ...events: []) {
    removeAllListeners.apply(this, events)
    if (events.length === 0) this.on('newListener' as 'message', onNewListener)
    return this
  }
}
