/**
 * The close of a connection, from the first cause to `closed` (RFC 6455 §7). Made when the close starts.
 *
 * The order is fixed: our close frame is sent, the 'closing' hooks are called, `signal` is aborted, the application's listeners
 * are called, the cleanups run. The state becomes `closed` once, when the raw socket is gone and the cleanups have settled.
 */
import type { WebSocket } from 'ws'
import { outside } from '../base/async-context.ts'
import type { CloseCause } from '../base/close-codes.ts'
import { SOCKETS_ERR_CLOSED } from '../base/errors.ts'
import type { ClosedError } from '../base/errors.ts'
import { AnswerDeadline } from './answer-deadline.ts'
import type { CleanupStack } from './cleanups.ts'
import type { ActOptions, CloseRecord, Connection } from './connection.ts'
import type { ConnectionHost } from './host.ts'
import { recordedRequestId, recordedRoute } from './facts.ts'
import { unanswered, type Liveness } from './liveness.ts'
import type { Signals } from './signals.ts'

/** Close code if no close frame was received (RFC 6455 §7.1.5); never sent. */
export const NO_CLOSE_FRAME = 1006

/** What a close needs of its connection. */
export interface ClosingConnection<C> extends Connection, Liveness {
  readonly host: ConnectionHost<C>
  readonly socket: WebSocket
  /** Monotonic time of its start, milliseconds. */
  readonly startedAt: number
  /** Whether the raw socket is gone. */
  readonly gone: boolean
  /** The parts that were made. */
  readonly parts: { readonly incoming: { readonly received: number, readonly dropped: number, stop (): void, end (): void } | null, readonly signals: Signals | null, readonly cleanups: CleanupStack | null }
  /** Calls code of the application that runs because the connection ends. */
  callAtEnd<T> (call: () => T): T
  /** Moves the state to `closed`. Returns false if it was `closed`. */
  enterClosed (): boolean
}

/** Calls code of the application that runs because the connection ends: in no async context but that of its trace, if it has one. */
export function callAtEnd<C extends Connection & { readonly host: Pick<ConnectionHost<C>, 'suppression' | 'tracing'> }, T> (connection: C, cause: CloseCause | undefined, call: () => T): T {
  const { suppression, tracing } = connection.host
  const traced = tracing === null ? call : () => tracing.callAtEnd(connection, call)
  return outside(() => cause === 'drain' || cause === 'leave' || cause === 'moved' ? suppression.call(connection, traced) : traced())
}

export class Closing<C extends ClosingConnection<C>> {
  readonly cause: CloseCause
  readonly code: number
  readonly reason: string
  /** Whether the connection was draining before. */
  readonly drained: boolean
  /** Whether messages that arrive are not delivered, because our close frame was sent. */
  muted = false
  /** Whether all 'closing' hooks and listeners were called; the connection cannot be closed before. */
  announced = false
  /** The record, once the connection is closed. */
  record: CloseRecord | null = null
  /** Code of the peer's close frame, once it has arrived. */
  receivedCode: number | null
  readonly #connection: C
  readonly #asked: ActOptions | undefined
  // At the start of the close, which ends both.
  readonly #startedAt: number
  readonly #unanswered: number
  readonly #unsent: number
  #answer: AnswerDeadline | null = null

  /** `asked`: who has asked for the close, and why. */
  constructor (connection: C, cause: CloseCause, code: number, reason: string, drained: boolean, asked: ActOptions | undefined) {
    const { host: { clock, transport }, socket } = connection
    this.#connection = connection
    this.#asked = asked
    this.#startedAt = clock.now()
    this.#unanswered = unanswered(connection, this.#startedAt)
    this.#unsent = transport.pendingBytes(socket)
    this.receivedCode = cause === 'client' ? code : null
    this.cause = cause
    this.code = code
    this.reason = reason
    this.drained = drained
  }

  /** Takes the steps of a close that wait for nothing; `act` sends our close frame, or destroys the raw socket. */
  start (act?: () => void): void {
    const connection = this.#connection
    const { host, socket, parts } = connection
    const byPeer = this.cause === 'client' || this.cause === 'network'
    if (byPeer) for (const part of host.hooks.left) part.left(connection)
    outside(() => {
      act?.()
      // A paused socket hides the peer's close frame.
      if (!connection.gone) host.transport.resume(socket)
    })
    if (!connection.gone) this.#answer = new AnswerDeadline(host, socket, this.cause !== 'slow')
    // Messages that a client sent before its close are delivered; after our close they are not.
    if (byPeer) parts.incoming?.stop()
    else parts.incoming?.end()
    connection.callAtEnd(() => {
      for (const part of host.hooks.closing) part.closing(connection)
      connection.parts.signals?.abortClose(() => this.toError())
      host.events.emit('closing', connection)
    })
    this.announced = true
    outside(() => { connection.parts.cleanups?.run() })
    this.finish()
  }

  /** The raw socket is gone: ends the wait for an answer. */
  socketGone (): void {
    this.#answer?.cancel()
    this.finish()
  }

  /** The last step, once the raw socket is gone and the cleanups have settled. */
  finish (): void {
    const connection = this.#connection
    const { host, parts: { cleanups, signals } } = connection
    if (!connection.gone || !this.announced || !(cleanups?.settled ?? true) || !connection.enterClosed()) return
    const record = this.record = this.#toRecord()
    host.steps.delete(connection)
    signals?.resolveClosed(record)
    for (const part of host.hooks.closed) part.closed(connection, record)
    connection.callAtEnd(() => { host.events.emit('closed', connection, record) })
  }

  /** The record as it would be now. */
  get soFar (): CloseRecord { return this.record ?? this.#toRecord() }

  /** Makes the reason of `connection.signal`. */
  toError (): ClosedError {
    const error = new SOCKETS_ERR_CLOSED(`${this.cause}, code ${this.code}${this.reason === '' ? '' : `, ${this.reason}`}`)
    return Object.assign(error, { closeCause: this.cause, closeCode: this.code, closeReason: this.reason }) as unknown as ClosedError
  }

  #toRecord (): CloseRecord {
    const { host: { clock, steps, transport }, id, requestId, route, openedAt, startedAt, socket, parts: { incoming } } = this.#connection
    const record: CloseRecord = {
      id,
      requestId: recordedRequestId(requestId),
      route: recordedRoute(route),
      cause: this.cause,
      code: this.code,
      reason: this.reason,
      clean: transport.closedCleanly(socket),
      receivedCode: this.receivedCode,
      openedAt,
      // Not from `openedAt`: the wall clock may have been set. `startedAt` is rounded up.
      duration: since(startedAt, clock.now()),
      age: since(startedAt, this.#startedAt),
      steps: steps.of(this.#connection),
      unanswered: this.#unanswered,
      unsent: this.#unsent,
      bytesReceived: transport.bytesReceived(socket),
      bytesSent: transport.bytesSent(socket),
      messages: incoming?.received ?? 0,
      dropped: incoming?.dropped ?? 0
    }
    // Most records have neither.
    if (this.#asked?.by !== undefined) record.by = this.#asked.by
    if (this.#asked?.why !== undefined) record.why = this.#asked.why
    return record
  }
}

/** Returns the whole milliseconds from the start of a connection, which was rounded up, to a later time. */
function since (startedAt: number, now: number): number { return Math.max(0, Math.round(now - startedAt)) }
