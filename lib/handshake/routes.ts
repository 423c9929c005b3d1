/**
 * Routes: the options of each, kept where its connections find them, and the wrapper around its handler.
 *
 * The wrapper takes the handler's promise instead of @fastify/websocket and reports what it throws; the handler itself is
 * called as before.
 */
import type { FastifyRequest, RouteOptions } from 'fastify'
import type { WebSocket } from 'ws'
import type { IncomingMessage } from 'node:http'
import type { ConnectionFacts } from '../connection/facts.ts'
import { handlerFailed, isExpected, noteFault } from '../connection/faults.ts'
import { SOCKETS_ERR_OPTION_CONFLICT } from '../base/errors.ts'
import { attempt, isThenable, nameOf } from '../base/guard.ts'
import { nearMatch } from '../base/near-match.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { connectionOf } from '../connection/of-socket.ts'
import type { Settings } from '../connection/settings.ts'
import { ROUTE_KEYS } from '../options/keys.ts'
import { resolveRouteOptions } from '../options/resolve.ts'
import type { ResolvedRouteOptions } from '../options/resolve.ts'
import { releaseResponse, takeAddress } from '../ws/released-memory.ts'

const kRoute = Symbol('fastify-websocket-lifecycle.route')

/** What is known of a route; shared by its connections. */
export interface Route {
  readonly url: string
  /** Whether it has a WebSocket handler. */
  readonly websocket: boolean
  readonly options: ResolvedRouteOptions
  /** Kinds of warning given for it. */
  readonly warned: Set<string>
}

/** A WebSocket handler, as @fastify/websocket calls it. */
type Handler = (this: unknown, socket: WebSocket, request: FastifyRequest) => unknown

/**
 * Plain HTTP routes by method and URL. Their config stays as the application has written it; WebSocket routes are kept in
 * theirs, which tells routes of the same URL apart that have different constraints.
 */
export type PlainRoutes = Map<string, Route>

/** The route of a request, if it was declared where the plugin could see it. */
export function routeOf ({ method, routeOptions: { config, url } }: FastifyRequest, plain: PlainRoutes): Route | undefined {
  return (config as { [kRoute]?: Route })[kRoute] ?? plain.get(`${method} ${url}`)
}

/**
 * An onRoute hook; to wrap handlers it must be added before @fastify/websocket's, which replaces them.
 *
 * `takeErrors` makes 'error' events of a socket ours; null: what its code throws is left to @fastify/websocket, and so to the
 * user's own errorHandler, which needs request and reply.
 */
export function routeHook (how: { wrap: boolean, plain: PlainRoutes, takeErrors: ((socket: WebSocket) => void) | null, settings: Settings, warn: (route: string, message: string) => void }): (options: RouteOptions) => void {
  return (options) => {
    const given = options as RouteOptions & { websocket?: boolean, wsHandler?: unknown }
    const websocket = Boolean(given.websocket || given.wsHandler)
    const config = options.config as { sockets?: object } | undefined
    const route: Route = {
      url: options.url,
      websocket,
      options: resolveRouteOptions(options.url, config?.sockets, how.settings),
      warned: new Set()
    }
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
    // A wrong one is refused by @fastify/websocket, in its own words.
    if (typeof handler === 'function') given[key] = wrap(handler as Handler, route, how.takeErrors) as never
  }
}

/** Options that have no effect where they stand, each with what to do. */
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

/** What a route and its request tell of a connection. */
export function factsOf (request: FastifyRequest, route: Route | undefined): ConnectionFacts {
  return {
    route: route?.url ?? request.routeOptions.url ?? pathOf(request.raw),
    ip: takeAddress(request) ?? '',
    // `genReqId` may make anything.
    requestId: attempt(() => String(request.id), () => {}) ?? '',
    settings: route?.options.settings,
    request: route?.options.keepRequest ? request : undefined
  }
}

/** What is known of a socket that no Fastify route has opened. */
export function foreignFacts (raw: IncomingMessage | undefined): ConnectionFacts {
  return { route: raw === undefined ? '' : pathOf(raw), ip: raw?.socket?.remoteAddress ?? '', requestId: '' }
}

/** Path of a request; never the query string: it may hold a token. */
export function pathOf ({ url = '' }: { url?: string | undefined }): string {
  return url.split('?', 1)[0]!
}

/** Gives a warning of one kind once a route. */
export function warnOnce (route: Route | undefined, kind: string, warn: () => void): void {
  if (route === undefined || route.warned.has(kind)) return
  route.warned.add(kind)
  warn()
}

function wrap (handler: Handler, { options }: Route, takeErrors: ((socket: WebSocket) => void) | null): Handler {
  return function (socket, request) {
    const connection = connectionOf(socket)
    // Closed by `onOpen`, `owner` or `data`: there is nothing left to handle.
    if (connection?.state === 'closing' || connection?.state === 'closed') return undefined
    if (connection === undefined) return handler.call(this, socket, request)
    takeErrors?.(socket)
    try {
      const result = handler.call(this, socket, request)
      if (!isThenable(result)) return undefined
      if (options.waitForHandler) connection.work.holdNamed(nameOf(handler), result)
      if (takeErrors === null) return unlessExpected(result, connection)
      result.then(undefined, (error: unknown) => { handlerFailed(connection, error) })
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

/** A handler that ends with the abort it was told to end with has not failed. */
async function unlessExpected (result: PromiseLike<unknown>, connection: ManagedConnection): Promise<void> {
  try {
    await result
  } catch (error) {
    if (isExpected(connection, error)) return
    noteFault(connection, error)
    throw error
  }
}
