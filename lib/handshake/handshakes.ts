/**
 * Handshakes under way: from the 'upgrade' event to the accepted socket, or to a refusal that closes TCP.
 *
 * @fastify/websocket's own 'upgrade' listener is replaced by one that asks the door first, so that a refused handshake runs
 * no hook; `handleUpgrade` asks again, for one that spent the time in a hook. All handshakes take this one road: each is
 * known from its first step until it is over, may wait for no longer than its deadline and the end of the drain, and is
 * refused in one of two ways.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { isFastifyWebsocket, rawSocketOf, responseOn } from '../base/internals.ts'
import type { Refusal } from '../track/events.ts'
import { afterEarlierAnswers, answer, answerOverHttp, asksForWebSocket, bytesWritten, declineOffers, endSoon, guardErrors, hasAllHeaders, isTaken, releaseErrors } from '../http/upgrade-request.ts'
import { guardVerifier } from './verifier.ts'
import type { Verification } from './verifier.ts'

/** Name of @fastify/websocket's 'upgrade' listener, in its source. */
const LISTENER = 'onUpgrade'

type UpgradeListener = (request: IncomingMessage, raw: Duplex, head: Buffer) => void

/** Why a handshake is turned away, and how. */
export interface Refused {
  readonly reason: Refusal['reason']
  /** HTTP status of the answer. */
  readonly status: number
  /** An HTTP answer, or an open socket that is closed at once, which browsers can see. */
  readonly way: 'http' | 'close'
}

/** What the gate asks and tells. */
export interface HandshakeChecks {
  /** Seconds for `Retry-After`. */
  readonly retryAfter: number
  /** Milliseconds a handshake may take. */
  readonly timeout: number | false
  /** In time that passes only while the event loop runs: a stall is not theirs to pay for. */
  readonly deadlines: Deadlines
  /** A handshake has arrived: null lets it in. One that is let in is over with `left`. */
  arrived (request: IncomingMessage, raw: Duplex): Refused | null
  /** It would open now. */
  opening (request: IncomingMessage, raw: Duplex): Refused | null
  /** One that was let in is over: opened, refused or gone. */
  left (): void
  /** A handshake was turned away. */
  refused (request: IncomingMessage, raw: Duplex, reason: Refusal['reason']): void
  /** Code of the application's that decides about a handshake has thrown. */
  failed (request: IncomingMessage, error: unknown): void
}

/** A handshake under way. */
interface Handshake {
  readonly request: IncomingMessage
  readonly raw: Duplex
  /** Bytes that had been written on its socket before. */
  readonly written: number
  /** Whether the door has let it in, and is to be told when it is over. */
  readonly counted: boolean
  /** Whether it is refused already, and opens only to be closed. */
  readonly refused: boolean
  deadline?: Deadline
}

/** Has ws open a socket: it calls back at once, or when `verifyClient` has answered. */
type Upgrade = (request: IncomingMessage, raw: Duplex, head: Buffer, opened: (socket: WebSocket, request: IncomingMessage) => void) => void

/** Where a request has its handshake. */
const kHandshake = Symbol('fastify-websocket-lifecycle.handshake')

type Request = IncomingMessage & { [kHandshake]?: Handshake }

export const DRAINING: Refused = { reason: 'draining', status: 503, way: 'http' }
const TOO_LONG: Refused = { reason: 'handshake timeout', status: 503, way: 'http' }

/** What is said beside the status. */
const BODIES: Partial<Record<Refusal['reason'], string>> = {
  draining: 'The server is restarting.\n',
  'handshake timeout': 'The handshake took too long.\n'
}

/** Says whether a handshake is refused, and its socket to be closed as soon as it is open. */
export function isRefused (request: IncomingMessage): boolean {
  return (request as Request)[kHandshake]?.refused === true
}

/** The 'upgrade' listeners of all applications. */
const ours = new WeakSet<object>()

export class Handshakes implements Verification {
  readonly #checks: HandshakeChecks
  readonly #underWay = new Map<Duplex, Handshake>()
  #server: Server | null = null
  #listener: UpgradeListener | null = null
  /** @fastify/websocket's own. */
  #dispatch: UpgradeListener | null = null
  /** Opens a socket on @fastify/websocket's server, whatever its routes say. */
  #upgrade: Upgrade | null = null
  readonly #forget: (this: Duplex) => void

  constructor (door: HandshakeChecks) {
    this.#checks = door
    const forget = (raw: Duplex): void => { this.#take(this.#underWay.get(raw)) }
    this.#forget = function () { forget(this) }
  }

  /**
   * Puts the door in front of @fastify/websocket's listener: the one that was not there `before` its registration. Where that
   * is not known, for it is the application's, the only listener; among several it is known by what it calls.
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
      // Also where another listener has taken it: nothing says that it guards it.
      guardErrors(raw)
      const go = (): void => { afterEarlierAnswers(request, raw, () => { this.#arrived(request, raw, head) }) }
      if (server.listenerCount('upgrade') === 1 || server.listeners('upgrade').at(-1) === this.#listener) return go()
      // Others were added later, and come first from now on.
      this.goLast()
      queueMicrotask(go)
    }
    server.on('upgrade', this.#listener)
    ours.add(this.#listener)
    declineOffers(server, server, ours)
  }

  /** The same for servers whose 'upgrade' events are handed on to the one that is watched. */
  watchSecondary (servers: Iterable<Server>): void {
    for (const server of servers) if (this.#server !== null) declineOffers(server, this.#server, ours)
  }

  /** Puts our listener behind all others: they take what is theirs, while Fastify answers everything, with 404 if need be. */
  goLast (): void {
    if (this.#listener === null) return
    this.#server?.removeListener('upgrade', this.#listener)
    this.#server?.on('upgrade', this.#listener)
  }

  /** Whether our listener is on the server. */
  get listening (): boolean {
    return this.#server?.listeners('upgrade').includes(this.#listener!) ?? false
  }

  /** Names of the 'upgrade' listeners that are not ours. */
  foreign (server: Server): string[] {
    return (server.listeners('upgrade') as UpgradeListener[])
      .filter((listener) => listener !== this.#listener)
      .map((listener) => isFastifyWebsocket(listener) ? LISTENER : listener.name || 'anonymous')
  }

  /** Has a ws server ask the door before it opens a socket. */
  guard (server: WebSocketServer): void {
    const { handleUpgrade } = server
    const upgrade: Upgrade = (request, raw, head, opened) => {
      guardVerifier(server, this)
      handleUpgrade.call(server, request, raw, head, opened)
    }
    this.#upgrade ??= upgrade
    server.handleUpgrade = (request, raw, head, callback) => {
      if (raw.destroyed) return
      // Called again for a handshake that is over: ws throws, and writes nothing to an open socket.
      if ((request as Request)[kHandshake] !== undefined && !this.isUnderWay(request)) return upgrade(request, raw, head, callback)
      // One of an adopted server begins here.
      const handshake = this.#underWay.get(raw) ?? this.#begin(request, raw, { counted: false })
      const refused = this.#checks.opening(request, raw)
      if (refused === null) this.#step(handshake, () => { upgrade(request, raw, head, callback) })
      else this.#refuse(handshake, refused, head, upgrade)
    }
  }

  /** It has opened. */
  opened (socket: WebSocket): void {
    const raw = rawSocketOf(socket)
    // ws has a listener of its own by now; a second one would cost memory for as long as the socket lives.
    releaseErrors(raw)
    this.#take(this.#underWay.get(raw))
  }

  isUnderWay (request: IncomingMessage): boolean {
    const handshake = (request as Request)[kHandshake]
    return handshake !== undefined && this.#underWay.get(handshake.raw) === handshake
  }

  /** Code of the application's has thrown: 500, unless it is over. */
  failed (request: IncomingMessage, error: unknown): void {
    this.#checks.failed(request, error)
    const { raw } = (request as Request)[kHandshake]!
    if (this.#take(this.#underWay.get(raw))) answer(raw, 500)
  }

  /** Ends the handshakes that still wait. */
  refusePending (): void {
    for (const handshake of [...this.#underWay.values()]) this.#end(handshake, DRAINING)
  }

  /** Takes the listener off the server. */
  close (): void {
    if (this.#listener !== null) this.#server?.removeListener('upgrade', this.#listener)
  }

  /** It is its turn to be let in. */
  #arrived (request: IncomingMessage, raw: Duplex, head: Buffer): void {
    const server = this.#server!
    if (isTaken(raw, server.listenerCount('upgrade') === 1)) {
      // Ended by a listener that does not wait for the client to end its half.
      if (raw.writableEnded) endSoon(raw)
      return
    }
    // A body that is not here yet, Node 26 has begun to parse: that request is refused as a handshake.
    if (!asksForWebSocket(request) && request.complete) {
      return hasAllHeaders(server, request, raw) ? answerOverHttp(server, request, raw, head) : answer(raw, 431)
    }
    const refused = this.#checks.arrived(request, raw)
    const handshake = this.#begin(request, raw, { counted: refused === null })
    if (refused === null) this.#step(handshake, () => { this.#dispatch!.call(server, request, raw, head) })
    else this.#refuse(handshake, refused, head, this.#upgrade!)
  }

  #begin (request: IncomingMessage, raw: Duplex, { counted = false, refused = false }): Handshake {
    const handshake: Handshake = { request, raw, written: bytesWritten(raw), counted, refused }
    this.#underWay.set(raw, handshake);
    (request as Request)[kHandshake] = handshake
    return handshake
  }

  /** Goes on with a handshake; as a rule it is over when that returns, and waits for nothing. */
  #step (handshake: Handshake, step: () => void): void {
    const { request } = handshake
    try {
      step()
    } catch (error) {
      // It has opened: what a handler throws is not a matter of the handshake.
      if (!this.isUnderWay(request)) throw error
      this.failed(request, error)
    }
    if (this.isUnderWay(request)) this.#await(handshake)
  }

  /** It waits for a hook, or for `verifyClient`. */
  #await (handshake: Handshake): void {
    if (handshake.deadline !== undefined) return
    const { raw } = handshake
    const { deadlines, timeout } = this.#checks
    handshake.deadline = new Deadline(() => { this.#end(handshake, TOO_LONG) })
    if (timeout !== false) deadlines.set(handshake.deadline, timeout)
    raw.on('close', this.#forget)
    // What is answered over HTTP ends its connection, or the client would hold it; no hook hears of all of them: Fastify
    // answers a malformed URL by itself.
    responseOn(raw)?.once('finish', () => { if (this.#take(handshake)) raw.destroy() })
  }

  /** It is no longer under way; says whether it was. */
  #take (handshake: Handshake | undefined): boolean {
    if (handshake === undefined || this.#underWay.get(handshake.raw) !== handshake) return false
    const { raw, deadline, counted } = handshake
    this.#underWay.delete(raw)
    if (deadline !== undefined) {
      raw.removeListener('close', this.#forget)
      this.#checks.deadlines.cancel(deadline)
    }
    if (counted) this.#checks.left()
    return true
  }

  /** Ends one that waits. */
  #end (handshake: Handshake, refused: Refused): void {
    const { raw, written } = handshake
    // It was answered, but its connection left open.
    if (bytesWritten(raw) > written) raw.destroy()
    else this.#refuse(handshake, refused)
  }

  /** Refuses one that is under way: by a close frame where that is wanted and ws can open it, else over HTTP. */
  #refuse (handshake: Handshake, { reason, status, way }: Refused, head?: Buffer, upgrade?: Upgrade): void {
    const { request, raw, refused } = handshake
    this.#take(handshake)
    if (raw.destroyed) return
    if (!refused) this.#checks.refused(request, raw, reason)
    if (way === 'http' || head === undefined || upgrade === undefined) return answer(raw, status, BODIES[reason], status === 403 ? undefined : this.#checks.retryAfter)
    this.#step(this.#begin(request, raw, { refused: true }), () => {
      upgrade(request, raw, head, (socket) => {
        // No handler of @fastify/websocket adds one: without isolation, what a peer does wrong now would end the process.
        socket.on('error', () => {})
      })
    })
  }
}
