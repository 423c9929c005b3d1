/**
 * Closes clients that have said nothing for too long: 3008 (IANA registry: timeout).
 *
 * Only messages from the client count. Time is that during which this process ran, in ticks: a message that waited
 * unread through a stall is not missed. A message costs no move in the wheel: when a deadline comes, it is set anew to
 * what is left.
 */
import { CAUSE_CODES } from '../core/close-codes.ts'
import type { Timekeeper } from '../core/connection-host.ts'
import { Deadline, TICK } from '../core/deadlines.ts'
import type { Deadlines } from '../core/deadlines.ts'
import type { Enforcement } from '../core/enforcement.ts'
import type { ManagedConnection } from '../core/managed-connection.ts'
import type { Transport } from '../core/socket.ts'

const REASON = 'idle timeout'

/** What the idle timeout leans on. */
export interface IdleHost {
  readonly running: Deadlines
  readonly transport: Transport
  readonly enforcement: Enforcement
}

export class Idle implements Pick<Timekeeper, 'idleTimeoutSet'> {
  readonly #host: IdleHost

  constructor (host: IdleHost) {
    this.#host = host
  }

  /** Watches a connection that has opened. */
  add (connection: ManagedConnection): void {
    if (connection.idleTimeout !== false) this.#arm(connection, connection.idleTimeout)
  }

  /** Lets go of a connection that is closing. */
  remove (connection: ManagedConnection): void {
    const { times } = connection
    if (times?.idle) this.#host.running.cancel(times.idle)
  }

  /** The time starts anew. */
  idleTimeoutSet (connection: ManagedConnection): void {
    connection.times!.lastMessageTick = this.#host.running.ticks
    this.remove(connection)
    this.add(connection)
  }

  #arm (connection: ManagedConnection, delay: number): void {
    const times = connection.times!
    this.#host.running.set(times.idle ??= new Deadline(() => this.#due(connection)), delay)
  }

  #due (connection: ManagedConnection): void {
    const { running, transport, enforcement } = this.#host
    // A close is under way, or about to come.
    if (connection.state !== 'open') return
    const timeout = connection.idleTimeout as number
    // Its messages are not read at present.
    if (transport.isPaused(connection.socket)) return this.#arm(connection, timeout)
    // The message came at the end of its tick, for all we know, and a stall may have counted for one more.
    const left = timeout - (running.ticks - connection.times!.lastMessageTick - 2) * TICK
    if (left > 0) return this.#arm(connection, left)
    if (!enforcement.allows('idle', 'close', connection)) return this.#arm(connection, timeout)
    connection.end('idle', CAUSE_CODES.idle, REASON)
  }
}
