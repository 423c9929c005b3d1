/**
 * Keeps handshakes for the application's own WebSocket routes from `ws` servers on the same HTTP server.
 *
 * Node calls every listener of an event, and the listener that a `ws` server with the option `server` adds answers all paths
 * but its own with 400. The server's `emit` is therefore replaced, and does not call such a listener for the path of a
 * declared route. All other listeners see every upgrade request: they may refuse it, or know their own by other means.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { RouteOptions } from 'fastify'
import { isWsListener } from '../base/internals.ts'
import { asksForWebSocket } from './upgrade-request.ts'

/** A route as `onRoute` hooks get it. */
type Declared = Pick<RouteOptions, 'url' | 'constraints'> & { websocket?: boolean, wsHandler?: unknown }

/** The static WebSocket routes of an application. A path that matches another route may be meant for another server. */
export class OwnRoutes {
  readonly #paths = new Set<string>()

  add ({ url, constraints, websocket, wsHandler }: Declared): void {
    // HEAD routes are added too: '/' below a prefix is also declared with a trailing slash, and only its HEAD route says so.
    // Fastify decodes what is requested and not what is declared, so a path with '%' is not that of its route.
    if ((websocket || wsHandler) && !/[:*%]/.test(url) && Object.keys(constraints ?? {}).length === 0) this.#paths.add(url)
  }

  /** Returns true if a request is a handshake for exactly the path of one of them; other spellings are left to all listeners. */
  has (request: IncomingMessage): boolean {
    return asksForWebSocket(request) && this.#paths.has(request.url!.split('?', 1)[0]!)
  }
}

/** Has a server not call the listeners of `ws` servers for upgrade requests that are `own`. Returns a function that ends this. */
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
    // Read at each call: an instrumentation may replace the method of the prototype at any time.
    return Reflect.apply(replacedBefore ? emit : (Object.getPrototypeOf(server) as Server).emit, server, [event, ...args]) as boolean
  }
  server.emit = replaced
  return () => {
    // A tool that has replaced `emit` since may still call this one.
    active = false
    if (server.emit !== replaced) return
    if (replacedBefore) server.emit = emit
    else Reflect.deleteProperty(server, 'emit')
  }
}
