/**
 * Bounds what slow readers hold: time without progress, and bytes that wait.
 *
 * Progress is what the kernel took, not what was sent. It takes in steps of a third of its send buffer: a peer that reads
 * less than that, up to 1.4 MB on Linux, in `maxStallTime` cannot be told from one that reads nothing. Bytes that wait are those in our queues, the kernel's not counted. Whoever is
 * over either is told 4008 if it still reads, and cut off soon after.
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

/** Bytes before the payload of a frame from the server, at most (RFC 6455 §5.2). */
const FRAME_HEADER = 10

/** Looks at each connection within `maxStallTime`. */
const LOOKS = 4

/** Shortest `maxStallTime`: a tick for each look. */
export const LEAST_STALL_TIME = LOOKS * TICK

/** What backpressure needs. */
export interface BackpressureHost {
  readonly clock: Clock
  readonly transport: Transport
  readonly enforcement: Enforcement
  /** Bytes of broadcasts that a connection waits for. */
  heldBytes (connection: ManagedConnection): number
}

/** A peer that had bytes to take at the last look. */
interface Stall {
  /** Bytes the kernel had taken. */
  readonly taken: number
  /** Looks since that has changed. */
  looks: number
}

export class Backpressure implements SweepVisitor<ManagedConnection> {
  readonly #host: BackpressureHost
  readonly #sweeps = new Map<number, Sweep<ManagedConnection>>()
  /** Connections that had bytes to take at the last look. */
  readonly #stalls = new Map<ManagedConnection, Stall>()
  /** Told of a frame that is too many, which is about to be sent as policies only observe. */
  #told: ManagedConnection | null = null

  constructor (host: BackpressureHost) {
    this.#host = host
  }

  /** Connections that are looked at. */
  get size (): number { return [...this.#sweeps.values()].reduce((sum, { size }) => sum + size, 0) }

  opened (connection: ManagedConnection): void {
    const { maxStallTime } = connection.settings.backpressure
    if (maxStallTime === false || !this.#host.transport.hasHandle(connection.socket)) return
    let sweep = this.#sweeps.get(maxStallTime)
    if (sweep === undefined) this.#sweeps.set(maxStallTime, sweep = new Sweep(this.#host.clock, maxStallTime / LOOKS, this))
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
    if (stall === undefined || stall.taken !== taken) this.#stalls.set(connection, { taken, looks: 0 })
    else if (++stall.looks >= LOOKS) this.#close(connection)
    return true
  }

  /** Whether one more frame of a broadcast, of so many bytes, would be too many; it is skipped then. */
  skips (connection: ManagedConnection, bytes: number): boolean {
    const { maxBufferedBytes, policy } = connection.settings.backpressure
    this.#told = null
    // What is over after the send would close it, and skipping is what is asked for here.
    if (policy !== 'drop' || maxBufferedBytes === false ||
      this.#waiting(connection) + bytes + FRAME_HEADER <= maxBufferedBytes) return false
    if (this.#host.enforcement.allows('backpressure', 'drop', connection)) return true
    // Sent after all; that it is too much was said.
    this.#told = connection
    return false
  }

  sent (connection: ManagedConnection): void {
    const { maxBufferedBytes } = connection.settings.backpressure
    if (maxBufferedBytes === false || isClosing(connection.state)) return
    if (this.#told === connection) {
      this.#told = null
      return
    }
    if (this.#waiting(connection) > maxBufferedBytes) this.#close(connection)
  }

  /** Bytes that wait, those that are held back as well. */
  #waiting (connection: ManagedConnection): number {
    return this.#host.transport.pendingBytes(connection.socket) + this.#host.heldBytes(connection)
  }

  #close (connection: ManagedConnection): void {
    if (this.#host.enforcement.allows('backpressure', 'close', connection)) connection.end('slow', CAUSE_CODES.slow, REASON)
    else this.#stalls.delete(connection)
  }
}
