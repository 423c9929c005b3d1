/**
 * Handshakes in progress: from the 'upgrade' event to the accepted socket, or to a refusal that closes TCP.
 *
 * The 'upgrade' listener of @fastify/websocket is replaced by one that checks admission first, so that a refused handshake runs no
 * hook. `handleUpgrade` checks again, for handshakes that waited in a hook. Each handshake is registered from its first step until
 * it is over, waits no longer than its deadline and the end of the drain, and is refused in one of two ways.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { Deadline } from '../base/deadlines.ts'
import { isFastifyWebsocket, rawSocketOf, responseOn } from '../base/internals.ts'
import { afterEarlierAnswers, answer, answerOverHttp, asksForWebSocket, bytesWritten, declineOffers, guardErrors, hasAllHeaders, isTaken, releaseErrors } from '../http/raw-socket.ts'
import { selectAlone, takeOffer } from '../http/subprotocol.ts'
import type { HandleUpgrade, HandshakeGuard } from '../ws/accept.ts'
import { isHandshake, kHandshake } from './handshake.ts'
import type { Handshake, Request } from './handshake.ts'
import type { HandshakeChecks } from './handshake-checks.ts'
import { bodyOf, refuse, statusOf } from './refusal-answers.ts'
import type { Refused } from './refusal-answers.ts'
import { StoreWait } from './store-wait.ts'
import { guardVerifier } from './verifier.ts'
import type { Verification } from './verifier.ts'

/** Name of the 'upgrade' listener in the source of @fastify/websocket, for logs. */
const LISTENER = 'onUpgrade'

type UpgradeListener = (request: IncomingMessage, raw: Duplex, head: Buffer) => void

/** The 'upgrade' listeners of all applications. */
const ours = new WeakSet<object>()

export class Handshakes implements HandshakeGuard, Verification {
  readonly #checks: HandshakeChecks
  readonly #inProgress = new Map<Duplex, Handshake>()
  #server: Server | null = null
  #listener: UpgradeListener | null = null
  /** The 'upgrade' listener of @fastify/websocket. */
  #dispatch: UpgradeListener | null = null
  /** Opens a WebSocket on the server of @fastify/websocket without its routes. */
  #upgrade: HandleUpgrade | null = null
  readonly #onClose: (this: Duplex) => void

  constructor (checks: HandshakeChecks) {
    this.#checks = checks
    const gone = (raw: Duplex): void => { this.#gone(raw) }
    this.#onClose = function () { gone(this) }
  }

  /**
   * Replaces the 'upgrade' listener of @fastify/websocket: the one that was not there `before` its registration. If the application
   * registered it, that is the only listener, or the one of several that has its source.
   */
  watch (server: Server, before: readonly Function[]): void {
    const added = (server.listeners('upgrade') as UpgradeListener[]).filter((listener) => !before.includes(listener))
    // The last of them: others belong to child contexts that were there before.
    const listener = added.length === 1 ? added[0] : added.findLast(isFastifyWebsocket)
    if (listener === undefined) return
    server.removeListener('upgrade', listener)
    this.#server = server
    this.#dispatch = listener
    this.#listener = (request, raw, head) => {
      // Another listener may take the socket without handling its errors.
      guardErrors(raw)
      const go = (): void => { afterEarlierAnswers(request, raw, () => { this.#arrived(request, raw, head) }) }
      if (server.listenerCount('upgrade') === 1 || server.listeners('upgrade').at(-1) === this.#listener) return go()
      // Listeners that were added later come first from now on.
      this.goLast()
      queueMicrotask(go)
    }
    server.on('upgrade', this.#listener)
    ours.add(this.#listener)
    declineOffers(server, server, ours)
  }

  /** The same for servers that pass their 'upgrade' events to the one that is watched. */
  watchSecondary (servers: Iterable<Server>): void {
    for (const server of servers) if (this.#server !== null) declineOffers(server, this.#server, ours)
  }

  /** Puts our listener behind all others: those take only their own handshakes, and Fastify answers every one, if only with 404. */
  goLast (): void {
    if (this.#listener === null) return
    this.#server?.removeListener('upgrade', this.#listener)
    this.#server?.on('upgrade', this.#listener)
  }

  /** Whether our listener is on the server. */
  get listening (): boolean {
    return this.#server?.listeners('upgrade').includes(this.#listener!) ?? false
  }

  /** Returns the names of the 'upgrade' listeners of others. */
  foreign (server: Server): string[] {
    return (server.listeners('upgrade') as UpgradeListener[])
      .filter((listener) => listener !== this.#listener)
      .map((listener) => isFastifyWebsocket(listener) ? LISTENER : listener.name || 'anonymous')
  }

  guard (server: WebSocketServer, handleUpgrade: HandleUpgrade): HandleUpgrade {
    const upgrade: HandleUpgrade = (request, raw, head, opened) => {
      guardVerifier(server, this)
      const wasEnded = raw.writableEnded
      handleUpgrade(request, raw, head, opened)
      // ws has not liked the method or a header. What a listener of 'wsClientError' answers is not known.
      if (!wasEnded && raw.writableEnded && server.listenerCount('wsClientError') === 0) this.declined(request, request.method === 'GET' ? 400 : 405)
    }
    this.#upgrade ??= upgrade
    server.on('headers', selectAlone)
    return (request, raw, head, opened) => {
      if (raw.destroyed) return
      takeOffer(request)
      // A second call for a handshake that is over: ws throws, and writes nothing to an open socket.
      if (isHandshake(request) && !this.isInProgress(request)) return upgrade(request, raw, head, opened)
      // Handshakes of an adopted server begin here.
      const handshake = this.#inProgress.get(raw) ?? this.#begin(request, raw, { counted: false })
      const refused = this.#checks.opening(request, raw)
      if (refused !== null) return this.#refuse(handshake, refused, head, upgrade)
      const open = (): void => { this.#openWithState(handshake, () => { upgrade(request, raw, head, opened) }) }
      const claimed = this.#checks.claim(request, raw, 'opening')
      if (claimed === null) return open()
      this.#afterClaim(handshake, claimed, head, () => {
        const full = this.#checks.opening(request, raw, true)
        if (full !== null) this.#refuse(handshake, full, head, upgrade)
        else open()
      }, upgrade)
    }
  }

  /** Opens a handshake when the state that was handed over to it is there. */
  #openWithState (handshake: Handshake, upgrade: () => void): void {
    const open = (): void => { this.#step(handshake, upgrade) }
    const taken = this.#checks.takeState(handshake.request)
    if (taken === null) return open()
    guardErrors(handshake.raw)
    this.#await(handshake)
    handshake.storeWait = new StoreWait(this.#checks.deadlines, taken, handshake.deadline!)
    void handshake.storeWait.over.then(() => { if (this.isInProgress(handshake.request)) open() })
  }

  /** Goes on with a handshake when it has the places that it has claimed, or refuses it. */
  #afterClaim (handshake: Handshake, claimed: PromiseLike<Refused | null>, head: Buffer, go: () => void, upgrade = this.#upgrade!): void {
    guardErrors(handshake.raw)
    this.#await(handshake)
    void claimed.then((refused) => {
      if (!this.isInProgress(handshake.request)) return
      if (refused !== null) this.#refuse(handshake, refused, head, upgrade)
      else go()
    })
  }

  opened (socket: WebSocket): void {
    const raw = rawSocketOf(socket)
    // ws has added its own listener. A second one would take memory as long as the socket is open.
    releaseErrors(raw)
    const handshake = this.#inProgress.get(raw)
    if (this.#end(handshake) && !handshake!.refused) this.#checks.opened(handshake!.request, this.#checks.clock.now() - handshake!.startedAt)
  }

  isInProgress (request: IncomingMessage): boolean {
    const handshake = (request as Request)[kHandshake]
    return handshake !== undefined && this.#inProgress.get(handshake.raw) === handshake
  }

  declined (request: IncomingMessage, status: number): void { (request as Request)[kHandshake]!.declined ??= status }

  /** A function of the application has thrown: answers 500, unless the handshake is over. */
  failed (request: IncomingMessage, error: unknown): void {
    this.#checks.failed(request, error)
    const { raw, trace } = (request as Request)[kHandshake]!
    if (!this.#end(this.#inProgress.get(raw))) return
    trace?.ended(500)
    answer(raw, 500)
  }

  /** Refuses the handshakes in progress. */
  refusePending (): void {
    for (const handshake of [...this.#inProgress.values()]) this.#cutOff(handshake, refuse('draining'))
  }

  /** Takes the listener off the server. */
  close (): void {
    if (this.#listener !== null) this.#server?.removeListener('upgrade', this.#listener)
  }

  /** Handles a handshake that is next on its raw socket. */
  #arrived (request: IncomingMessage, raw: Duplex, head: Buffer): void {
    const server = this.#server!
    // One of an adopted server waits.
    if (this.#inProgress.has(raw)) return
    if (isTaken(raw, server.listenerCount('upgrade') === 1)) {
      // The listener has ended its half; the client may not end the other.
      if (raw.writableEnded) raw.end(() => { raw.destroy() })
      return
    }
    // Node 26 has begun to parse a body that has not arrived whole: such a request cannot be read again, and fails as a handshake.
    if (!asksForWebSocket(request) && request.complete) {
      return hasAllHeaders(server, request, raw) ? answerOverHttp(server, request, raw, head) : answer(raw, 431)
    }
    takeOffer(request)
    const refused = this.#checks.arrived(request, raw)
    const handshake = this.#begin(request, raw, { counted: refused === null })
    if (refused !== null) return this.#refuse(handshake, refused, head, this.#upgrade!)
    const dispatch = (): void => { this.#step(handshake, () => { this.#dispatch!.call(server, request, raw, head) }) }
    const claimed = this.#checks.claim(request, raw, 'arrived')
    if (claimed === null) dispatch()
    else this.#afterClaim(handshake, claimed, head, dispatch)
  }

  #begin (request: IncomingMessage, raw: Duplex, { counted = false, refused = false }): Handshake {
    const handshake: Handshake = { request, raw, startedAt: this.#checks.clock.now(), written: bytesWritten(raw), counted, refused, trace: refused ? null : this.#checks.trace(request) }
    this.#inProgress.set(raw, handshake);
    (request as Request)[kHandshake] = handshake
    return handshake
  }

  /** Runs a step of a handshake, after which most are over. Errors of the step answer 500. */
  #step (handshake: Handshake, step: () => void): void {
    const { request, trace } = handshake
    try {
      if (trace === null) step()
      else trace.run(step)
    } catch (error) {
      // The handshake is over: the handler has thrown.
      if (!this.isInProgress(request)) throw error
      this.failed(request, error)
    }
    // A close frame that refuses it opens with a handshake of its own.
    if (this.#inProgress.get(handshake.raw) === handshake) this.#await(handshake)
  }

  /** Watches a handshake that waits for a hook, for `verifyClient`, or for places that nodes share. */
  #await (handshake: Handshake): void {
    const { raw } = handshake
    const { deadlines, timeout } = this.#checks
    if (handshake.deadline === undefined) {
      handshake.deadline = new Deadline(() => { this.#cutOff(handshake, refuse('handshake timeout')) })
      if (timeout !== false) deadlines.set(handshake.deadline, timeout)
      raw.on('close', this.#onClose)
    }
    // An HTTP answer ends the connection, which the client could keep open otherwise. Hooks do not see every answer: Fastify refuses a
    // malformed URL before them.
    const response = responseOn(raw)
    if (response === undefined || handshake.endsWithAnswer) return
    handshake.endsWithAnswer = true
    response.once('finish', () => {
      if (!this.#end(handshake)) return
      handshake.trace?.ended(response.statusCode)
      raw.destroy()
    })
  }

  /** Ends a handshake. Returns whether it was in progress. */
  #end (handshake: Handshake | undefined): boolean {
    if (handshake === undefined || this.#inProgress.get(handshake.raw) !== handshake) return false
    const { request, raw, deadline, storeWait, counted } = handshake
    this.#inProgress.delete(raw)
    if (deadline !== undefined) {
      raw.removeListener('close', this.#onClose)
      this.#checks.deadlines.cancel(deadline)
      storeWait?.cancel()
    }
    this.#checks.left(request, counted)
    return true
  }

  /** Ends the handshake of a raw socket that is gone. */
  #gone (raw: Duplex): void {
    const handshake = this.#inProgress.get(raw)
    if (this.#end(handshake)) handshake!.trace?.ended(handshake!.declined)
  }

  /** Refuses a handshake that waits. */
  #cutOff (handshake: Handshake, refused: Refused): void {
    const { raw, written } = handshake
    if (bytesWritten(raw) <= written) return this.#refuse(handshake, refused)
    // A hook has written an answer and left the connection open. 'close' may be emitted after the app has closed.
    raw.destroy()
    this.#gone(raw)
  }

  /** Refuses a handshake: with a close frame if that is configured and ws can open the socket, else over HTTP. */
  #refuse (handshake: Handshake, { reason, way }: Refused, head?: Buffer, upgrade?: HandleUpgrade): void {
    const { request, raw, refused, trace } = handshake
    this.#end(handshake)
    const open = way === 'close' && head !== undefined && upgrade !== undefined && !raw.destroyed
    trace?.refused(reason)
    trace?.ended(raw.destroyed ? undefined : open ? 101 : statusOf(reason))
    if (raw.destroyed) return
    if (!refused) this.#checks.refused(request, raw, reason)
    if (!open) return answer(raw, statusOf(reason), bodyOf(reason), reason === 'origin' ? undefined : this.#checks.retryAfter)
    this.#step(this.#begin(request, raw, { refused: true }), () => {
      upgrade(request, raw, head, (socket) => {
        // No route adds one: without isolation a protocol error of the peer would end the process.
        socket.on('error', () => {})
      })
    })
  }
}
