/**
 * Links between the two connections of a move: a handshake that offers the id of a move takes the place of the connection that was
 * asked, so that limits count both as one.
 *
 * A link ends when the client's time to move is over, and when its connection closes; it serves one handshake at a time, and one
 * connection. It serves a client of the same owner, or one whose owner is not set yet.
 */
import type { Clock } from '../base/clock.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'

interface Link {
  /** The connection that was asked. */
  readonly connection: ManagedConnection
  /** End of the client's time to move, monotonic milliseconds. */
  until: number
  /** Whether a handshake in progress has claimed it. */
  claimed: boolean
}

export class Links {
  readonly #clock: Pick<Clock, 'now'>
  readonly #links = new Map<string, Link>()
  /** The link of each handshake in progress that has claimed one. */
  readonly #claims = new Map<object, Link>()

  constructor (clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  get size (): number { return this.#links.size + this.#claims.size }

  /** A client was asked to move until a time; called again, moves that time. */
  open (id: string, connection: ManagedConnection, until: number): void {
    const link = this.#links.get(id)
    if (link === undefined) this.#links.set(id, { connection, until, claimed: false })
    else link.until = until
  }

  end (id: string): void {
    const link = this.#links.get(id)
    if (link === undefined) return
    this.#links.delete(id)
    // A handshake may have claimed it.
    link.until = -Infinity
  }

  /** A handshake offers an id. Returns whether it may take the place of the connection that was asked; called again, the same. */
  claim (handshake: object, id: string | undefined): boolean {
    if (this.hasClaimed(handshake)) return true
    const link = id === undefined ? undefined : this.#links.get(id)
    if (link === undefined || link.claimed || this.#isOver(link)) return false
    link.claimed = true
    this.#claims.set(handshake, link)
    return true
  }

  hasClaimed (handshake: object): boolean { return this.#claims.has(handshake) }

  /** Returns whether a handshake takes the place of the connection that was asked, now that its owner is known. */
  serves (handshake: object, owner: string | undefined): boolean {
    const link = this.#claims.get(handshake)
    return link !== undefined && !this.#isOver(link) && isOf(link.connection, owner)
  }

  /** A handshake is over. Returns whether it had claimed a link. */
  release (handshake: object): boolean {
    const link = this.#claims.get(handshake)
    if (link === undefined) return false
    link.claimed = false
    return this.#claims.delete(handshake)
  }

  /** Returns the connection whose place a new connection takes, and ends the link; null if there is none. */
  take (id: string, owner: string | undefined): ManagedConnection | null {
    const link = this.#links.get(id)
    if (link === undefined || link.claimed || this.#isOver(link) || !isOf(link.connection, owner)) return null
    this.end(id)
    return link.connection
  }

  #isOver ({ until }: Link): boolean { return this.#clock.now() > until }
}

function isOf (connection: ManagedConnection, owner: string | undefined): boolean {
  return owner === undefined || owner === connection.owner
}
