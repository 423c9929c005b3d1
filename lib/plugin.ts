/**
 * The plugin: the one file with Fastify values. Decorates, hooks and wires; decides nothing itself.
 *
 * The order matters: our onRoute hook before @fastify/websocket (it must see the user's handler), the rest after it
 * (its onRequest hook must have run before anything can reject, or the raw socket leaks).
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { systemClock } from './core/clock.ts'
import type { Connection } from './core/connection.ts'
import type { DrainTrigger } from './core/drain-report.ts'
import { SOCKETS_ERR_ALREADY_REGISTERED, SOCKETS_ERR_OPTION_CONFLICT } from './core/errors.ts'
import { attempt } from './core/events.ts'
import { connectionOf } from './core/socket.ts'
import type { ManagedConnection } from './core/managed-connection.ts'
import { mirrorToChannels } from './observe/diagnostics.ts'
import { logEvents } from './observe/log.ts'
import { LogGate } from './observe/log-gate.ts'
import { warnAboutBudget, warnAboutHttp2, warnAboutListeners } from './observe/warnings.ts'
import { resolveOptions } from './options.ts'
import type { LifecycleOptions } from './options.ts'
import { addReadiness } from './process/readiness.ts'
import { arm, disarm } from './process/signals.ts'
import { factsOf, foreignFacts, pathOf, routeHook, routeOf, warnOnce } from './routes.ts'
import type { Route } from './routes.ts'
import { SocketTracker } from './tracker.ts'
import { takeServer } from './transport/accept.ts'
import type { Acceptance } from './transport/accept.ts'
import { Handshakes } from './transport/handshakes.ts'
import { Listener } from './transport/listener.ts'
import { attach, wsTransport } from './transport/ws-socket.ts'

/** The request and reply of an upgrade, kept on its IncomingMessage until the handler has run. */
const kUpgrade = Symbol('fastify-websocket-lifecycle.upgrade')

interface Upgrade { request: FastifyRequest, reply: FastifyReply }

type RawRequest = IncomingMessage & { [kUpgrade]?: Upgrade }

/** An instance as avvio extends it: an onClose that runs before preClose hooks when added in onReady. */
type AvvioInstance = FastifyInstance & { onClose (hook: () => Promise<void>): void }

async function lifecycle (app: FastifyInstance, given: LifecycleOptions): Promise<void> {
  if (app.hasDecorator('sockets')) throw new SOCKETS_ERR_ALREADY_REGISTERED()
  const options = resolveOptions(given)
  const { errorHandler, preClose } = options.websocket
  const adopted = app.hasDecorator('websocketServer')
  if (adopted) refuseIgnored(options.websocket)
  const upgradeServer = options.websocket.options?.server ?? app.server
  const clock = systemClock
  const gate = new LogGate(clock, app.log)
  /** What a user's errorHandler is called with; kept only where there is one. */
  const upgrades = new WeakMap<Connection, Upgrade>()

  const tracker = new SocketTracker(options, {
    clock,
    transport: wsTransport,
    log: app.log,
    adopt: (server) => {
      takeServer(server, acceptance)
      foreign = true
      handshakes.guard(server)
    },
    refuseHandshakes: () => { handshakes.refusePending() },
    report: (error, connection) => {
      const upgrade = upgrades.get(connection)
      if (errorHandler !== undefined && upgrade !== undefined) {
        return errorHandler.call(upgrade.request.server, error as Error, connection.socket, upgrade.request, upgrade.reply)
      }
      connection.log.error({ err: error }, 'handler or listener of a socket failed')
    }
  })

  const handshakes = new Handshakes({
    get accepting () { return tracker.accepting },
    arrived: (raw) => { listener.forget(raw as Socket) },
    retryAfter: Math.max(1, Math.ceil(options.drain.reconnect.minDelay / 1000)),
    refused: (request, raw) => {
      tracker.refused({ reason: 'draining', path: pathOf(request), ip: (raw as { remoteAddress?: string }).remoteAddress ?? '' })
    }
  })

  const acceptance: Acceptance = {
    closeTimeout: Math.max(30_000, options.plan.timeout + options.closeTimeout),
    unheard: ({ route }) => {
      warnOnce(routesByUrl.get(route), 'unheard', () => {
        app.log.warn({ route }, 'a message arrived that nobody listens for: add the listener before the first await, use connection.messages(), or set holdMessages')
      })
    },
    unheardError: onSocketError,
    accept: (socket, raw) => { accept(socket, raw as RawRequest | undefined) }
  }
  const routesByUrl = new Map<string, Route>()
  /** Whether a ws server of somebody else was adopted, who may close it in his own way. */
  let foreign = false

  app.decorate('sockets', tracker)
  mirrorToChannels(tracker)
  logEvents(tracker, app.log)

  app.addHook('onRoute', routeHook({ wrap: !adopted, delegateErrors: errorHandler !== undefined || !options.isolation }))
  if (!adopted) {
    await app.register(fastifyWebsocket, {
      ...options.websocket,
      // A wrong one is passed on: @fastify/websocket refuses it in its own words.
      ...(preClose === undefined || typeof preClose === 'function' ? { preClose: onPreClose } : {}),
      ...(options.isolation && (errorHandler === undefined || typeof errorHandler === 'function') ? { errorHandler: onWebsocketError } : {})
    })
  }
  takeServer(app.websocketServer, acceptance)
  handshakes.guard(app.websocketServer)
  handshakes.watch(upgradeServer as FastifyInstance['server'])
  const listener = new Listener(app.server, async () => {
    await beginClose()
    listener.closeIdle()
  })

  app.addHook('onRequest', (request, reply, done) => {
    if (request.ws) {
      (request.raw as RawRequest)[kUpgrade] = { request, reply }
      const route = routeOf(request)
      if (route === undefined && !request.is404 && !adopted) return refuseRoute(request, reply)
    }
    done()
  })
  app.addHook('onSend', (request, reply, _payload, done) => {
    if (tracker.state !== 'running' && request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    done()
  })
  // A hook that was added before us and answers has kept @fastify/websocket from knowing this handshake.
  app.addHook('onResponse', (request, _reply, done) => {
    handshakes.answered(request.raw.socket)
    done()
  })
  app.addHook('onReady', async () => {
    handshakes.goLast()
    warnAboutListeners(app.log, handshakes.foreign(upgradeServer as FastifyInstance['server']));
    // Where nobody closes our server, or @fastify/websocket was there first and would close its clients without a code,
    // the drain must come before the preClose hooks; elsewhere it runs beside them, as they expect.
    (app as AvvioInstance).onClose(async () => {
      if (!adopted && !foreign && app.server.listening) return
      const drained = beginClose()
      // Not with foreign servers: @fastify/http-proxy closes its clients, without a code, as soon as the listener is.
      if (app.server.listening && !foreign) void listener.close()
      await drained
    })
  })
  app.addHook('onClose', async () => {
    handshakes.close()
    app.websocketServer.close()
    gate.close()
    disarm(target)
  })

  const target = {
    clock,
    log: app.log,
    errors: options.signals !== false && options.signals.errors,
    budget: options.plan.timeout + options.plan.reserve,
    settle: (trigger: DrainTrigger) => new Promise<void>((resolve) => {
      tracker.on('progress', ({ phase }) => { if (phase !== 'settle') resolve() })
      void tracker.startDrain(trigger)
      if (tracker.state === 'drained') resolve()
    }),
    close: async () => { await app.close() },
    abort: () => { tracker.abortDrain() }
  }
  app.addHook('onListen', async () => {
    app.log.info(`drain: ${options.plan.arithmetic}`)
    if (options.signals !== false) arm(target)
  })
  if (options.readiness !== false) addReadiness(app, tracker, options.readiness)
  warnAboutBudget(app.log, options.plan)
  if ((app.initialConfig as { http2?: boolean }).http2) warnAboutHttp2(app.log)

  /** Starts the drain of a closing app, with the user's preClose in its *notify*. */
  let closing: Promise<unknown> | null = null
  function beginClose (): Promise<unknown> {
    if (closing !== null) return closing
    if (preClose !== undefined && !adopted) tracker.preClose(() => callPreClose(app, preClose))
    closing = tracker.startDrain('close')
    return closing
  }

  /** Only starts the drain: Fastify bounds preClose hooks by its pluginTimeout; the gates wait. */
  function onPreClose (done: () => void): void {
    void beginClose()
    done()
  }

  function accept (socket: WebSocket, raw: RawRequest | undefined): void {
    const upgrade = raw?.[kUpgrade]
    const request = upgrade?.request
    const route = request === undefined ? undefined : routeOf(request)
    const facts = upgrade === undefined ? foreignFacts(raw) : factsOf(upgrade.request, route)
    const connection = tracker.accept(socket, facts)
    attach(socket, connection)
    if (upgrade !== undefined) {
      // The request is let go with the handler's synchronous part, unless somebody needs it.
      raw![kUpgrade] = undefined!
      if (errorHandler !== undefined) upgrades.set(connection, upgrade)
    }
    if (route !== undefined) {
      routesByUrl.set(route.url, route)
      // A plain HTTP route that was upgraded: @fastify/websocket closes it without a code right after this.
      if (!route.websocket) return notAWebSocketRoute(connection, route)
      if (route.options.holdMessages) hold(connection)
    }
    let failed: (() => void) | undefined
    try {
      if (request !== undefined) identify(connection, request)
    } catch (error) {
      failed = () => { connection.fault(error) }
    }
    tracker.opened(connection)
    failed?.()
  }

  /** Asks the application who this is. */
  function identify (connection: ManagedConnection, request: FastifyRequest): void {
    if (options.data !== undefined) connection.data = options.data(request)
    if (options.owner !== undefined) connection.setOwner(options.owner(request))
  }

  function notAWebSocketRoute (connection: ManagedConnection, route: Route): void {
    tracker.refused({ reason: 'not a websocket route', path: route.url, ip: connection.ip })
    warnOnce(route, 'plain', () => { app.log.warn({ route: route.url }, 'a plain HTTP route was asked for a WebSocket: not a websocket route') })
    connection.socketClosing('refused', 1005, 'not a websocket route')
  }

  /** A route that was declared before the plugin was loaded: its handler would be called as an HTTP handler. */
  function refuseRoute (request: FastifyRequest, reply: FastifyReply): void {
    const url = request.routeOptions.url ?? ''
    tracker.refused({ reason: 'not a websocket route', path: url, ip: request.ip })
    gate.warn('this route was declared before fastify-websocket-lifecycle was loaded and cannot open a WebSocket: await the registration first', { route: url })
    void reply.code(404).send({ statusCode: 404, error: 'Not Found', message: `not a websocket route: ${url}` })
  }

  /** What @fastify/websocket calls with handlers' errors and 'error' events: the user's, which must harm nobody, or ours. */
  function onWebsocketError (this: FastifyInstance, ...[error, socket, request, reply]: Parameters<NonNullable<typeof errorHandler>>): void {
    if (errorHandler === undefined) return onSocketError(connectionOf(socket)!, error)
    attempt(() => errorHandler.call(this, error, socket, request, reply), (err) => { app.log.error({ err }, 'errorHandler failed') })
  }

  /** An 'error' event of a ws socket. */
  function onSocketError (connection: ManagedConnection, error: unknown): void {
    // ws answers a breach of the protocol with a close frame before it tells; anything else is our side's.
    if (connection.state !== 'closing' && connection.state !== 'closed') return connection.fault(error)
    const { code, message } = error as Error & { code?: string }
    gate.warn('a peer broke the WebSocket protocol', { connection: connection.id, route: connection.route, code, reason: message })
  }
}

/** Reads nothing from a socket until somebody listens for messages. */
function hold (connection: ManagedConnection): void {
  const { socket } = connection
  connection.holdMessages()
  socket.on('newListener' as 'message', function onNewListener (event: unknown) {
    if (event !== 'message') return
    socket.removeListener('newListener' as 'message', onNewListener)
    connection.releaseMessages()
  })
}

/** What @fastify/websocket would have to be told belongs to its own registration, which is over. */
function refuseIgnored (given: Readonly<WebsocketPluginOptions>): void {
  for (const key of ['options', 'errorHandler', 'preClose'] as const) {
    if (given[key] !== undefined) {
      throw new SOCKETS_ERR_OPTION_CONFLICT(`"${key}" has no effect: @fastify/websocket is registered already; give it to that registration, or leave the registration to this plugin`)
    }
  }
}

/** Calls a preClose hook of either kind; a promise where it takes time. */
function callPreClose (app: FastifyInstance, hook: NonNullable<LifecycleOptions['preClose']>): unknown {
  if (hook.length === 0) return Reflect.apply(hook, app, [])
  return new Promise<void>((resolve, reject) => {
    Reflect.apply(hook, app, [(error?: Error) => { if (error) reject(error); else resolve() }])
  })
}

/** The plugin. */
export const plugin = fp(lifecycle, {
  fastify: '5.x',
  name: 'fastify-websocket-lifecycle'
})
