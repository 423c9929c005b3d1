/**
 * The wait for a socket whose raw socket is gone and that has not emitted 'close'. As a rule ws does so one turn later. If not, it is
 * inflating what came last, a close frame maybe; or a listener that threw has broken its receiver, and it never will.
 */
import { Entry } from '../base/deadlines.ts'
import type { ConnectionHost } from './host.ts'

/** What the wait needs of its connection. */
interface Untold {
  readonly host: Pick<ConnectionHost<never>, 'clock' | 'closeTimeout' | 'deadlines'>
  readonly gone: boolean
  socketClosed (): void
}

/** Waits that are under way; there are few. */
const waits = new Map<Untold, UntoldClose>()

export class UntoldClose extends Entry {
  readonly #connection: Untold

  /** The wait of a connection, if there is one. */
  static of (connection: Untold): UntoldClose | undefined { return waits.size === 0 ? undefined : waits.get(connection) }

  /** Waits for `closeTimeout`, unless the connection hears of the close in the next turn. */
  static await (connection: Untold): void {
    const { clock, closeTimeout, deadlines } = connection.host
    clock.setImmediate(() => {
      if (connection.gone) return
      const wait = new UntoldClose(connection)
      waits.set(connection, wait)
      deadlines.set(wait, closeTimeout)
    })
  }

  private constructor (connection: Untold) {
    super()
    this.#connection = connection
  }

  expire (): void { this.#connection.socketClosed() }

  cancel (): void {
    waits.delete(this.#connection)
    this.#connection.host.deadlines.cancel(this)
  }
}
