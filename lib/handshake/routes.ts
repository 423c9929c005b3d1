/**
 * Routes: their options, stored where the connections of a route find them, and the wrapper around their handlers.
 *
 * The wrapper, and not @fastify/websocket, gets the promise and the errors of the handler, which is called as before.
 */
import type { FastifyRequest, RouteOptions } from 'fastify'
import type { WebSocket } from 'ws'
import type { IncomingMessage } from 'node:http'
import { pathAsRoute } from '../connection/facts.ts'
import type { ConnectionFacts } from '../connection/facts.ts'
import { handlerFailed, isExpected, noteFault } from '../connection/faults.ts'
import { SOCKETS_ERR_OPTION_CONFLICT } from '../base/errors.ts'
import { attempt, isThenable, nameOf, toPromise } from '../base/guard.ts'
import { nearMatch } from '../base/near-match.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { connectionOf } from '../connection/of-socket.ts'
import type { RouteSettings, Settings } from '../connection/settings.ts'
import { ROUTE_KEYS } from '../options/keys.ts'
import { resolveRouteOptions } from '../options/resolve.ts'
import type { ResolvedRouteOptions } from '../options/resolve.ts'
import type { Statistics } from '../track/statistics.ts'
import { releaseResponse, takeAddress } from '../ws/released-memory.ts'

const kRoute = Symbol('fastify-websocket-lifecycle.route')

/** A route, shared by its connections. */
export interface Route {
  readonly url: string
  /** Whether it has a WebSocket handler. */
  readonly websocket: boolean
  readonly options: ResolvedRouteOptions
  readonly settings: RouteSettings
}

/** A WebSocket handler, as @fastify/websocket calls it. */
type Handler = (this: unknown, socket: WebSocket, request: FastifyRequest) => unknown

/**
 * Plain HTTP routes by method and URL, whose config is left as it is. WebSocket routes are stored in their config, so that routes
 * of one URL with different constraints have their own.
 */
export type PlainRoutes = Map<string, Route>

/** Returns the route of a request; undefined if the plugin did not see its declaration. */
export function routeOf ({ method, routeOptions: { config, url } }: FastifyRequest, plain: PlainRoutes): Route | undefined {
  return (config as { [kRoute]?: Route })[kRoute] ?? plain.get(`${method} ${url}`)
}

/**
 * Returns an onRoute hook. To wrap handlers it must be added before that of @fastify/websocket, which replaces them.
 *
 * `takeErrors` directs the 'error' events of a socket to this plugin. With null, errors of the handler are left to
 * @fastify/websocket, which calls the application's errorHandler with request and reply.
 */
export function routeHook (how: { wrap: boolean, plain: PlainRoutes, takeErrors: ((socket: WebSocket) => void) | null, settings: Settings, statistics: Statistics, warn: (route: string, message: string) => void }): (options: RouteOptions) => void {
  return (options) => {
    const given = options as RouteOptions & { websocket?: boolean, wsHandler?: unknown }
    const websocket = Boolean(given.websocket || given.wsHandler)
    const config = options.config as { sockets?: object } | undefined
    const resolved = resolveRouteOptions(options.url, config?.sockets, how.settings)
    const settings = websocket ? how.statistics.ofRoute(options.url, resolved.settings) : how.statistics.unrouted
    const route: Route = { url: options.url, websocket, options: resolved, settings }
    // Fastify adds a HEAD route to each GET route, with the same options.
    if (options.method !== 'HEAD') for (const mistake of misplaced(given, websocket)) how.warn(options.url, mistake)
    if (websocket) options.config = { ...config, [kRoute]: route } as never
    else for (const method of [options.method].flat()) how.plain.set(`${method} ${route.url}`, route)
    if (websocket && !how.wrap && route.options.waitForHandler) {
      throw new SOCKETS_ERR_OPTION_CONFLICT(`config.sockets of route ${route.url}: waitForHandler has no effect where @fastify/websocket was registered before this plugin`)
    }
    if (!websocket || !how.wrap) return
    const key = given.websocket ? 'handler' : 'wsHandler'
    const handler: unknown = given[key]
    // @fastify/websocket throws for any other value.
    if (typeof handler === 'function') given[key] = wrap(handler as Handler, route, how.takeErrors) as never
  }
}

/** Returns a sentence for each option that has no effect at its place, with what to do. */
function misplaced (options: object & { config?: object }, websocket: boolean): string[] {
  const { config = {} } = options
  if (!websocket) return 'sockets' in config ? ['config.sockets has no effect, this is no WebSocket route: add websocket: true, or remove it'] : []
  const misspelt = 'sockets' in config ? [] : Object.keys(config).filter((key) => nearMatch(key, ['sockets']) !== undefined)
  const outside = ['sockets', ...ROUTE_KEYS].filter((key) => key in options)
  return [
    ...misspelt.map((key) => `config.${key} has no effect: did you mean config.sockets?`),
    ...outside.map((key) => `${key} has no effect here: it belongs in config: ${key === 'sockets' ? '{ sockets: … }' : `{ sockets: { ${key}: … } }`}`)
  ]
}

/** Returns the facts of a connection whose request reached Fastify. */
export function factsOf (request: FastifyRequest, route: Route | undefined): ConnectionFacts {
  return {
    route: route?.url ?? request.routeOptions.url ?? pathAsRoute(pathOf(request.raw)),
    ip: takeAddress(request) ?? '',
    // `genReqId` may return a value that cannot be converted to a string.
    requestId: attempt(() => String(request.id), () => {}) ?? '',
    settings: route?.settings,
    request: route?.options.keepRequest ? request : undefined
  }
}

/** Returns the facts of a connection that no Fastify route has opened. */
export function foreignFacts (raw: IncomingMessage | undefined): ConnectionFacts {
  return { route: raw === undefined ? '' : pathAsRoute(pathOf(raw)), ip: raw?.socket?.remoteAddress ?? '', requestId: '' }
}

/** Returns the path of a request without its query string, which may contain a token. */
export function pathOf ({ url = '' }: { url?: string | undefined }): string {
  return url.split('?', 1)[0]!
}

function wrap (handler: Handler, { options }: Route, takeErrors: ((socket: WebSocket) => void) | null): Handler {
  return function (socket, request) {
    const connection = connectionOf(socket)
    // Closed by `onOpen`, or because `owner` or `data` failed.
    if (connection?.state === 'closing' || connection?.state === 'closed') return undefined
    if (connection === undefined) return handler.call(this, socket, request)
    takeErrors?.(socket)
    const { tracing } = connection.host
    return tracing === null ? call(this, connection, socket, request) : tracing.callHandler(connection, () => call(this, connection, socket, request))
  }

  function call (self: unknown, connection: ManagedConnection, socket: WebSocket, request: FastifyRequest): unknown {
    try {
      const result = handler.call(self, socket, request)
      if (!isThenable(result)) return undefined
      const promise = toPromise(result)
      if (options.waitForHandler) connection.work.holdNamed(nameOf(handler), promise)
      if (takeErrors === null) return unlessExpected(promise, connection)
      promise.then(undefined, (error: unknown) => { handlerFailed(connection, error) })
      return undefined
    } catch (error) {
      if (takeErrors === null) {
        noteFault(connection, error)
        throw error
      }
      handlerFailed(connection, error)
      return undefined
    } finally {
      if (takeErrors !== null) releaseResponse(request.raw)
    }
  }
}

/** Notes the failure of a handler and passes it on. A handler that rejects because its connection was aborted has not failed. */
async function unlessExpected (result: PromiseLike<unknown>, connection: ManagedConnection): Promise<void> {
  try {
    await result
  } catch (error) {
    if (isExpected(connection, error)) return
    noteFault(connection, error)
    throw error
  }
}
