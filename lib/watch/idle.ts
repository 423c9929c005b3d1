/**
 * Closes clients that have said nothing for too long: 3008 (IANA registry: timeout).
 *
 * Only messages from the client count. Time is that during which this process ran, in ticks: a message that waited
 * unread through a stall is not missed. A message costs no move in the wheel: when a deadline comes, it is set anew to
 * what is left.
 */
import { CAUSE_CODES } from '../base/close-codes.ts'
import type { Timekeeper } from '../connection/host.ts'
import { TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Transport } from '../connection/transport.ts'

const REASON = 'idle timeout'

/** What the idle timeout leans on. */
export interface IdleHost {
  readonly running: Deadlines
  readonly transport: Transport
  readonly enforcement: Enforcement
}

export class Idle implements Pick<Timekeeper, 'idleTimeoutSet' | 'idleDue'> {
  readonly #host: IdleHost

  constructor (host: IdleHost) {
    this.#host = host
  }

  /** Watches a connection that has opened. */
  add (connection: ManagedConnection): void {
    const { idleDeadline: idle } = connection
    if (idle !== undefined && idle.timeout !== false) this.#host.running.set(idle, idle.timeout)
  }

  /** Lets go of a connection that is closing. */
  remove (connection: ManagedConnection): void {
    if (connection.idleDeadline !== undefined) this.#host.running.cancel(connection.idleDeadline)
  }

  /** The time starts anew. */
  idleTimeoutSet (connection: ManagedConnection): void {
    this.remove(connection)
    this.add(connection)
  }

  idleDue (connection: ManagedConnection): void {
    const { running, transport, enforcement } = this.#host
    // A close is under way, or about to come.
    if (connection.state !== 'open') return
    const idle = connection.idleDeadline!
    const timeout = idle.timeout as number
    // Its messages are not read at present.
    if (transport.isPaused(connection.socket)) return running.set(idle, timeout)
    // The message may have come at the end of its tick.
    const left = timeout - (running.dueTick - idle.lastMessageTick - 1) * TICK
    if (left > 0) return running.set(idle, left)
    if (!enforcement.allows('idle', 'close', connection)) return running.set(idle, timeout)
    connection.end('idle', CAUSE_CODES.idle, REASON)
  }
}
