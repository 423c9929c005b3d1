/**
 * Whose turn it is to take the handshakes of an HTTP server that serves several applications. A hot reload makes the new
 * one ready before it closes the old one: the last to become ready takes them, and when it closes, the one before it does
 * again.
 */
import type { Server } from 'node:http'

/** An application's 'upgrade' listener: put on the server, behind all others, and taken off. */
interface UpgradeListener {
  goLast (): void
  close (): void
}

/** Applications registered on a server, those that are ready in the order in which they became so. */
const turnsOf = new WeakMap<Server, UpgradeTurn[]>()

export class UpgradeTurn {
  readonly #turns: UpgradeTurn[]
  readonly #application: object
  readonly #listener: UpgradeListener
  #ready = false

  /** Whether an application takes handshakes of a server already. */
  static isTaken (server: Server, application: object): boolean {
    return turnsOf.get(server)?.some((turn) => turn.#application === application) ?? false
  }

  constructor (server: Server, application: object, listener: UpgradeListener) {
    this.#turns = turnsOf.get(server) ?? []
    turnsOf.set(server, this.#turns)
    this.#application = application
    this.#listener = listener
    this.#turns.push(this)
  }

  /** The application is ready. */
  take (): void {
    this.#remove()
    // Also of those that never became ready: their routes answer nothing.
    for (const turn of this.#turns) turn.#listener.close()
    this.#ready = true
    this.#turns.push(this)
    this.#listener.goLast()
  }

  /** The application is closed. */
  leave (): void {
    this.#remove()
    this.#listener.close()
    const current = this.#turns.findLast((turn) => turn.#ready)
    if (current !== undefined) current.#listener.goLast()
  }

  #remove (): void {
    const index = this.#turns.indexOf(this)
    if (index !== -1) this.#turns.splice(index, 1)
  }
}
