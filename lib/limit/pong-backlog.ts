/**
 * Cuts off clients that let pongs pile up: they send pings and do not read the answers (RFC 6455 §5.5.2).
 *
 * After a stall many pings are read at once, and their pongs leave in the same turn of the event loop: a client is looked at again
 * after two ticks of running time. It is cut off where it has taken nothing by then, and where far more pongs wait: a client that reads
 * a little now and then would fill the memory with them.
 */
import { Deadline, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Transport } from '../connection/transport.ts'

/** How many times as many pongs may wait for a client that takes some of them. */
const FLOOD = 4

export class PongBacklog {
  readonly #host: { readonly running: Deadlines, readonly transport: Transport }
  readonly #looks = new Map<ManagedConnection, Deadline>()

  constructor (host: { readonly running: Deadlines, readonly transport: Transport }) {
    this.#host = host
  }

  /** Connections that are to be looked at again. */
  get size (): number { return this.#looks.size }

  pongsWait (connection: ManagedConnection): void {
    if (isClosing(connection.state) || this.#looks.has(connection)) return
    const { running, transport } = this.#host
    const taken = transport.bytesTaken(connection.socket)
    const look = new Deadline(() => {
      this.#looks.delete(connection)
      if (!transport.pongsWait(connection.socket, 1)) return
      if (transport.bytesTaken(connection.socket) === taken || transport.pongsWait(connection.socket, FLOOD)) connection.kill('slow')
      else this.pongsWait(connection)
    })
    this.#looks.set(connection, look)
    running.set(look, 2 * TICK)
  }

  closing (connection: ManagedConnection): void {
    const look = this.#looks.get(connection)
    if (look === undefined) return
    this.#looks.delete(connection)
    this.#host.running.cancel(look)
  }
}
