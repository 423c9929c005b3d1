/**
 * The end of one connection in a drain: its close frame with a reconnect delay, or the destruction of its raw socket.
 */
import { CloseCode } from '../base/close-codes.ts'
import { attempt } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainHost } from './host.ts'
import { drainReason, reconnectDelay } from './reconnect.ts'
import type { ReportBuilder } from './report-builder.ts'
import type { Schedule } from './schedule.ts'

export class CloseFrames {
  readonly #host: DrainHost
  readonly #builder: ReportBuilder
  readonly #schedule: Schedule

  constructor (host: DrainHost, builder: ReportBuilder, schedule: Schedule) {
    this.#host = host
    this.#builder = builder
    this.#schedule = schedule
  }

  /** Sends the close frame to a client whose turn comes in `wait` milliseconds. */
  send (connection: ManagedConnection, wait: number): void {
    const { reconnect, code, reason, mover } = this.#host
    if (mover.moved(connection)) return mover.end(connection)
    const delay = reconnectDelay(reconnect, wait)
    const text = attempt(() => drainReason(reason, connection, delay, this.#schedule.isBooked), (error) => this.#host.hookFailed(error, 'drain.reason')) ?? ''
    if (text !== '' && delay > 0) this.#builder.delayGiven(delay)
    connection.end(code === CloseCode.GoingAway ? 'leave' : 'drain', code, text, this.#builder.asked)
  }

  /** Sends the close frame before the turns of connections that wait; the client gets the next turn. */
  sendNow (connection: ManagedConnection): void {
    const now = this.#host.clock.now()
    const wait = this.#schedule.wait(now)
    this.#schedule.next(now, 1)
    this.send(connection, wait)
  }

  /**
   * Destroys the raw socket. `withFrame`: there is time for a close frame that was not sent yet. It arrives if the write queue
   * is empty, as most are.
   */
  terminate (connection: ManagedConnection, withFrame: boolean): void {
    const waits = connection.state === 'open' || connection.state === 'draining'
    if (waits && withFrame) this.sendNow(connection)
    if (!connection.gone) connection.kill('drain', this.#builder.asked)
  }
}
