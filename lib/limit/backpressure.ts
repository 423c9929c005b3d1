/**
 * Limits unsent data per connection: the time in which the kernel takes none of it, and its size in bytes.
 *
 * Progress is data that the kernel takes, not data that is sent. The kernel takes data in steps of a third of its send buffer, up
 * to 1.4 MB on Linux: a peer that reads less than that within `maxStallTime` looks like one that reads nothing. Unsent data is
 * what is queued in this process, without the kernel's buffer. A connection above either limit is closed with 4008, and
 * terminated soon after if its peer does not read the close frame.
 */
import type { Clock } from '../base/clock.ts'
import { CAUSE_CODES } from '../base/close-codes.ts'
import { TICK } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { Sweep } from '../base/sweep.ts'
import type { SweepVisitor } from '../base/sweep.ts'
import type { Transport } from '../connection/transport.ts'

const REASON = 'reads too slowly'

/** Largest header of a frame from the server, bytes (RFC 6455 §5.2). */
const FRAME_HEADER = 10

/** Checks of each connection within `maxStallTime`. */
const CHECKS = 4

/** Shortest `maxStallTime`, milliseconds: a tick for each check. */
export const LEAST_STALL_TIME = CHECKS * TICK

/** What backpressure needs. */
export interface BackpressureHost {
  readonly clock: Clock
  readonly transport: Transport
  readonly enforcement: Enforcement
  /** Bytes of broadcasts that are held back for a connection. */
  heldBytes (connection: ManagedConnection): number
}

/** A connection with unsent data at the last check. */
interface Stall {
  /** Number of bytes that the kernel had taken. */
  readonly taken: number
  /** Number of checks since `taken` has changed. */
  checks: number
}

export class Backpressure implements SweepVisitor<ManagedConnection> {
  readonly #host: BackpressureHost
  readonly #sweeps = new Map<number, Sweep<ManagedConnection>>()
  readonly #stalls = new Map<ManagedConnection, Stall>()
  /** The connection for which skips() has just reported a frame that is sent all the same, as the policy only observes. */
  #reported: ManagedConnection | null = null

  constructor (host: BackpressureHost) {
    this.#host = host
  }

  /** Number of connections that are checked for stalls. */
  get size (): number { return [...this.#sweeps.values()].reduce((sum, { size }) => sum + size, 0) }

  opened (connection: ManagedConnection): void {
    const { maxStallTime } = connection.settings.backpressure
    if (maxStallTime === false || !this.#host.transport.hasHandle(connection.socket)) return
    let sweep = this.#sweeps.get(maxStallTime)
    if (sweep === undefined) this.#sweeps.set(maxStallTime, sweep = new Sweep(this.#host.clock, maxStallTime / CHECKS, this))
    sweep.add(connection)
  }

  closing (connection: ManagedConnection): void {
    this.#stalls.delete(connection)
    const { maxStallTime } = connection.settings.backpressure
    if (maxStallTime !== false) this.#sweeps.get(maxStallTime)?.remove(connection)
  }

  visit (connection: ManagedConnection): boolean {
    const { transport } = this.#host
    const { socket } = connection
    if (transport.pendingBytes(socket) === 0) {
      this.#stalls.delete(connection)
      return true
    }
    const taken = transport.bytesTaken(socket)
    const stall = this.#stalls.get(connection)
    if (stall === undefined || stall.taken !== taken) this.#stalls.set(connection, { taken, checks: 0 })
    else if (++stall.checks >= CHECKS) this.#close(connection)
    return true
  }

  /** Returns whether a broadcast must skip the connection: a frame with `bytes` of payload would exceed the limit. */
  skips (connection: ManagedConnection, bytes: number): boolean {
    const { maxBufferedBytes, policy } = connection.settings.backpressure
    this.#reported = null
    // Decided before the frame is sent: afterwards sent() would close the connection.
    if (policy !== 'drop' || maxBufferedBytes === false ||
      this.#unsent(connection) + bytes + FRAME_HEADER <= maxBufferedBytes) return false
    if (this.#host.enforcement.allows('backpressure', 'drop', connection)) return true
    this.#reported = connection
    return false
  }

  sent (connection: ManagedConnection): void {
    const { maxBufferedBytes } = connection.settings.backpressure
    if (maxBufferedBytes === false || isClosing(connection.state)) return
    if (this.#reported === connection) {
      this.#reported = null
      return
    }
    if (this.#unsent(connection) > maxBufferedBytes) this.#close(connection)
  }

  #unsent (connection: ManagedConnection): number {
    return this.#host.transport.pendingBytes(connection.socket) + this.#host.heldBytes(connection)
  }

  #close (connection: ManagedConnection): void {
    if (this.#host.enforcement.allows('backpressure', 'close', connection)) connection.end('slow', CAUSE_CODES.slow, REASON)
    else this.#stalls.delete(connection)
  }
}
