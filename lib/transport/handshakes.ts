/**
 * Handshakes on their way: from the 'upgrade' event to the accepted socket, or to a refusal that closes TCP.
 *
 * @fastify/websocket's own 'upgrade' listener is replaced by one that looks at the door first, so that a refused
 * handshake runs no hook; `handleUpgrade` is guarded too, so that one that spent the time in a hook is looked at again.
 * Whatever hangs in a hook for ever is known here and can be ended.
 */
import type { IncomingMessage, Server } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { Deadline } from '../core/deadlines.ts'
import type { Deadlines } from '../core/deadlines.ts'
import type { Refusal } from '../core/events.ts'
import { afterEarlierAnswers, bytesWritten, endSoon, guardErrors, isTaken, releaseErrors, responseOn } from './upgrades.ts'
import { rawSocketOf } from './ws-internals.ts'

/** Name of @fastify/websocket's 'upgrade' listener. */
const LISTENER = 'onUpgrade'

type UpgradeListener = (request: IncomingMessage, raw: Duplex, head: Buffer) => void

/** Why a handshake is turned away, and how. */
export interface Refused {
  readonly reason: Refusal['reason']
  /** HTTP status of the answer. */
  readonly status: number
  /** Whether the client is let in only to be told by a close frame, which browsers can see. */
  readonly byClose: boolean
}

/** What the gate asks and tells. */
export interface Door {
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
}

/** A handshake under way. */
interface Pending {
  readonly request: IncomingMessage
  /** Bytes that had been written on its socket before. */
  readonly written: number
  readonly deadline: Deadline
}

/** Where a request says that its socket is to be closed as soon as it is open. */
export const kRefused = Symbol('fastify-websocket-lifecycle.refused')

export const DRAINING: Refused = { reason: 'draining', status: 503, byClose: false }
const TOO_LONG: Refused = { reason: 'handshake timeout', status: 503, byClose: false }

/** What is said beside the status. */
const BODIES: Partial<Record<Refusal['reason'], string>> = {
  draining: 'The server is restarting.\n',
  'handshake timeout': 'The handshake took too long.\n'
}

export class Handshakes {
  readonly #door: Door
  /** Is being let in right now: as a rule it has opened before the listener returns, and needs no more than this. */
  #entering: Duplex | null = null
  readonly #pending = new Map<Duplex, Pending>()
  #server: Server | null = null
  #listener: UpgradeListener | null = null
  /** @fastify/websocket's own. */
  #dispatch: UpgradeListener | null = null
  /** Opens a socket on @fastify/websocket's server, whatever its routes say. */
  #upgrade: WebSocketServer['handleUpgrade'] | null = null
  readonly #forget: (this: Duplex) => void

  constructor (door: Door) {
    this.#door = door
    const forget = (raw: Duplex) => { this.#take(raw) }
    this.#forget = function () { forget(this) }
  }

  /** Puts the door in front of @fastify/websocket's listener. */
  watch (server: Server): void {
    // The last of the name: others belong to child contexts that were there before.
    const listener = (server.listeners('upgrade') as UpgradeListener[]).findLast(({ name }) => name === LISTENER)
    if (listener === undefined) return
    server.removeListener('upgrade', listener)
    this.#server = server
    this.#dispatch = listener
    this.#listener = (request, raw, head) => {
      // Also where another listener has taken it: nothing says that it guards it.
      guardErrors(raw)
      afterEarlierAnswers(request, raw, () => { this.#arrived(request, raw, head) })
    }
    server.on('upgrade', this.#listener)
  }

  /** Puts our listener behind all others: they take what is theirs, while Fastify answers everything, with 404 if need be. */
  goLast (): void {
    if (this.#listener === null) return
    this.#server?.removeListener('upgrade', this.#listener)
    this.#server?.on('upgrade', this.#listener)
  }

  /** 'upgrade' listeners that are not ours. */
  foreign (server: Server): string[] {
    return (server.listeners('upgrade') as UpgradeListener[])
      .filter((listener) => listener !== this.#listener)
      .map((listener) => listener.name || 'anonymous')
  }

  /** Looks again when a handshake would open. */
  guard (server: WebSocketServer): void {
    const { handleUpgrade } = server
    this.#upgrade ??= handleUpgrade.bind(server)
    server.handleUpgrade = (request, raw, head, callback) => {
      const refused = this.#door.opening(request, raw)
      if (refused === null) return handleUpgrade.call(server, request, raw, head, callback)
      this.#refuse(request, raw, refused, head)
    }
  }

  /** It has opened. */
  opened (socket: WebSocket): void {
    const raw = rawSocketOf(socket)
    // ws has a listener of its own by now; a second one would cost memory for as long as the socket lives.
    releaseErrors(raw)
    this.#take(raw)
  }

  /** Ends the handshakes that still wait in a hook. */
  refusePending (): void {
    for (const [raw, pending] of [...this.#pending]) this.#end(raw, pending, DRAINING)
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
    const refused = this.#door.arrived(request, raw)
    if (refused !== null) return this.#refuse(request, raw, refused, head)
    const written = bytesWritten(raw)
    // A hook may let another one in (`injectWS`), or throw past whoever listens.
    const outer = this.#entering
    this.#entering = raw
    try {
      this.#dispatch!.call(server, request, raw, head)
    } finally {
      if (this.#entering === raw) this.#await(request, raw, written)
      this.#entering = outer
    }
  }

  /** It waits in a hook. */
  #await (request: IncomingMessage, raw: Duplex, written: number): void {
    const { deadlines, timeout } = this.#door
    const pending: Pending = { request, written, deadline: new Deadline(() => { this.#end(raw, pending, TOO_LONG) }) }
    this.#pending.set(raw, pending)
    if (timeout !== false) deadlines.set(pending.deadline, timeout)
    raw.on('close', this.#forget)
    // What is answered over HTTP ends its connection, or the client would hold it; no hook hears of all of them: Fastify
    // answers a malformed URL by itself.
    responseOn(raw)?.once('finish', () => { if (this.#take(raw)) raw.destroy() })
  }

  /** It is no longer under way; says whether it was. */
  #take (raw: Duplex): boolean {
    const pending = this.#pending.get(raw)
    if (pending !== undefined) {
      raw.removeListener('close', this.#forget)
      this.#door.deadlines.cancel(pending.deadline)
      this.#pending.delete(raw)
    } else if (this.#entering === raw) {
      this.#entering = null
    } else {
      return false
    }
    this.#door.left()
    return true
  }

  /** Ends one that waits in a hook. */
  #end (raw: Duplex, { request, written }: Pending, refused: Refused): void {
    // Somebody has answered, but left the connection open.
    if (bytesWritten(raw) > written) raw.destroy()
    else this.#refuse(request, raw, refused)
  }

  #refuse (request: IncomingMessage, raw: Duplex, { reason, status, byClose }: Refused, head?: Buffer): void {
    this.#take(raw)
    if (raw.destroyed) return
    this.#door.refused(request, raw, reason)
    if (byClose && head !== undefined && this.#upgrade !== null) {
      (request as IncomingMessage & { [kRefused]?: true })[kRefused] = true
      return this.#upgrade(request, raw, head, (socket) => {
        // No handler of @fastify/websocket adds one: without isolation, what a peer does wrong now would end the process.
        socket.on('error', () => {})
      })
    }
    const body = BODIES[reason] ?? `${STATUS_CODES[status]!}\n`
    guardErrors(raw)
    raw.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n${status === 403 ? '' : `Retry-After: ${this.#door.retryAfter}\r\n`}` +
      `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      () => { raw.destroy() })
  }
}
