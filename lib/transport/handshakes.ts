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
import type { WebSocketServer } from 'ws'
import { Deadline } from '../core/deadlines.ts'
import type { Deadlines } from '../core/deadlines.ts'
import type { Refusal } from '../core/events.ts'
import { rawSocketOf } from './ws-socket.ts'

/** Name of @fastify/websocket's 'upgrade' listener. */
const LISTENER = 'onUpgrade'

type UpgradeListener = (request: IncomingMessage, raw: Duplex, head: Buffer) => void

/** What the gate asks and tells. */
export interface Door {
  /** Whether handshakes are let in. */
  readonly accepting: boolean
  /** Seconds for `Retry-After`. */
  readonly retryAfter: number
  /** Milliseconds a handshake may take. */
  readonly timeout: number | false
  /** In time that passes only while the event loop runs: a stall is not theirs to pay for. */
  readonly deadlines: Deadlines
  /** A handshake has arrived. */
  arrived (raw: Duplex): void
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

/** What a client is told whose handshake is turned away. */
const REFUSALS = {
  draining: { status: 503, body: 'The server is restarting.\n' },
  'handshake timeout': { status: 503, body: 'The handshake took too long.\n' }
} as const

export class Handshakes {
  readonly #door: Door
  readonly #pending = new Map<Duplex, Pending>()
  readonly #guarded = new Set<WebSocketServer>()
  #server: Server | null = null
  #listener: UpgradeListener | null = null
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
    this.#listener = (request, raw, head) => {
      if (isTaken(raw, server.listenerCount('upgrade') === 1) || !this.#enter(request, raw)) return
      listener.call(server, request, raw, head)
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
    if (this.#guarded.has(server)) return
    this.#guarded.add(server)
    const { handleUpgrade } = server
    server.handleUpgrade = (request, raw, head, callback) => {
      if (this.#door.accepting) return handleUpgrade.call(server, request, raw, head, callback)
      this.#refuse(request, raw, 'draining')
    }
    server.prependListener('connection', (socket) => {
      const raw = rawSocketOf(socket)
      raw.removeListener('close', this.#forget)
      this.#take(raw)
    })
  }

  /** A request has been answered over HTTP: a handshake that was ends its connection, or the client would hold it. */
  answered (raw: Duplex | undefined): void {
    if (raw !== undefined && this.#take(raw)) raw.destroy()
  }

  /** Ends the handshakes that still wait in a hook. */
  refusePending (): void {
    for (const [raw, pending] of [...this.#pending]) this.#end(raw, pending, 'draining')
  }

  /** Takes the listener off the server. */
  close (): void {
    if (this.#listener !== null) this.#server?.removeListener('upgrade', this.#listener)
  }

  #enter (request: IncomingMessage, raw: Duplex): boolean {
    this.#door.arrived(raw)
    const { accepting, deadlines, timeout } = this.#door
    if (!accepting) {
      this.#refuse(request, raw, 'draining')
      return false
    }
    const pending: Pending = {
      request,
      written: bytesWritten(raw),
      deadline: new Deadline(() => { this.#end(raw, pending, 'handshake timeout') })
    }
    this.#pending.set(raw, pending)
    if (timeout !== false) deadlines.set(pending.deadline, timeout)
    raw.once('close', this.#forget)
    return true
  }

  /** It is no longer under way; says whether it was. */
  #take (raw: Duplex): boolean {
    const pending = this.#pending.get(raw)
    if (pending === undefined) return false
    this.#door.deadlines.cancel(pending.deadline)
    return this.#pending.delete(raw)
  }

  /** Ends one that waits in a hook. */
  #end (raw: Duplex, { request, written }: Pending, reason: keyof typeof REFUSALS): void {
    // Somebody has answered, but left the connection open.
    if (bytesWritten(raw) > written) raw.destroy()
    else this.#refuse(request, raw, reason)
  }

  #refuse (request: IncomingMessage, raw: Duplex, reason: keyof typeof REFUSALS): void {
    this.#take(raw)
    raw.removeListener('close', this.#forget)
    if (raw.destroyed) return
    this.#door.refused(request, raw, reason)
    const { status, body } = REFUSALS[reason]
    // Node has taken its error listener off before 'upgrade'; an error now must not reach the process.
    raw.on('error', () => { raw.destroy() })
    raw.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nRetry-After: ${this.#door.retryAfter}\r\n` +
      `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      () => { raw.destroy() })
  }
}

function bytesWritten (raw: Duplex): number {
  return (raw as Duplex & { bytesWritten?: number }).bytesWritten ?? 0
}

/**
 * Whether somebody else has taken the handshake: http-proxy assigns a response, ws reads, NestJS ends what is not its own.
 * Where ours is the only listener, whoever reads just counts the bytes.
 */
function isTaken (raw: Duplex, alone: boolean): boolean {
  return raw.destroyed || raw.writableEnded || (raw as { _httpMessage?: unknown })._httpMessage != null ||
    (!alone && raw.listenerCount('data') > 0)
}
