/**
 * Terminates connections whose client sends pings and does not read the pongs (RFC 6455 §5.5.2).
 *
 * After a stall many pings are read at once, and their pongs leave in the same turn of the event loop: a connection is checked
 * again after two ticks of running time. It is terminated if its client has read nothing by then, or if far more pongs wait: a
 * client that reads a little now and then would fill the memory with them.
 */
import { Deadline, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Transport } from '../connection/transport.ts'

/** For a client that reads, this many times as many pongs may wait. */
const FLOOD = 4

export class PongBacklog {
  readonly #host: { readonly running: Deadlines, readonly transport: Transport }
  readonly #checks = new Map<ManagedConnection, Deadline>()

  constructor (host: { readonly running: Deadlines, readonly transport: Transport }) {
    this.#host = host
  }

  /** Number of connections that are to be checked again. */
  get size (): number { return this.#checks.size }

  pongsWait (connection: ManagedConnection): void {
    if (isClosing(connection.state) || this.#checks.has(connection)) return
    const { running, transport } = this.#host
    const taken = transport.bytesTaken(connection.socket)
    const check = new Deadline(() => {
      this.#checks.delete(connection)
      if (!transport.pongsWait(connection.socket, 1)) return
      if (transport.bytesTaken(connection.socket) === taken || transport.pongsWait(connection.socket, FLOOD)) connection.kill('slow')
      else this.pongsWait(connection)
    })
    this.#checks.set(connection, check)
    running.set(check, 2 * TICK)
  }

  closing (connection: ManagedConnection): void {
    const check = this.#checks.get(connection)
    if (check === undefined) return
    this.#checks.delete(connection)
    this.#host.running.cancel(check)
  }
}
