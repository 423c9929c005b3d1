/**
 * Keeps handshakes for the application's WebSocket routes from `ws` servers on the same HTTP server.
 *
 * Node.js calls every listener of an event, and the listener of a `ws` server with the option `server` answers all paths but its own
 * with 400. So `emit` of the HTTP server is replaced, and calls no such listener for the path of a declared route. All other
 * listeners get every upgrade request: they may refuse it, or select theirs by other means.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { RouteOptions } from 'fastify'
import { isWsListener } from '../base/internals.ts'
import { asksForWebSocket } from './raw-socket.ts'

/** The part of a route, as `onRoute` hooks get it, that is used here. */
type Declared = Pick<RouteOptions, 'url' | 'constraints'> & { websocket?: boolean, wsHandler?: unknown }

/** The static WebSocket routes of an application. A path that matches a route with parameters may be meant for another server. */
export class OwnRoutes {
  readonly #paths = new Set<string>()

  add ({ url, constraints, websocket, wsHandler }: Declared): void {
    // HEAD routes, too: '/' below a prefix is also declared with a trailing slash, and only its HEAD route shows that. Fastify decodes
    // the requested path and not the declared one, so a path with '%' does not lead to its route.
    if ((websocket || wsHandler) && !/[:*%]/.test(url) && Object.keys(constraints ?? {}).length === 0) this.#paths.add(url)
  }

  /** Returns whether a request is a handshake for exactly such a path. Other spellings of a path go to all listeners. */
  has (request: IncomingMessage): boolean {
    return asksForWebSocket(request) && this.#paths.has(request.url!.split('?', 1)[0]!)
  }
}

/** Keeps upgrade requests that are `own` from the listeners of `ws` servers. Returns a function that ends this. */
export function bypassWsServers (server: Server, own: (request: IncomingMessage) => boolean): () => void {
  const replacedBefore = Object.hasOwn(server, 'emit')
  const { emit } = server
  let active = true
  const replaced = (event: string, ...args: unknown[]): boolean => {
    if (active && event === 'upgrade' && server.listenerCount('upgrade') > 1 && own(args[0] as IncomingMessage)) {
      const listeners = server.rawListeners('upgrade')
      const others = listeners.filter((listener) => !isWsListener(listener))
      if (others.length < listeners.length) {
        for (const listener of others) Reflect.apply(listener, server, args)
        return true
      }
    }
    // Looked up at each call: an instrumentation may replace the method of the prototype at any time.
    return Reflect.apply(replacedBefore ? emit : (Object.getPrototypeOf(server) as Server).emit, server, [event, ...args]) as boolean
  }
  server.emit = replaced
  return () => {
    // If `emit` was replaced since, its replacement may still call this one.
    active = false
    if (server.emit !== replaced) return
    if (replacedBefore) server.emit = emit
    else Reflect.deleteProperty(server, 'emit')
  }
}
