/**
 * One connection: its state machine, and everything that must happen exactly once on its way to `closed`.
 *
 * Only `#enter` changes the state. Everything rare (signals, cleanups, tags, iterator, logger) is made when it is first
 * asked for, so that an idle connection stays small. The transport tells it what the socket does; it never listens.
 */
import type { WebSocket } from 'ws'
import { outside } from '../base/async-context.ts'
import { CleanupStack } from './cleanups.ts'
import type { Cleanup, CleanupObserver } from './cleanups.ts'
import { CloseCode, escapeReason, isSendable, truncateReason } from '../base/close-codes.ts'
import type { CloseCause } from '../base/close-codes.ts'
import { STATES } from './connection.ts'
import type { CloseRecord, Connection, ConnectionState } from './connection.ts'
import type { ConnectionFacts, ConnectionHost } from './host.ts'
import { Deadline } from '../base/deadlines.ts'
import { deferred, rejected } from '../base/deferred.ts'
import { CloseHandshake, NO_CLOSE_FRAME } from './close-handshake.ts'
import {
  SOCKETS_ERR_CLEANUP_DEADLOCK, SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_INVALID_CLOSE_CODE, drainingError, isAbortError
} from '../base/errors.ts'
import { nameOf } from '../base/guard.ts'
import { LazySignal } from './lazy-signal.ts'
import { Traffic } from './traffic.ts'
import { untilWritable } from './writable.ts'
import type { WritableOptions } from './writable.ts'

export class ManagedConnection extends Traffic implements Connection, CleanupObserver {
  #state: ConnectionState = 'open'
  #closeHandshake: CloseHandshake | null = null
  #gone = false

  constructor (host: ConnectionHost, socket: WebSocket, facts: ConnectionFacts) {
    super(host, socket, facts)
    if (facts.owner !== undefined) this.setOwner(facts.owner)
    host.registry.add(this)
  }

  // ——— what users read

  get state (): ConnectionState { return this.#state }

  get drainSignal (): AbortSignal {
    return (this.extras.drainSignal ??= new LazySignal()).read((this.#state === 'draining' || this.#closeHandshake?.drained === true) && drainingError)
  }

  get signal (): AbortSignal {
    const closeHandshake = this.#closeHandshake
    return (this.extras.signal ??= new LazySignal()).read(closeHandshake !== null && (() => closeHandshake.toError()))
  }

  get closed (): Promise<CloseRecord> {
    if (this.rare?.cleanups?.active) return rejected(new SOCKETS_ERR_CLEANUP_DEADLOCK('awaiting `closed`'))
    const closed = this.extras.closed ??= deferred()
    const record = this.#closeHandshake?.record
    if (record != null) closed.resolve(record)
    return closed.promise
  }

  // ——— what users do

  defer (cleanup: Cleanup): () => void {
    if (typeof cleanup !== 'function') throw new SOCKETS_ERR_INVALID_ARGUMENT('defer()', 'given a function', typeof cleanup)
    const { deadlines, cleanupTimeout, registry } = this.host
    let cleanups = this.rare?.cleanups
    if (cleanups === undefined) {
      cleanups = this.extras.cleanups = new CleanupStack(deadlines, cleanupTimeout, this)
      // Before that it waits with the others.
      if (this.#closeHandshake?.announced) cleanups.run()
    }
    const takeBack = outside(() => cleanups.push(cleanup))
    if (this.#state === 'closed' && !cleanups.settled) registry.late.add(this)
    return takeBack
  }

  close (code: number = CloseCode.NormalClosure, reason: string = ''): Promise<CloseRecord> {
    this.end('application', code, reason)
    return this.closed
  }

  terminate (): Promise<CloseRecord> {
    this.kill('application')
    return this.closed
  }

  writable (options: WritableOptions = {}): Promise<void> { return untilWritable(this.host, this, options) }

  // ——— what policies do

  /** Whether the raw socket is gone. */
  get gone (): boolean { return this.#gone }

  /** Tells it that the server is leaving. */
  startDraining (): void {
    if (!this.#enter('draining')) return
    outside(() => {
      this.host.events.emit('draining', this)
      this.rare?.drainSignal?.abort(drainingError)
    })
  }

  /** Sends a close frame with a code of ours. The first cause wins; returns false when it was closing already. */
  end (cause: CloseCause, code: number, reason: string): boolean {
    if (!isSendable(code)) throw new SOCKETS_ERR_INVALID_CLOSE_CODE(code)
    if (typeof reason !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('reason', 'a string', typeof reason)
    outside(() => { this.sending() })
    const text = truncateReason(reason)
    return this.#startClosing(cause, code, text, () => {
      const { transport } = this.host
      this.mute()
      transport.close(this.socket, code, text)
      // A stream without a kernel socket (injectWS) answers no close frame for 30 s.
      if (!transport.hasHandle(this.socket)) transport.terminate(this.socket)
    })
  }

  /** Destroys the raw socket, also when it is closing already. */
  kill (cause: CloseCause): void {
    const terminate = () => this.host.transport.terminate(this.socket)
    if (!this.#startClosing(cause, NO_CLOSE_FRAME, '', terminate) && !this.#gone) outside(terminate)
  }

  /** Whether what its listeners throw stays with it. */
  get isolated (): boolean { return this.host.isolation }

  /** Starts every cleanup that still waits. */
  rushCleanups (): void { this.rare?.cleanups?.rush() }

  /** Gives up every cleanup that still runs, and a socket that has lost its raw socket and does not tell. */
  giveUp (): void {
    this.rare?.cleanups?.giveUp()
    if (this.rare?.untold !== undefined) this.socketClosed()
  }

  // ——— what the transport tells

  /** The peer's close frame is here (RFC 6455 §5.5.1). */
  peerClosing (code: number, reason: string): void {
    this.#startClosing('client', code, escapeReason(reason))
    this.host.observer?.answered(this)
  }

  /** Somebody else closes the socket: the application, ws after a breach of protocol, @fastify/websocket on a plain route. */
  socketClosing (cause: 'application' | 'protocol' | 'refused' | 'slow', code: number, reason: string): void {
    // After a fault it is the user's errorHandler that closes.
    this.#startClosing(cause === 'application' && (this.rare?.faulting || this.muted) ? 'error' : cause, code, reason)
  }

  /** The raw socket is gone. */
  socketClosed (): void {
    if (this.#gone) return
    this.#gone = true
    this.host.registry.gone++
    this.#startClosing('network', NO_CLOSE_FRAME, '')
    this.#closeHandshake?.answered()
    if (this.rare?.untold !== undefined) this.host.deadlines.cancel(this.rare.untold)
    this.host.gatekeeper?.gone(this)
    this.host.observer?.gone(this)
    this.#finish()
  }

  /** The raw socket is gone; `told` says whether 'close' has been emitted on the socket above. */
  rawClosed (told: boolean): void {
    if (told) return this.socketClosed()
    // As a rule ws tells one turn later. If not, it is inflating what came last, a close frame maybe; or a listener that
    // threw has broken its receiver, and it never will.
    const { clock, deadlines, closeTimeout } = this.host
    clock.setImmediate(() => {
      if (this.#gone) return
      const untold = this.extras.untold = new Deadline(() => this.socketClosed())
      deadlines.set(untold, closeTimeout)
    })
  }

  /** A listener threw or rejected: the connection ends, nobody else notices. */
  fault (error: unknown): void {
    if (this.isExpected(error)) return
    this.mute()
    outside(() => {
      this.noteFault(error)
      this.host.report(error, this)
    })
    this.end('error', this.host.errorCode, 'internal error')
  }

  /** The route's handler threw or rejected. */
  handlerFailed (error: unknown): void {
    // Before anything was received it is a failed start, which @fastify/websocket answers by terminating.
    if (this.messagesReceived > 0 || this.isEnding) return this.fault(error)
    // ws delivers what it has read already when its raw socket is destroyed.
    this.mute()
    this.noteFault(error)
    this.host.report(error, this)
    this.kill('error')
  }

  /** Runs the application's errorHandler: a close in it is for the error. */
  blame (errorHandler: () => unknown): unknown {
    this.extras.faulting = true
    try {
      return errorHandler()
    } finally {
      this.extras.faulting = false
    }
  }

  /** Counts a fault and tells whoever listens; reporting it is another's. */
  noteFault (error: unknown): void {
    this.host.registry.counters.faults++
    this.host.events.emit('error', error, this)
  }

  /**
   * Calls code that runs because this connection ends: close listeners, abort handlers, events, cleanups. It runs outside of
   * the context of what ended the connection; what it sends to other connections is the drain's to suppress.
   */
  callAtEnd<T> (call: () => T): T {
    const { suppression } = this.host
    const cause = this.#closeHandshake?.cause
    return outside(() => suppression !== null && (cause === 'drain' || cause === 'leave') ? suppression.call(this, call) : call())
  }

  // ——— what its own parts tell

  cleanupTook (cleanup: Cleanup, duration: number): void { this.host.observer?.cleanupTook(this, cleanup, duration) }
  cleanupFinished (): void { this.host.registry.counters.cleanups.finished++ }

  cleanupFailed (err: unknown): void {
    this.host.registry.counters.cleanups.failed++
    this.note('error', { err }, 'cleanup failed')
    this.host.events.emit('error', err, this)
  }

  cleanupAbandoned (cleanup: Cleanup): void {
    this.host.registry.counters.cleanups.abandoned++
    this.note('error', { cleanup: nameOf(cleanup) }, 'cleanup given up: it did not settle in time')
    this.host.observer?.cleanupAbandoned(this, cleanup)
  }

  cleanupsSettled (): void {
    if (this.host.registry.late.delete(this)) this.host.observer?.cleaned(this)
    this.#finish()
  }

  // ——— the state machine

  protected get isEnding (): boolean { return this.#state === 'closing' || this.#state === 'closed' }

  /** The one place where the state changes; late requests are ignored. */
  #enter (state: ConnectionState): boolean {
    if (STATES.indexOf(state) <= STATES.indexOf(this.#state)) return false
    this.#state = state
    return true
  }

  /** Everything that happens when a connection starts to close, once; `act` puts our frame out, or cuts it off. */
  #startClosing (cause: CloseCause, code: number, reason: string, act?: () => void): boolean {
    const drained = this.#state === 'draining'
    if (!this.#enter('closing')) return false
    const closeHandshake = this.#closeHandshake = new CloseHandshake(cause, code, reason, drained)
    if (cause === 'client' || cause === 'network') this.host.observer?.left(this)
    outside(() => {
      act?.()
      // A paused socket hides the peer's close frame.
      if (!this.#gone) this.host.transport.resume(this.socket)
    })
    if (!this.#gone) closeHandshake.awaitAnswer(this.host, this)
    // What a client sent before it left was received in full; after a close of ours nobody wants it.
    if (cause === 'client' || cause === 'network') this.stopMessages()
    else this.endMessages()
    this.callAtEnd(() => {
      this.rare?.signal?.abort(() => closeHandshake.toError())
      this.host.events.emit('closing', this)
    })
    closeHandshake.announced = true
    // Broadcasts behind a fragmented message, whose end nobody will send.
    if (this.rare?.held !== undefined) this.rare.held = undefined
    outside(() => { this.rare?.cleanups?.run() })
    this.#finish()
    return true
  }

  /** The last step, once the raw socket is gone and the cleanups have settled. */
  #finish (): void {
    if (!this.#gone || !this.#closeHandshake!.announced || !(this.rare?.cleanups?.settled ?? true) || !this.#enter('closed')) return
    const record = this.#closeHandshake!.toRecord(this.host, this, this.messagesReceived, this.messagesDropped)
    this.host.registry.remove(this, record)
    this.rare?.closed?.resolve(record)
    this.host.observer?.closed(this, record)
    this.callAtEnd(() => { this.host.events.emit('closed', this, record) })
  }

  /** While draining or closing, an abort is what user code was told to do, not a failure. */
  isExpected (error: unknown): boolean {
    if (this.#state === 'open') return false
    const expected = isAbortError(error) || Boolean(this.rare?.signal?.hasReason(error) || this.rare?.drainSignal?.hasReason(error))
    if (expected) this.note('debug', { err: error }, 'aborted while closing')
    return expected
  }
}
