/**
 * Handshakes for the WebSocket routes of the application: which they are, and how other 'upgrade' listeners are kept from them.
 *
 * Node calls every listener of an event, and some answer what is not theirs: a `ws` server with `server` and `path` answers
 * all other paths with 400, engine.io and NestJS end their sockets. The server's `emit` is therefore replaced. Paths are
 * matched by the router of Fastify, with its options: a path that matched by mistake would be lost to another server.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, RouteOptions } from 'fastify'
import FindMyWay from 'find-my-way'
import { attempt } from '../base/guard.ts'
import { asksForWebSocket } from './upgrade-request.ts'

/** A route as `onRoute` hooks get it. */
type Declared = RouteOptions & { prefix: string, websocket?: boolean, wsHandler?: unknown }

interface Route extends Pick<Declared, 'url' | 'prefix' | 'constraints'> { websocket: boolean }

/** Returns true where it has taken an upgrade request. */
export type TakeUpgrade = (request: IncomingMessage, raw: Duplex, head: Buffer) => boolean

/** The WebSocket routes of an application, and its other GET routes, which may take precedence over them. */
export class OwnRoutes {
  readonly #app: Pick<FastifyInstance, 'initialConfig' | 'hasRoute'>
  readonly #routes: Route[] = []
  #router: ReturnType<typeof FindMyWay> | null = null

  constructor (app: Pick<FastifyInstance, 'initialConfig' | 'hasRoute'>) {
    this.#app = app
  }

  add ({ method, url, prefix, constraints, websocket, wsHandler }: Declared): void {
    if ([method].flat().includes('GET')) this.#routes.push({ url, prefix, constraints, websocket: Boolean(websocket || wsHandler) })
  }

  /** Returns true if a request is a handshake for a WebSocket route without a wildcard. To be called once all routes are declared. */
  has (request: IncomingMessage): boolean {
    this.#router ??= this.#build()
    return asksForWebSocket(request) && this.#router.lookup(request, undefined as never) === true
  }

  #build (): ReturnType<typeof FindMyWay> {
    const { initialConfig } = this.#app
    const no = (): boolean => false
    const router = FindMyWay({
      ...initialConfig, ...initialConfig.routerOptions, constraints: {}, defaultRoute: no, onBadUrl: no, onMaxParamLength: no, querystringParser: () => ({})
    })
    const enter = (url: string, { constraints, websocket }: Route): void => {
      // Fails for constraints that the application has defined, and for a path that is declared already: these are left out.
      attempt(() => { router.on('GET', url, { constraints }, (_request, _response, params) => websocket && !('*' in params)) }, () => {})
    }
    for (const route of this.#routes) enter(route.url, route)
    // Fastify declares '/' below a prefix twice, with and without a slash, and calls `onRoute` hooks for the one without.
    for (const route of this.#routes) {
      const { url, prefix, constraints } = route
      if (url === prefix && this.#app.hasRoute({ method: 'GET', url: `${url}/`, constraints })) enter(`${url}/`, route)
    }
    return router
  }
}

/** Calls `take` for each upgrade request before the listeners of a server, which do not see what it takes. Returns a function that ends this. */
export function takeFirst (server: Server, take: TakeUpgrade): () => void {
  const own = Object.hasOwn(server, 'emit')
  const { emit } = server
  let active = true
  const replaced = (event: string, ...args: unknown[]): boolean => {
    if (active && event === 'upgrade' && server.listenerCount('upgrade') > 1 && take(...args as Parameters<TakeUpgrade>)) return true
    // Read at each call: an instrumentation may replace the method of the prototype at any time.
    return Reflect.apply(own ? emit : (Object.getPrototypeOf(server) as Server).emit, server, [event, ...args]) as boolean
  }
  server.emit = replaced
  return () => {
    // A tool that has replaced `emit` since may still call this one.
    active = false
    if (server.emit !== replaced) return
    if (own) server.emit = emit
    else Reflect.deleteProperty(server, 'emit')
  }
}
