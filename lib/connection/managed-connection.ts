/**
 * A connection: the state machine, and the parts that it is composed of.
 *
 * Each part has a file of its own and can be used alone; most are made when they are first needed, so that an idle connection stays
 * small. Only `enter` changes the state. ws/ tells the connection what its socket does; the policies and the drain hear of it by
 * hooks, and act on it.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { outside } from '../base/async-context.ts'
import { checkClose, CloseCode, escapeReason, truncateReason, type CloseCause } from '../base/close-codes.ts'
import { rejected } from '../base/deferred.ts'
import { SOCKETS_ERR_CLEANUP_DEADLOCK, SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { Attachments } from './attachments.ts'
import { CloseEventWait } from './close-event-wait.ts'
import { CleanupHooks, type CleaningConnection } from './cleanup-hooks.ts'
import { CleanupStack, type Cleanup } from './cleanups.ts'
import { callAtEnd, Closing, NO_CLOSE_FRAME, type ClosingConnection } from './closing.ts'
import { STATES, type ActOptions, type CloseRecord, type ConnectionData, type ConnectionState, type Message, type MessagesOptions } from './connection.ts'
import type { ConnectionFacts } from './facts.ts'
import type { ConnectionHost } from './host.ts'
import { Incoming } from './incoming.ts'
import { Labels, tagsOf } from './labels.ts'
import { Lifetimes } from './lifetimes.ts'
import { NEW, UNKNOWN, messageReceived, messagesSoFar, type Liveness, type Probe } from './liveness.ts'
import { note } from './note.ts'
import type { RouteSettings } from './settings.ts'
import { Signals } from './signals.ts'
import type { TraceContext } from './tracing.ts'
import type { Frame } from './transport.ts'
import { Work } from './work.ts'
import { untilWritable, type WritableOptions } from './writable.ts'

let lastId = 0

export class ManagedConnection implements ClosingConnection<ManagedConnection>, CleaningConnection<ManagedConnection>, Liveness {
  readonly id: number = ++lastId
  readonly host: ConnectionHost<ManagedConnection>
  readonly socket: WebSocket
  readonly route: string
  readonly ip: string
  readonly requestId: string
  readonly settings: RouteSettings
  /** Monotonic time of its start; whole milliseconds, because a small integer needs no heap memory. */
  readonly startedAt: number
  // Liveness, for the heartbeat.
  heard = true
  bytesSeen = NEW
  probe: Probe | null = null
  lastMessage = messagesSoFar()
  roundTrip = UNKNOWN
  /** Broadcasts under way that were not sent to it yet: track/broadcast.ts. */
  pendingBroadcasts: { readonly frame: Frame } | Array<{ readonly frame: Frame }> | undefined = undefined
  /** Wall time of its start; whole milliseconds since the start of the tracker, because a small integer needs no heap memory. */
  readonly #opened: number
  #state: ConnectionState = 'open'
  #gone = false
  #closing: Closing<ManagedConnection> | null = null
  #labels: Labels<ManagedConnection> | null = null
  #attachments: Attachments | null = null
  #work: Work<ManagedConnection> | null = null
  #incoming: Incoming<ManagedConnection> | null = null
  #lifetimes: Lifetimes<ManagedConnection> | null = null
  #signals: Signals | null = null
  #cleanups: CleanupStack | null = null

  constructor (host: ConnectionHost<ManagedConnection>, socket: WebSocket, facts: ConnectionFacts) {
    this.host = host
    this.socket = socket
    this.route = facts.route
    this.ip = facts.ip
    this.requestId = facts.requestId
    this.settings = facts.settings ?? host.settings
    this.startedAt = Math.ceil(host.clock.now())
    this.#opened = Math.round(host.clock.wallNow() - host.epoch)
    if (this.settings.idleTimeout !== false || this.settings.maxLifetime !== false) this.#lifetimes = new Lifetimes(this, this.settings)
    if (facts.request !== undefined) this.#attachments = new Attachments(facts.request)
    if (facts.owner !== undefined) this.setOwner(facts.owner)
    for (const part of host.hooks.accepted) part.accepted(this)
  }

  // ——— identity, labels and attachments (a private method or getter with # would cost every connection a field)

  get state (): ConnectionState { return this.#state }
  get openedAt (): number { return this.host.epoch + this.#opened }
  get owner (): string | undefined { return this.#labels?.owner }
  get tags (): ReadonlySet<string> { return tagsOf(this.#labels) }
  get rtt (): number | undefined { return this.roundTrip === UNKNOWN ? undefined : this.roundTrip / 1000 }
  get traceContext (): TraceContext | undefined { return this.host.tracing?.contextOf(this) }
  get request (): FastifyRequest | undefined { return this.#attachments?.request }
  get data (): ConnectionData { return this.attached.data }
  set data (data: ConnectionData) { this.attached.data = data }
  get log (): FastifyBaseLogger { return this.attached.log(() => this.host.childLogger(this)) }
  private get attached (): Attachments { return (this.#attachments ??= new Attachments(undefined)) }
  private get labelled (): Labels<ManagedConnection> { return (this.#labels ??= new Labels(this)) }

  setOwner (owner: string | undefined): boolean { return this.labelled.setOwner(owner) }
  handover (state: unknown): void { this.host.handovers.keep(this, state) }
  get handed (): unknown { return this.host.handovers.handed(this) }
  tag (...tags: string[]): void { this.labelled.add(tags) }
  untag (...tags: string[]): void { this.#labels?.remove(tags) }

  /** For loggers and JSON.stringify: leaves out what is private. */
  toJSON (): object { return { id: this.id, route: this.route, state: this.state, openedAt: this.openedAt } }

  // ——— lifetimes

  get idleTimeout (): number | false { return this.#lifetimes?.idleTimeout ?? false }
  set idleTimeout (timeout: number | false) { this.limited.idleTimeout = timeout }
  get maxLifetime (): number | false { return this.#lifetimes?.maxLifetime ?? false }
  set maxLifetime (lifetime: number | false) { this.limited.maxLifetime = lifetime }
  get expiresAt (): number | undefined { return this.#lifetimes?.expiresAt }
  set expiresAt (time: number | Date | undefined) { this.limited.expiresAt = time }
  private get limited (): Lifetimes<ManagedConnection> { return (this.#lifetimes ??= new Lifetimes(this, this.settings)) }

  // ——— messages

  get incoming (): Incoming<ManagedConnection> { return (this.#incoming ??= new Incoming(this)) }
  get messagesReceived (): number { return this.#incoming?.received ?? 0 }
  /** Whether `messages()` has a consumer. */
  get consumed (): boolean { return this.#incoming?.consumed === true }
  get muted (): boolean { return this.#incoming?.muted === true || this.#closing?.muted === true }

  messages (options: MessagesOptions = {}): AsyncIterableIterator<Message> { return this.incoming.messages(options) }

  /** A message has arrived. Returns whether it may be delivered to listeners. */
  received (data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean): boolean {
    messageReceived(this)
    this.settings.counters.received(data, isBinary)
    return this.incoming.receive(data, isBinary, this.#closing?.muted === true)
  }

  /** The limit of queued automatic pongs was reached. */
  pongsWait (): void { for (const part of this.host.hooks.pongsWait) part.pongsWait(this) }

  /** Whether a message to this connection must not be sent, because code of a connection that a drain has closed sends it. */
  get suppressed (): boolean { return this.host.suppression.applies(this) }

  sending (): void { for (const part of this.host.hooks.sending) part.sending(this) }
  sent (): void { for (const part of this.host.hooks.sent) part.sent(this) }
  writable (options: WritableOptions = {}): Promise<void> { return untilWritable(this.host, this, options) }

  // ——— work in flight

  get work (): Work<ManagedConnection> { return (this.#work ??= new Work(this)) }
  get working (): boolean { return this.#work?.inFlight === true }

  track<T extends PromiseLike<unknown>> (promise: T, name = 'track()'): T {
    this.work.track(promise, name, (err) => { note(this, 'warn', { err }, 'tracked work failed') })
    return promise
  }

  // ——— the close, for the application

  get drainSignal (): AbortSignal { return this.signalled.drain(this.#state === 'draining' || this.#closing?.drained === true) }
  get signal (): AbortSignal { return this.signalled.close(this.#closing !== null && (() => this.#closing!.toError())) }
  private get signalled (): Signals { return (this.#signals ??= new Signals()) }

  isAbortReason (error: unknown): boolean { return this.#signals?.isReason(error) === true }

  get closed (): Promise<CloseRecord> {
    if (this.#cleanups?.active) return rejected(new SOCKETS_ERR_CLEANUP_DEADLOCK('awaiting `closed`'))
    return this.signalled.closed(this.#closing?.record ?? null)
  }

  close (code: number = CloseCode.NormalClosure, reason: string = ''): Promise<CloseRecord> {
    this.end('application', code, reason)
    return this.closed
  }

  move (): Promise<boolean> { return this.host.mover.move(this) }

  terminate (): Promise<CloseRecord> {
    this.kill('application')
    return this.closed
  }

  defer (cleanup: Cleanup): () => void {
    if (typeof cleanup !== 'function') throw new SOCKETS_ERR_INVALID_ARGUMENT('defer()', 'given a function', typeof cleanup)
    const { deadlines, cleanupTimeout, hooks } = this.host
    const cleanups = this.#cleanups ??= new CleanupStack(deadlines, cleanupTimeout, new CleanupHooks(this))
    // Before it is announced, the close is still to run the cleanups.
    if (this.#closing?.announced) cleanups.run()
    const takeBack = outside(() => cleanups.push(cleanup))
    if (this.#state === 'closed' && !cleanups.settled) for (const part of hooks.lateCleanup) part.lateCleanup(this)
    return takeBack
  }

  // ——— the close, by the plugin

  startDraining (): void {
    if (!this.enter('draining')) return
    this.host.steps.add(this, 'draining')
    outside(() => {
      this.host.events.emit('draining', this)
      this.#signals?.abortDrain()
    })
  }

  /** Sends a close frame with a code of ours. Returns false if the connection was closing: the first cause wins. */
  end (cause: CloseCause, code: number, reason: string, asked?: ActOptions): boolean {
    checkClose(code, reason)
    outside(() => { this.sending() })
    const text = truncateReason(reason)
    return this.startClosing(cause, code, text, () => {
      const { hooks, transport } = this.host
      for (const part of hooks.ending) part.ending(this, code, text, cause)
      this.#closing!.muted = true
      transport.close(this.socket, code, text)
      // A stream without a kernel socket (injectWS) answers no close frame for 30 s.
      if (!transport.hasHandle(this.socket)) transport.terminate(this.socket)
    }, asked)
  }

  /** Destroys the raw socket, also if the connection is closing. */
  kill (cause: CloseCause, asked?: ActOptions): void {
    const terminate = () => this.host.transport.terminate(this.socket)
    if (!this.startClosing(cause, NO_CLOSE_FRAME, '', terminate, asked) && !this.#gone) outside(terminate)
  }

  /** Starts all cleanups that wait, without waiting for each other. */
  startCleanups (): void { this.#cleanups?.startAll() }

  /** Gives up the cleanups that still run, and the wait for 'close' of a socket whose raw socket is gone. */
  giveUp (): void {
    this.#cleanups?.giveUp()
    CloseEventWait.of(this)?.expire()
  }

  // ——— the close, reported by ws/

  /** The record as it would be now; null before the close. */
  get closeSoFar (): CloseRecord | null { return this.#closing?.soFar ?? null }
  /** What ends it; null before the close. */
  get ending (): Pick<Closing<ManagedConnection>, 'cause' | 'reason' | 'drained'> | null { return this.#closing }
  get gone (): boolean { return this.#gone }

  /** The peer's close frame has arrived (RFC 6455 §5.5.1). */
  peerClosing (code: number, reason: string): void {
    if (!this.startClosing('client', code, escapeReason(reason))) this.#closing!.receivedCode ??= code
    for (const part of this.host.hooks.answered) part.answered(this)
  }

  /** The socket closes, and not because of a close frame of the peer. */
  socketClosing (cause: 'application' | 'error' | 'protocol' | 'refused', code: number, reason: string): void {
    this.startClosing(cause, code, reason)
  }

  /** The raw socket is gone, and the socket has emitted 'close'. */
  socketClosed (): void {
    if (this.#gone) return
    this.#gone = true
    CloseEventWait.of(this)?.cancel()
    for (const part of this.host.hooks.gone) part.gone(this)
    this.startClosing('network', NO_CLOSE_FRAME, '')
    this.#closing!.socketGone()
  }

  /** The raw socket is gone; `emitted`: the socket has emitted 'close'. */
  rawClosed (emitted: boolean): void {
    if (emitted) this.socketClosed()
    else CloseEventWait.start(this)
  }

  // ——— the state machine

  /** The parts that were made. */
  get parts () { return { incoming: this.#incoming, signals: this.#signals, cleanups: this.#cleanups } }

  /** Calls code of the application that runs because the connection ends. A drain may suppress the messages of that code. */
  callAtEnd<T> (call: () => T): T { return callAtEnd(this, this.#closing?.cause, call) }

  cleanupsSettled (): void {
    if (this.#state === 'closed') for (const part of this.host.hooks.lateCleanupsSettled) part.lateCleanupsSettled(this)
    this.#closing!.finish()
  }

  enterClosed (): boolean { return this.enter('closed') }

  /** Changes the state, which nothing else does. Returns false for a step backwards. */
  private enter (state: ConnectionState): boolean {
    const [from, to] = [STATES.indexOf(this.#state), STATES.indexOf(state)]
    if (to <= from) return false
    this.settings.counters.moved(from, to)
    this.#state = state
    return true
  }

  private startClosing (cause: CloseCause, code: number, reason: string, act?: () => void, asked?: ActOptions): boolean {
    const drained = this.#state === 'draining'
    if (!this.enter('closing')) return false
    this.#closing = new Closing(this, cause, code, reason, drained, asked)
    this.#closing.start(act)
    return true
  }
}
