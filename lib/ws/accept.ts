/**
 * Tracking of a ws server: its sockets get the tracked class, each handshake passes the guard, and each new socket becomes a
 * connection.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { SOCKETS_ERR_CANNOT_ADOPT } from '../base/errors.ts'
import { rawSocketOf } from '../base/internals.ts'
import { connectionOf } from '../connection/of-socket.ts'
import { pack } from './released-memory.ts'
import { guardFields } from './replaced-methods.ts'
import { instrument, trackedClass } from './tracked-socket.ts'
import type { SocketPolicy } from './tracked-socket.ts'

/** Default of ws for its option `closeTimeout`, milliseconds. */
export const WS_CLOSE_TIMEOUT = 30_000

const kAcceptance = Symbol('fastify-websocket-lifecycle.acceptance')

type Server = WebSocketServer & { [kAcceptance]?: Acceptance, options: { WebSocket?: unknown } }

/** What happens to the sockets of a server. */
export interface Acceptance extends SocketPolicy {
  /** Milliseconds that ws waits for an answer to a close frame by default. Longer than our own deadline, which starts when the frame has left. */
  readonly closeTimeout: number
  /** Makes a socket that has opened a connection. */
  accept (socket: WebSocket, request: IncomingMessage | undefined): void
}

/** `handleUpgrade` of ws: opens a socket at once, or when `verifyClient` has answered. */
export type HandleUpgrade = (request: IncomingMessage, raw: Duplex, head: Buffer, opened: (socket: WebSocket, request: IncomingMessage) => void) => void

/** Decides about the handshakes of a server. */
export interface HandshakeGuard {
  /** Returns what replaces `handleUpgrade`, and calls `upgrade` for the handshakes that may open. */
  guard (server: WebSocketServer, upgrade: HandleUpgrade): HandleUpgrade
  /** A handshake is over: its socket has opened. */
  opened (socket: WebSocket): void
}

/**
 * Tracks a ws server: the sockets that it accepts from now on, and those that it has. Returns false if `acceptance` tracks it already.
 * Throws SOCKETS_ERR_CANNOT_ADOPT.
 */
export function trackServer (server: WebSocketServer, acceptance: Acceptance, guard: HandshakeGuard): boolean {
  const taken = server as Server
  if (typeof server?.on !== 'function' || typeof server.handleUpgrade !== 'function' || typeof taken.options !== 'object' || taken.options === null) {
    throw new SOCKETS_ERR_CANNOT_ADOPT('it is not a ws WebSocketServer')
  }
  if (taken[kAcceptance] === acceptance) return false
  if (taken[kAcceptance] !== undefined) throw new SOCKETS_ERR_CANNOT_ADOPT('another application tracks it')
  taken[kAcceptance] = acceptance
  const { options } = taken
  // A server without a class for its sockets creates them in its own way: each is instrumented by itself.
  if (typeof options.WebSocket === 'function') options.WebSocket = trackedClass(options.WebSocket as never, acceptance, server.clients) as never
  const timeouts = options as { closeTimeout?: number }
  if (timeouts.closeTimeout === undefined || timeouts.closeTimeout === WS_CLOSE_TIMEOUT) timeouts.closeTimeout = acceptance.closeTimeout
  server.prependListener('connection', (socket, request) => { accept(socket, request) })
  const { handleUpgrade } = server
  server.handleUpgrade = guard.guard(server, (request, raw, head, opened) => {
    handleUpgrade.call(server, request, raw, head, (socket, request) => {
      // Here, too: @fastify/http-proxy emits no 'connection'.
      accept(socket, request)
      opened(socket, request)
    })
  })
  // ws keeps a socket whose receiver was broken by a listener in `clients` for ever.
  for (const socket of server.clients ?? []) if (!(rawSocketOf(socket) as Socket | undefined)?.destroyed) accept(socket, undefined)
  return true

  function accept (socket: WebSocket, request: IncomingMessage | undefined): void {
    if (connectionOf(socket) !== undefined) return
    if ((rawSocketOf(socket) as Socket | undefined) === undefined) throw new SOCKETS_ERR_CANNOT_ADOPT('its sockets have no raw socket')
    if (typeof options.WebSocket !== 'function' || !(socket instanceof options.WebSocket)) instrument(socket, acceptance, server.clients)
    else guardFields(socket)
    pack(socket)
    guard.opened(socket)
    acceptance.accept(socket, request)
  }
}
