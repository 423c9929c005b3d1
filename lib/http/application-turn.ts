/**
 * Turns of the applications that share an HTTP server: one at a time takes its handshakes. A hot reload makes the new application
 * ready before it closes the old one: the last to become ready has the turn, and when it closes, the one before it has it again.
 * `ws` servers on the same server get no handshakes for its static WebSocket routes.
 */
import type { IncomingMessage, Server } from 'node:http'
import { bypassWsServers } from './own-handshakes.ts'

/** The 'upgrade' listener of an application. */
interface UpgradeListener {
  /** Puts it on the server, behind all others. */
  goLast (): void
  /** Takes it off the server. */
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
  /** Every registered application; those that are ready stand in the order in which they became ready. */
  readonly turns: ApplicationTurn[]
  /** Passes handshakes for their routes to all listeners again. */
  release: (() => void) | null
}

const applicationsOf = new WeakMap<Server, Applications>()

export class ApplicationTurn {
  readonly #server: Server
  readonly #applications: Applications
  readonly #application: object
  readonly #listener: UpgradeListener
  readonly #routes: Routes
  #ready = false

  /** Returns whether an application is registered on a server. */
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

  /** Gives the turn to this application, which is ready. */
  take (): void {
    const { turns } = this.#applications
    this.#remove()
    // Also those of applications that never became ready, whose routes answer nothing.
    for (const turn of turns) turn.#listener.close()
    this.#ready = true
    turns.push(this)
    this.#listener.goLast()
    this.#applications.release ??= bypassWsServers(this.#server, (request) => {
      const current = turns.findLast((turn) => turn.#ready)!
      return current.#listener.listening && current.#routes.has(request)
    })
  }

  /** Ends the turn of this application, which is closed. */
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
