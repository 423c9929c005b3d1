/**
 * The wait for 'close' of a socket whose raw socket is gone. Usually ws emits it one turn later. If not, ws inflates the last
 * input, which may be a close frame; or a listener that threw has broken the receiver of ws, and 'close' is never emitted.
 */
import { Entry } from '../base/deadlines.ts'
import type { ConnectionHost } from './host.ts'

/** What the wait needs of its connection. */
interface Closable {
  readonly host: Pick<ConnectionHost<never>, 'clock' | 'closeTimeout' | 'deadlines'>
  readonly gone: boolean
  socketClosed (): void
}

/** Waits under way: a map, because there are few, and a field would cost every connection memory. */
const waits = new Map<Closable, CloseEventWait>()

export class CloseEventWait extends Entry {
  readonly #connection: Closable

  /** Returns the wait of a connection, if there is one. */
  static of (connection: Closable): CloseEventWait | undefined { return waits.size === 0 ? undefined : waits.get(connection) }

  /** Waits for up to `closeTimeout`, unless 'close' is emitted in the next turn of the event loop. */
  static start (connection: Closable): void {
    const { clock, closeTimeout, deadlines } = connection.host
    clock.setImmediate(() => {
      if (connection.gone) return
      const wait = new CloseEventWait(connection)
      waits.set(connection, wait)
      deadlines.set(wait, closeTimeout)
    })
  }

  private constructor (connection: Closable) {
    super()
    this.#connection = connection
  }

  expire (): void { this.#connection.socketClosed() }

  cancel (): void {
    waits.delete(this.#connection)
    this.#connection.host.deadlines.cancel(this)
  }
}
