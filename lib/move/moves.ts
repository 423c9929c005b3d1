/**
 * Moves clients that have offered `lifecycle.v1` to a new connection before the old one closes (docs/reference/protocol.md).
 *
 * The client is asked, opens the new connection, and says `moved` on the old one. That one then gets no broadcasts, begins to drain,
 * and is closed when its work has ended. A client that never says it delays nothing: the policy that has asked closes the connection
 * in the ordinary way. Control frames are taken out before the application, its counters and its limits see them.
 */
import { CAUSE_CODES, CloseCode } from '../base/close-codes.ts'
import { deferred } from '../base/deferred.ts'
import type { Deferred } from '../base/deferred.ts'
import { Deadline } from '../base/deadlines.ts'
import type { ConnectionHost } from '../connection/host.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MOVE_TIME } from '../connection/mover.ts'
import type { Mover } from '../connection/mover.ts'
import { isControlFrame, moveFrame, newId, typeOf } from './control-frames.ts'
import { Links } from './links.ts'

/** Most control frames of one connection. */
const MAX_FRAMES = 16

const TOO_MANY = 'too many control frames'
const MOVED = 'moved'

/** What moves need. */
export interface MoveHost extends Pick<ConnectionHost<ManagedConnection>, 'clock' | 'hooks' | 'transport' | 'running' | 'steps'> {
  /** Whether clients are asked to move. */
  readonly move: boolean
  /** Maximum wait for the work of a connection whose client has moved, milliseconds. */
  readonly grace: number
  /** A client was asked to move in `delay` milliseconds, and will offer `id`. */
  asked (connection: ManagedConnection, id: string, delay: number): void
}

/** A connection whose client has offered the protocol. */
interface Client {
  /** Number of its control frames so far. */
  frames: number
  /** Id that it has offered in its handshake, until its connection was admitted. */
  offered: string | undefined
  /** By which it knows our frames. */
  readonly key: string | undefined
  asked: boolean
  /** Id of its move, as long as it has time. */
  id: string | null
  moved: boolean
  /** Result of `connection.move()`, while it waits for the client. */
  result: Deferred<boolean> | null
  /** Ends the wait of `connection.move()`, then the wait for work. */
  readonly deadline: Deadline
}

export class Moves implements Mover<ManagedConnection> {
  readonly #host: MoveHost
  readonly #links: Links
  readonly #clients = new Map<ManagedConnection, Client>()
  /** Connections whose client has moved and whose work goes on. */
  readonly #leaving = new Set<ManagedConnection>()
  /** Removes the hook that is only there while a connection leaves: every message would pay for it. */
  #unhook: (() => void) | null = null

  constructor (host: MoveHost) {
    this.#host = host
    this.#links = new Links(host.clock)
  }

  /** Number of connections whose clients have offered the protocol, and of links. */
  get size (): number { return this.#clients.size + this.#links.size }

  /** The links, for handshakes in progress. */
  get links (): Links { return this.#links }

  /** The client of a new connection has offered the protocol, and perhaps an id and a key. */
  offered (connection: ManagedConnection, id?: string, key?: string): void {
    const client: Client = { frames: 0, offered: id, key, asked: false, id: null, moved: false, result: null, deadline: new Deadline(() => { this.#onDeadline(connection, client) }) }
    this.#clients.set(connection, client)
    this.#host.transport.takeText(connection.socket, (message) => this.#take(connection, message))
  }

  /** Returns the connection whose place a new connection takes, once; null if there is none. */
  takePrevious (connection: ManagedConnection): ManagedConnection | null {
    const client = this.#clients.get(connection)
    if (client?.offered === undefined) return null
    const { offered } = client
    client.offered = undefined
    return this.take(offered, connection.owner)
  }

  /** Returns the connection whose client was asked to move under an id, once; null if there is none. */
  take (id: string, owner: string | undefined): ManagedConnection | null {
    const previous = this.#links.take(id, owner)
    // Asked again, that client gets another id.
    if (previous !== null) this.#clients.get(previous)!.id = null
    return previous
  }

  // ——— asking

  canAsk (connection: ManagedConnection): boolean { return this.#host.move && this.#clients.has(connection) }

  ask (connection: ManagedConnection, delay: number): boolean {
    const client = this.#clients.get(connection)
    if (client === undefined || !this.#host.move) return false
    if (client.moved) return true
    const id = client.id ?? newId()
    if (!this.#host.transport.writeText(connection.socket, moveFrame(delay, id, client.key))) return false
    client.asked = true
    client.id = id
    this.#host.steps.add(connection, 'asked to move')
    this.#host.asked(connection, id, delay)
    const time = Math.max(0, delay) + MOVE_TIME
    this.#links.open(id, connection, this.#host.clock.now() + time)
    // A call of `move()` waits for the turn that counts.
    if (client.result !== null) this.#host.running.set(client.deadline, time)
    return true
  }

  keyOf (connection: ManagedConnection): string | undefined { return this.#clients.get(connection)?.key }

  moved (connection: ManagedConnection): boolean { return this.#clients.get(connection)?.moved === true }

  move (connection: ManagedConnection): Promise<boolean> {
    const client = this.#clients.get(connection)
    if (client?.result != null) return client.result.promise
    if (client === undefined || client.moved || !this.ask(connection, 0)) return Promise.resolve(client?.moved === true)
    client.result = deferred()
    this.#host.running.set(client.deadline, MOVE_TIME)
    return client.result.promise
  }

  end (connection: ManagedConnection): void { connection.end('moved', CAUSE_CODES.moved, MOVED) }

  // ——— events of connections

  closing (connection: ManagedConnection): void {
    const client = this.#clients.get(connection)
    if (client === undefined) return
    this.#clients.delete(connection)
    this.#endLink(client)
    this.#settle(client, false)
    if (this.#leaving.delete(connection) && this.#leaving.size === 0) {
      this.#unhook!()
      this.#unhook = null
    }
  }

  workEnded (connection: ManagedConnection): void {
    if (this.#leaving.has(connection)) this.#endWithoutWork(connection)
  }

  // ——— what the client says

  /** Takes a text message if it is a control frame. */
  #take (connection: ManagedConnection, message: Buffer): boolean {
    if (!isControlFrame(message)) return false
    connection.heard = true
    const client = this.#clients.get(connection)
    // The connection is closing.
    if (client === undefined) return true
    if (++client.frames > MAX_FRAMES) connection.end('protocol', CloseCode.PolicyViolation, TOO_MANY)
    else if (client.asked && !client.moved && typeOf(message) === MOVED) this.#hasMoved(connection, client)
    return true
  }

  #hasMoved (connection: ManagedConnection, client: Client): void {
    const { hooks, running, grace, steps } = this.#host
    client.moved = true
    steps.add(connection, 'moved')
    this.#settle(client, true)
    for (const part of hooks.moved) part.moved(connection)
    this.#unhook ??= hooks.add(this, 'workEnded')
    this.#leaving.add(connection)
    running.set(client.deadline, grace)
    // The client sends no more messages here.
    connection.parts.incoming?.stop()
    connection.startDraining()
    this.#endWithoutWork(connection)
  }

  /** Ends a connection that has no work in the next turn: `drainSignal` or the end of `messages()` may have caused some. */
  #endWithoutWork (connection: ManagedConnection): void {
    this.#host.clock.setImmediate(() => { if (!connection.working) this.end(connection) })
  }

  #onDeadline (connection: ManagedConnection, client: Client): void {
    if (client.moved) return this.end(connection)
    this.#endLink(client)
    this.#settle(client, false)
    this.#host.steps.add(connection, 'move failed')
    for (const part of this.#host.hooks.moveFailed) part.moveFailed(connection)
  }

  #endLink (client: Client): void {
    if (client.id !== null) this.#links.end(client.id)
    client.id = null
  }

  #settle (client: Client, moved: boolean): void {
    this.#host.running.cancel(client.deadline)
    client.result?.resolve(moved)
    client.result = null
  }
}
