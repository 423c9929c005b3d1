/**
 * The end of one connection in a drain: its close frame with a reconnect delay, or the destruction of its raw socket.
 */
import { CloseCode } from '../base/close-codes.ts'
import { attempt } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainHost } from './host.ts'
import { drainReason, reconnectDelay } from './reconnect.ts'
import type { ReportBuilder } from './report-builder.ts'

export class CloseFrames {
  readonly #host: DrainHost
  readonly #builder: ReportBuilder
  #firstAt = -1

  constructor (host: DrainHost, builder: ReportBuilder) {
    this.#host = host
    this.#builder = builder
  }

  /** Sends the close frame; `index` is its place in the order of all frames. */
  send (connection: ManagedConnection, index: number): void {
    const { clock, reconnect, code, reason } = this.#host
    const { total } = this.#builder
    const now = clock.now()
    if (this.#firstAt === -1) this.#firstAt = now
    const delay = reconnectDelay(reconnect, Math.min(index, total - 1), total, now - this.#firstAt)
    const text = attempt(() => drainReason(reason, connection, delay), (error) => this.#host.hookFailed(error, 'drain.reason')) ?? ''
    if (text !== '') this.#builder.delayGiven(delay)
    connection.end(code === CloseCode.GoingAway ? 'leave' : 'drain', code, text)
  }

  /**
   * Destroys the raw socket. `withFrame`: there is time for a close frame that was not sent yet. It arrives if the write queue
   * is empty, as most are.
   */
  terminate (connection: ManagedConnection, withFrame: boolean): void {
    const waits = connection.state === 'open' || connection.state === 'draining'
    if (waits && withFrame) this.send(connection, Math.floor(this.#host.random() * this.#builder.total))
    if (!connection.gone) connection.kill('drain')
  }
}
