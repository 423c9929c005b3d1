/**
 * Whose turn it is to take the handshakes of an HTTP server that serves several applications. A hot reload makes the new
 * one ready before it closes the old one: the last to become ready takes them, and when it closes, the one before it does
 * again. `ws` servers on the same server do not see handshakes for its static WebSocket routes.
 */
import type { IncomingMessage, Server } from 'node:http'
import { bypassWsServers } from './own-handshakes.ts'

/** An application's 'upgrade' listener: put on the server, behind all others, and taken off. */
interface UpgradeListener {
  goLast (): void
  close (): void
  /** Whether it is on the server. */
  readonly listening: boolean
}

/** The static WebSocket routes of an application. */
interface Routes {
  has (request: IncomingMessage): boolean
}

/** The applications of a server. */
interface Applications {
  /** All that are registered, those that are ready in the order in which they became so. */
  readonly turns: UpgradeTurn[]
  /** Leaves handshakes for their routes to all listeners again. */
  release: (() => void) | null
}

const applicationsOf = new WeakMap<Server, Applications>()

export class UpgradeTurn {
  readonly #server: Server
  readonly #applications: Applications
  readonly #application: object
  readonly #listener: UpgradeListener
  readonly #routes: Routes
  #ready = false

  /** Whether an application takes handshakes of a server already. */
  static isTaken (server: Server, application: object): boolean {
    return applicationsOf.get(server)?.turns.some((turn) => turn.#application === application) ?? false
  }

  constructor (server: Server, application: object, listener: UpgradeListener, routes: Routes) {
    this.#server = server
    this.#applications = applicationsOf.get(server) ?? { turns: [], release: null }
    applicationsOf.set(server, this.#applications)
    this.#application = application
    this.#listener = listener
    this.#routes = routes
    this.#applications.turns.push(this)
  }

  /** The application is ready. */
  take (): void {
    const { turns } = this.#applications
    this.#remove()
    // Also of those that never became ready: their routes answer nothing.
    for (const turn of turns) turn.#listener.close()
    this.#ready = true
    turns.push(this)
    this.#listener.goLast()
    this.#applications.release ??= bypassWsServers(this.#server, (request) => {
      const current = turns.findLast((turn) => turn.#ready)!
      return current.#listener.listening && current.#routes.has(request)
    })
  }

  /** The application is closed. */
  leave (): void {
    this.#remove()
    this.#listener.close()
    const current = this.#applications.turns.findLast((turn) => turn.#ready)
    if (current !== undefined) return current.#listener.goLast()
    this.#applications.release?.()
    this.#applications.release = null
  }

  #remove (): void {
    const { turns } = this.#applications
    const index = turns.indexOf(this)
    if (index !== -1) turns.splice(index, 1)
  }
}
