/**
 * A ws server under the tracker's charge: its sockets are of the tracked class, each new one becomes a connection.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { WebSocket, WebSocketServer } from 'ws'
import { SOCKETS_ERR_CANNOT_ADOPT } from '../base/errors.ts'
import { connectionOf } from '../connection/of-socket.ts'
import { pack } from './released-memory.ts'
import { guardFields } from './replaced-methods.ts'
import { rawSocketOf } from '../base/internals.ts'
import { instrument, trackedClass } from './tracked-socket.ts'
import type { SocketPolicy } from './tracked-socket.ts'

/** What ws waits by default for the answer to a close frame, milliseconds. */
export const WS_CLOSE_TIMEOUT = 30_000

const kTaken = Symbol('fastify-websocket-lifecycle.taken')

type Server = WebSocketServer & { [kTaken]?: Acceptance, options: { WebSocket?: unknown } }

/** What happens to the sockets of a server. */
export interface Acceptance extends SocketPolicy {
  /** Milliseconds ws itself waits for an answer, unless the application says: above ours, which knows when the frame has left. */
  readonly closeTimeout: number
  /** A socket has opened. */
  accept (socket: WebSocket, request: IncomingMessage | undefined): void
}

/**
 * Takes a ws server: what it accepts from now on, and what it holds. Returns false where `acceptance` has it already.
 * Throws SOCKETS_ERR_CANNOT_ADOPT.
 */
export function takeServer (server: WebSocketServer, acceptance: Acceptance): boolean {
  const taken = server as Server
  if (typeof server?.on !== 'function' || typeof server.handleUpgrade !== 'function' || typeof taken.options !== 'object' || taken.options === null) {
    throw new SOCKETS_ERR_CANNOT_ADOPT('it is not a ws WebSocketServer')
  }
  if (taken[kTaken] === acceptance) return false
  if (taken[kTaken] !== undefined) throw new SOCKETS_ERR_CANNOT_ADOPT('another application tracks it')
  taken[kTaken] = acceptance
  const { options } = taken
  // Servers of other makes build their sockets themselves: those are instrumented one by one.
  if (typeof options.WebSocket === 'function') options.WebSocket = trackedClass(options.WebSocket as never, acceptance, server.clients) as never
  const waits = options as { closeTimeout?: number }
  if (waits.closeTimeout === undefined || waits.closeTimeout === WS_CLOSE_TIMEOUT) waits.closeTimeout = acceptance.closeTimeout
  server.prependListener('connection', (socket, request) => { accept(socket, request) })
  // Not everyone emits 'connection': @fastify/http-proxy goes on from the callback alone.
  const { handleUpgrade } = server
  server.handleUpgrade = (request, raw, head, callback) => {
    handleUpgrade.call(server, request, raw, head, (socket, request) => {
      accept(socket, request)
      callback(socket, request)
    })
  }
  // ws keeps a socket whose receiver a listener has broken for ever.
  for (const socket of server.clients ?? []) if (!(rawSocketOf(socket) as Socket | undefined)?.destroyed) accept(socket, undefined)
  return true

  function accept (socket: WebSocket, request: IncomingMessage | undefined): void {
    if (connectionOf(socket) !== undefined) return
    if ((rawSocketOf(socket) as Socket | undefined) === undefined) throw new SOCKETS_ERR_CANNOT_ADOPT('its sockets have no raw socket')
    if (typeof options.WebSocket !== 'function' || !(socket instanceof options.WebSocket)) instrument(socket, acceptance, server.clients)
    else guardFields(socket)
    pack(socket)
    acceptance.accept(socket, request)
  }
}
