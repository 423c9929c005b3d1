/**
 * Messages and pings that go to the raw socket past what ws does for each of them, where nothing is overtaken by it. A socket
 * that compresses, has something in its queue, is in the middle of a fragmented message or whose `send` was replaced takes
 * plain `send`; so does every socket of a ws that we do not know.
 */
import { Buffer } from 'node:buffer'
import type { WebSocket } from 'ws'
import { isThenable } from '../core/guard.ts'
import { connectionOf } from '../core/socket.ts'
import type { Frame } from '../core/socket.ts'
import { PING, PING_FRAME } from './frames.ts'
import { compresses, isDirect, isMidMessage, rawSocketOf } from './ws-internals.ts'

/** Where a socket's class says which `send` it has while nobody has replaced it; undefined where the application's own class has one. */
export const kSend = Symbol('fastify-websocket-lifecycle.send')

const NOTHING = Buffer.alloc(0)

/** Sends a message; says whether the kernel has taken all of it at once. */
export function writeMessage (socket: WebSocket, { bytes, payload, isBinary }: Frame): boolean {
  if (isDirect(socket) && !isMidMessage(socket) && !compresses(socket) && socket.send === (socket as { [kSend]?: unknown })[kSend]) {
    rawSocketOf(socket).write(bytes)
    connectionOf(socket)?.sent()
  } else {
    const result = socket.send(payload, { binary: isBinary }) as unknown
    // One of the application's own may be async.
    if (isThenable(result)) Promise.resolve(result).then(undefined, (error: unknown) => { connectionOf(socket)?.fault(error) })
  }
  return socket.bufferedAmount === 0
}

/** Sends our ping; `left` is called when the kernel has taken it, as a rule at once. */
export function writePing (socket: WebSocket, left: () => void): void {
  if (!isDirect(socket)) return socket.ping(PING, undefined, left)
  const raw = rawSocketOf(socket)
  raw.write(PING_FRAME)
  if (raw.writableLength === 0) left()
  // Nothing, behind all that waits.
  else raw.write(NOTHING, left)
}
