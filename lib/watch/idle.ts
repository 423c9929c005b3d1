/**
 * Closes connections whose client has sent no message for too long, with 3008 (IANA registry: timeout).
 *
 * Only messages of the client count. Time passes only while this process runs, in ticks: a stall of the event loop, in which
 * messages wait unread, does not count. A message moves no deadline: an expired deadline is set again to the time that is left.
 */
import { CAUSE_CODES } from '../base/close-codes.ts'
import { Entry, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { isClosing } from '../connection/connection.ts'
import type { Hooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Transport } from '../connection/transport.ts'
import type { Enforcement } from '../track/enforcement.ts'

const REASON = 'idle timeout'

/** What the idle timeout needs. */
export interface IdleHost {
  readonly hooks: Hooks<ManagedConnection>
  readonly running: Deadlines
  readonly transport: Transport
  readonly enforcement: Enforcement
}

/** The deadline of one connection. */
class IdleDeadline extends Entry {
  readonly connection: ManagedConnection
  readonly #due: (deadline: IdleDeadline) => void
  timeout = 0
  /** Tick of running time of the last message, or of the moment when the timeout was set. */
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
  /** Whether messages are heard of: a message costs nothing before the first idle timeout. */
  #hears = false

  constructor (host: IdleHost) {
    this.#host = host
  }

  /** Number of connections with an idle timeout. */
  get size (): number { return this.#deadlines.size }

  opened (connection: ManagedConnection): void { this.idleTimeoutSet(connection) }

  /** Starts the timeout from now. */
  idleTimeoutSet (connection: ManagedConnection): void {
    if (connection.idleTimeout === false) this.closing(connection)
    else this.#start(connection, connection.idleTimeout)
  }

  received (connection: ManagedConnection): boolean {
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
    const { hooks, running } = this.#host
    if (!this.#hears) hooks.add(this, 'received')
    this.#hears = true
    let deadline = this.#deadlines.get(connection)
    if (deadline === undefined) this.#deadlines.set(connection, deadline = new IdleDeadline(connection, this.#due))
    deadline.timeout = timeout
    deadline.lastMessageTick = running.ticks
    running.set(deadline, timeout)
  }

  #onDue (deadline: IdleDeadline): void {
    const { running, transport, enforcement } = this.#host
    const { connection, timeout } = deadline
    // A drain or a close is under way.
    if (connection.state !== 'open') return
    // The socket is paused: messages may wait unread.
    if (transport.isPaused(connection.socket)) return running.set(deadline, timeout)
    // One tick less: the message may have arrived at the end of its tick.
    const left = timeout - (running.dueTick - deadline.lastMessageTick - 1) * TICK
    if (left > 0) return running.set(deadline, left)
    if (enforcement.allows('idle', 'close', connection)) connection.end('idle', CAUSE_CODES.idle, REASON)
    // A listener of 'observed' may have closed it.
    else if (!isClosing(connection.state)) running.set(deadline, timeout)
  }
}
