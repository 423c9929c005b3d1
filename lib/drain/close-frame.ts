/**
 * The last words to one connection: its close frame with the delay after which to come back, or the end without one.
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

  constructor (host: DrainHost, builder: ReportBuilder) {
    this.#host = host
    this.#builder = builder
  }

  /** Sends the close frame; `index` is its place in the order of all. */
  send (connection: ManagedConnection, index: number): void {
    const { clock, reconnect, code, reason } = this.#host
    const { total } = this.#builder
    // Before the clock is read again: the first frame is not sent in the future.
    const first = this.#builder.firstFrameAt()
    const delay = reconnectDelay(reconnect, Math.min(index, total - 1), total, clock.now() - first)
    const text = attempt(() => drainReason(reason, connection, delay), (error) => this.#host.hookFailed(error, 'drain.reason')) ?? ''
    if (text !== '') this.#builder.delayGiven(delay)
    connection.end(code === CloseCode.GoingAway ? 'leave' : 'drain', code, text)
  }

  /**
   * Destroys the raw socket. A frame that did not get its turn goes out first where there is time for it: most queues are
   * empty, and it arrives.
   */
  kill (connection: ManagedConnection, told: boolean): void {
    const waits = connection.state === 'open' || connection.state === 'draining'
    if (waits && told) this.send(connection, Math.floor(this.#host.random() * this.#builder.total))
    if (!connection.gone) connection.kill('drain')
  }
}
