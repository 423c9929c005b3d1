/**
 * How a connection ends: the first cause with its code and reason, the wait for the peer's answer, and the record
 * that is left. Made when the close starts, so that an open connection does not carry it.
 */
import { AnswerDeadline } from './answer-deadline.ts'
import type { CloseCause } from '../base/close-codes.ts'
import type { CloseRecord } from './connection.ts'
import type { ConnectionHost } from './host.ts'
import { SOCKETS_ERR_CLOSED } from '../base/errors.ts'
import type { ClosedError } from '../base/errors.ts'
import type { Identity } from './identity.ts'
import type { Vitals } from './liveness.ts'

/** What an endpoint reports when it received no close frame (RFC 6455 §7.1.5); never sent. */
export const NO_CLOSE_FRAME = 1006

export class CloseHandshake {
  readonly cause: CloseCause
  readonly code: number
  readonly reason: string
  /** Whether it was told before that the server leaves. */
  readonly drained: boolean
  /** Whether everyone was told that it is closing; it cannot be closed before. */
  announced = false
  /** What is left, once it is closed. */
  record: CloseRecord | null = null
  #answer: AnswerDeadline | null = null

  constructor (cause: CloseCause, code: number, reason: string, drained: boolean) {
    this.cause = cause
    this.code = code
    this.reason = reason
    this.drained = drained
  }

  /** Starts the time the peer has. */
  awaitAnswer (host: ConnectionHost, connection: Identity): void {
    this.#answer = new AnswerDeadline(host, connection.socket, this.cause !== 'slow')
  }

  /** The raw socket is gone. */
  answered (): void {
    this.#answer?.cancel()
  }

  /** What `connection.signal` is aborted with. */
  toError (): ClosedError {
    const error = new SOCKETS_ERR_CLOSED(`${this.cause}, code ${this.code}${this.reason === '' ? '' : `, ${this.reason}`}`)
    return Object.assign(error, { closeCause: this.cause, closeCode: this.code, closeReason: this.reason }) as unknown as ClosedError
  }

  toRecord (host: ConnectionHost, connection: Vitals, messages: number, dropped: number): CloseRecord {
    const { clock, transport } = host
    const { id, route, openedAt, bornAt, socket } = connection
    return (this.record = {
      id,
      route,
      cause: this.cause,
      code: this.code,
      reason: this.reason,
      clean: transport.closedCleanly(socket),
      openedAt,
      // Not by `openedAt`: the wall clock may have been set meanwhile. `bornAt` is rounded up.
      duration: Math.max(0, Math.round(clock.now() - bornAt)),
      bytesReceived: transport.bytesReceived(socket),
      bytesSent: transport.bytesSent(socket),
      messages,
      dropped
    })
  }
}
