/**
 * The plugin: the only file with Fastify values. It decorates the instance, adds hooks, and connects the parts; the parts decide.
 *
 * The order matters. The onRoute hook comes before @fastify/websocket, because it must see the application's handler. The other
 * hooks come after it, because its onRequest hook must run before a request can be refused; otherwise the raw socket leaks.
 */
import type { Socket } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Tracker } from './track/tracker.ts'
import { CloseGates } from './drain/close-gates.ts'
import type { DrainTrigger } from './track/drain-report.ts'
import { busyTime } from './base/clock.ts'
import { LineBudget } from './base/line-budget.ts'
import { SOCKETS_ERR_ALREADY_REGISTERED, SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_OPTION_CONFLICT } from './base/errors.ts'
import { atOnce, attempt, guardLog } from './base/guard.ts'
import { show } from './base/check.ts'
import type { FleetEngine, FleetProvider } from './fleet/engine.ts'
import { secondaryServers } from './base/internals.ts'
import { AdmissionChecks } from './handshake/admission-checks.ts'
import { Acceptor } from './handshake/acceptor.ts'
import { fleetChannels, mirrorToChannels } from './show/diagnostics.ts'
import { logEvents, logPressure } from './show/log.ts'
import { LogLimiter } from './base/log-limiter.ts'
import { logOriginsAdmitted, warnAboutBudget, warnAboutClosedServers, warnAboutHttp2, warnAboutListeners } from './show/warnings.ts'
import type { LifecycleOptions, RouteSocketOptions } from './options/options.ts'
import { addReadiness } from './drain/readiness.ts'
import { arm, disarm, warnAboutOtherListeners } from './drain/signals.ts'
import { resolveOptions } from './options/resolve.ts'
import { routeHook } from './handshake/routes.ts'
import { trackServer } from './ws/accept.ts'
import { errorListenerReplacer } from './ws/released-memory.ts'
import { Handshakes } from './handshake/handshakes.ts'
import { sharedStore } from './move/handover-store.ts'
import { OwnRoutes } from './http/own-handshakes.ts'
import { ApplicationTurn } from './http/application-turn.ts'
import { wire } from './wiring.ts'
import { wsTransport } from './ws/transport.ts'

/** Versions of Fastify that the tests run under. */
const FASTIFY = '5.x || 6.x'

/** @fastify/websocket 11 with another range of versions: it declares Fastify 5 alone, but works under 6. */
const websocket = fp((app: FastifyInstance, options: WebsocketPluginOptions, done: () => void) => { fastifyWebsocket(app, options, done) }, { fastify: FASTIFY, name: '@fastify/websocket' })

/** An instance that may have @fastify/under-pressure. */
type PressedInstance = FastifyInstance & { isUnderPressure?: () => boolean }

async function lifecycle (app: FastifyInstance, given: LifecycleOptions): Promise<void> {
  const options = resolveOptions(given)
  const { errorHandler, preClose } = options.websocket
  const adopted = app.hasDecorator('websocketServer')
  if (adopted) refuseIgnored(options.websocket)
  const upgradeServer = (options.websocket.options?.server ?? app.server) as FastifyInstance['server']
  const root = rootOf(app)
  // Also if a sibling context has the plugin: both would listen to the same server.
  if (app.hasDecorator('sockets') || ApplicationTurn.isTaken(upgradeServer, root)) throw new SOCKETS_ERR_ALREADY_REGISTERED()
  const { clock } = options
  const log = guardLog(app.log)
  const lines = new LineBudget()
  const limiter = new LogLimiter(clock, log, lines)

  const engine = engineOf(app, options.fleet)

  const wiring = wire(options, {
    clock,
    transport: wsTransport,
    log,
    lines,
    limiter,
    engine,
    fleetChannels: fleetChannels(() => tracker),
    adopt: (server) => {
      if (!trackServer(server, acceptor, handshakes)) return
      serve()
      closeGates.serverAdopted()
      if (server.options.server === upgradeServer) adoptedHere++
      if (!listens) server.once('close', () => { closedEarly++ })
    },
    refuseHandshakes: () => { handshakes.refusePending() },
    report: (error, connection) => acceptor.report(error, connection),
    busy: busyTime,
    isUnderPressure: () => attempt(() => (app as PressedInstance).isUnderPressure!(), (err) => { limiter.warn('isUnderPressure failed', { err }, 'error') }) === true,
    store: engine?.handovers ?? sharedStore(),
    storeFailed: () => { limiter.warn('the store of handed-over states has failed; its error is not logged, because it may contain one', {}, 'error') },
    pressureChanged: (under, evicted) => { logPressure(log, under, evicted) }
  })

  const { tracker, fleet } = wiring

  const acceptor = new Acceptor(wiring, options, limiter)
  const admissionChecks = new AdmissionChecks(wiring, acceptor, options, log, limiter, (raw) => { closeGates.upgraded(raw as Socket) })
  const handshakes = new Handshakes(admissionChecks)
  const closeGates = new CloseGates(app, tracker, clock, options.plan.reserve, adopted ? null : preClose ?? null, () => servesWebSockets)
  /** Adopted ws servers that listen to 'upgrade' on our server themselves. */
  let adoptedHere = 0
  let listens = false
  /** Whether there is a WebSocket route, or an adopted ws server. */
  let servesWebSockets = false
  let ready = false
  /** Adopted ws servers that were closed before the app listened. */
  let closedEarly = 0

  app.decorate('sockets', tracker)
  mirrorToChannels(tracker)
  logEvents(tracker, log, limiter, lines)
  tracker.on('drain', () => { closeGates.drainBegun() })

  app.addHook('onRoute', routeHook({ wrap: !adopted, plain: acceptor.plainRoutes, takeErrors: errorHandler !== undefined || !options.isolation ? null : errorListenerReplacer(acceptor), settings: options.settings, statistics: wiring.statistics, warn: (route, message) => { log.warn({ route }, message) } }))
  const ownRoutes = new OwnRoutes()
  app.addHook('onRoute', (route) => {
    ownRoutes.add(route)
    if (route.websocket || route.wsHandler) serve()
  })
  const listeners = adopted ? [] : upgradeServer.listeners('upgrade')
  if (!adopted) {
    await app.register(websocket, {
      ...options.websocket,
      // A wrong type is passed on: @fastify/websocket throws its own error.
      ...(preClose === undefined || typeof preClose === 'function' ? { preClose: (done: () => void) => { void closeGates.begin(); done() } } : {}),
      ...(options.isolation && (errorHandler === undefined || typeof errorHandler === 'function') ? { errorHandler: acceptor.errorHandler } : {})
    })
  }
  trackServer(app.websocketServer, acceptor, handshakes)
  handshakes.watch(upgradeServer, listeners)
  const turn = new ApplicationTurn(upgradeServer, root, handshakes, ownRoutes)
  if (adopted) closeGates.websocketAdopted()

  app.addHook('onRequest', (request, reply, done) => {
    if (request.ws) {
      acceptor.remember(request, reply)
      const { websocketServer } = request.server
      // An earlier @fastify/websocket in a child context (mercurius registers one) is first seen here.
      if (websocketServer !== app.websocketServer) tracker.adopt(websocketServer)
      // A request for another protocol than WebSocket (`Upgrade: h2c`) is answered over HTTP.
      else if (!adopted && acceptor.isStray(request)) return acceptor.refuseRoute(request, reply)
      if (admissionChecks.requested(request, reply)) return
    }
    done()
  })
  // Routes outside of this context are on the same HTTP server, and the hooks above do not run for them.
  if (root !== app) {
    root.addHook('onRequest', (request, reply, done) => {
      if (acceptor.isOutside(request)) acceptor.refuseOutside(request, reply, done)
      else done()
    })
  }
  if (options.limits.pressure) {
    app.addHook('onReady', async () => {
      if (typeof (app as PressedInstance).isUnderPressure === 'function') return
      throw new SOCKETS_ERR_OPTION_CONFLICT('limits.pressure needs @fastify/under-pressure: register it on the same instance')
    })
  }
  if (engine !== null) app.addHook('onReady', () => fleet.fleet.start())
  const getReady = () => {
    if (ready) return
    ready = true
    turn.take()
    checkListeners()
    closeGates.ready()
  }
  const checkListeners = () => {
    // The listener that ws adds for an adopted server is expected.
    let known = adoptedHere
    warnAboutListeners(log, handshakes.foreign(upgradeServer).filter((name) => name !== 'upgrade' || known-- <= 0))
  }
  /** There is a WebSocket route, an adopted ws server, or an older listener of 'upgrade'. An application without these gets no onReady
   *  hook: Fastify names the last one in the error for a hook that never ends. */
  function serve (): void {
    if (servesWebSockets) return
    servesWebSockets = true
    try {
      app.addHook('onReady', async () => { getReady() })
    } catch {
      // Adopted when no hook can be added any more.
      getReady()
    }
  }
  if (adopted || listeners.length > 0) serve()
  app.addHook('onClose', async () => {
    ready = true
    turn.leave()
    closeGates.closed()
    // An adopted one is closed by the preClose hook of its own registration.
    if (!adopted) app.websocketServer.close()
    await fleet.close()
    limiter.close()
    tracker.close()
    app.server.removeListener('listening', onListening)
    disarm(target)
  })

  const target = {
    log,
    only: options.signals !== false && options.signals.only,
    errors: options.signals !== false && options.signals.errors,
    timeout: options.plan.timeout,
    reserve: options.plan.reserve,
    settle: (trigger: DrainTrigger) => new Promise<void>((resolve) => {
      tracker.on('progress', function onProgress ({ phase }) {
        if (phase === 'settle') return
        tracker.off('progress', onProgress)
        resolve()
      })
      closeGates.givePreClose()
      void tracker.startDrain(trigger)
      if (tracker.state === 'drained') resolve()
    }),
    close: async () => { await app.close() },
    abort: () => { tracker.abortDrain() }
  }
  const onListening = () => { arm(target) }
  app.addHook('onListen', async () => {
    const secondary = secondaryServers(root)
    closeGates.listens(secondary)
    handshakes.watchSecondary(secondary)
    listens = true
    // engine.io closes its server in a listener of 'listening', and ws emits 'close' a turn later.
    clock.setImmediate(() => { if (closedEarly > 0) warnAboutClosedServers(log) })
    // An application that only might have WebSockets logs what it logs without the plugin.
    if (servesWebSockets) {
      // Adopted in an onReady hook.
      getReady()
      const { arithmetic, clients } = tracker.plan()
      log.info(`drain: ${[arithmetic, ...clients.map(({ what }) => what)].join('; ')}`)
      if (options.allowedOrigins === 'report') logOriginsAdmitted(log)
    } else checkListeners()
    if (options.signals !== false) warnAboutOtherListeners(log)
  })
  if (options.readiness !== false) addReadiness(app, tracker, options.readiness)
  // Nothing after this fails: if the registration fails before, another attempt may use the server.
  closeGates.registered()
  // Clients connect from then on; hooks of onListen are called later, one after another.
  if (options.signals !== false) app.server.once('listening', onListening)
  warnAboutBudget(log, options.plan)
  if ((app.initialConfig as { http2?: boolean }).http2) warnAboutHttp2(log)
}

/** Makes the engine of the fleet; null without the option `fleet`. */
function engineOf (app: FastifyInstance, provider: FleetProvider | undefined): FleetEngine | null {
  if (provider === undefined) return null
  const engine: unknown = atOnce('fleet', provider(app))
  const { beat, listen } = (engine ?? {}) as Partial<FleetEngine>
  if (typeof beat !== 'function' || typeof listen !== 'function') throw new SOCKETS_ERR_INVALID_ARGUMENT('the result of fleet', 'an engine, as redisFleet() makes one', show(engine))
  return engine as FleetEngine
}

/** Throws for options of @fastify/websocket that have no effect, because it is registered already. */
function refuseIgnored (given: Readonly<WebsocketPluginOptions>): void {
  for (const key of ['options', 'errorHandler', 'preClose'] as const) {
    if (given[key] !== undefined) {
      throw new SOCKETS_ERR_OPTION_CONFLICT(`"${key}" has no effect: @fastify/websocket is registered already; give it to that registration, or leave the registration to this plugin`)
    }
  }
}

/** Returns the root instance. */
function rootOf (app: FastifyInstance): FastifyInstance {
  const parent = Object.getPrototypeOf(app) as FastifyInstance | null
  return typeof parent?.addHook === 'function' ? rootOf(parent) : app
}

/** The plugin. */
export const plugin = fp(lifecycle, {
  fastify: FASTIFY,
  name: 'fastify-websocket-lifecycle'
})

declare module 'fastify' {
  interface FastifyInstance {
    /** The tracker of every WebSocket of this server. */
    sockets: Tracker
  }
  interface FastifyContextConfig {
    /** Options of this plugin for the WebSockets of one route. */
    sockets?: RouteSocketOptions
  }
}
