/**
 * Closes clients that have sent no message for too long: 3008 (IANA registry: timeout).
 *
 * Only messages from the client count. Time is that during which this process ran, in ticks: a message that waited
 * unread through a stall is not missed. A message moves no deadline: when a deadline comes, it is set anew to what is left.
 */
import { CAUSE_CODES } from '../base/close-codes.ts'
import { Entry, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Transport } from '../connection/transport.ts'
import type { Enforcement } from '../track/enforcement.ts'

const REASON = 'idle timeout'

/** What the idle timeout needs. */
export interface IdleHost {
  readonly running: Deadlines
  readonly transport: Transport
  readonly enforcement: Enforcement
}

/** The deadline of one connection. */
class IdleDeadline extends Entry {
  readonly connection: ManagedConnection
  readonly #due: (deadline: IdleDeadline) => void
  timeout = 0
  /** Tick of running time at the last message, or when the timeout was set. */
  lastMessageTick = 0

  constructor (connection: ManagedConnection, due: (deadline: IdleDeadline) => void) {
    super()
    this.connection = connection
    this.#due = due
  }

  expire (): void { this.#due(this) }
}

export class Idle {
  readonly #host: IdleHost
  readonly #deadlines = new Map<ManagedConnection, IdleDeadline>()
  readonly #due = (deadline: IdleDeadline): void => { this.#onDue(deadline) }

  constructor (host: IdleHost) {
    this.#host = host
  }

  /** Connections with an idle timeout. */
  get size (): number { return this.#deadlines.size }

  opened (connection: ManagedConnection): void { this.idleTimeoutSet(connection) }

  /** The time starts anew. */
  idleTimeoutSet (connection: ManagedConnection): void {
    if (connection.idleTimeout === false) this.closing(connection)
    else this.#start(connection, connection.idleTimeout)
  }

  received (connection: ManagedConnection): boolean {
    // Looking it up, and reading the clock, cost more than the rest of a message.
    if (connection.idleTimeout === false) return true
    const deadline = this.#deadlines.get(connection)
    if (deadline !== undefined) deadline.lastMessageTick = this.#host.running.ticks
    return true
  }

  closing (connection: ManagedConnection): void {
    const deadline = this.#deadlines.get(connection)
    if (deadline === undefined) return
    this.#host.running.cancel(deadline)
    this.#deadlines.delete(connection)
  }

  #start (connection: ManagedConnection, timeout: number): void {
    const { running } = this.#host
    let deadline = this.#deadlines.get(connection)
    if (deadline === undefined) this.#deadlines.set(connection, deadline = new IdleDeadline(connection, this.#due))
    deadline.timeout = timeout
    deadline.lastMessageTick = running.ticks
    running.set(deadline, timeout)
  }

  #onDue (deadline: IdleDeadline): void {
    const { running, transport, enforcement } = this.#host
    const { connection, timeout } = deadline
    // A close is under way, or about to come.
    if (connection.state !== 'open') return
    // Its messages are not read at present.
    if (transport.isPaused(connection.socket)) return running.set(deadline, timeout)
    // The message may have come at the end of its tick.
    const left = timeout - (running.dueTick - deadline.lastMessageTick - 1) * TICK
    if (left > 0) return running.set(deadline, left)
    if (!enforcement.allows('idle', 'close', connection)) return running.set(deadline, timeout)
    connection.end('idle', CAUSE_CODES.idle, REASON)
  }
}
