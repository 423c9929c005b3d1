/**
 * Messages and pings that go to the raw socket past what ws does for each of them, where nothing is overtaken by it. A socket
 * that compresses, has something in its queue, is in the middle of a fragmented message or whose `send` was replaced takes
 * plain `send`; so does every socket of a ws that we do not know. A `send` that was replaced gets what was broadcast, as it was given.
 */
import { Buffer } from 'node:buffer'
import type { WebSocket } from 'ws'
import { isThenable } from '../base/guard.ts'
import { fault } from '../connection/faults.ts'
import { connectionOf } from '../connection/of-socket.ts'
import type { Frame } from '../connection/transport.ts'
import { PING, PING_FRAME } from './frames.ts'
import { compresses, isDirect, isMidMessage, isSendOfWs, rawSocketOf } from '../base/internals.ts'

/** The `send` that a tracked socket has unless it was replaced, and the object with the `send` that this one calls. */
export const kSend = Symbol('fastify-websocket-lifecycle.send')
export const kBase = Symbol('fastify-websocket-lifecycle.base')

type Sending = WebSocket & { [kSend]?: unknown, [kBase]?: { send: unknown } }

const NOTHING = Buffer.alloc(0)

/** Sends a message; says whether the kernel has taken all of it at once. */
export function writeMessage (socket: WebSocket, { bytes, payload, text }: Frame): boolean {
  const replaced = isSendReplaced(socket)
  if (!replaced && isDirect(socket) && !isMidMessage(socket) && !compresses(socket)) {
    rawSocketOf(socket).write(bytes)
    connectionOf(socket)?.sent()
  } else {
    const result = (replaced ? socket.send(text ?? payload) : socket.send(payload, { binary: text === undefined })) as unknown
    // One of the application's own may be async.
    if (isThenable(result)) {
      Promise.resolve(result).then(undefined, (error: unknown) => {
        const connection = connectionOf(socket)
        if (connection !== undefined) fault(connection, error)
      })
    }
  }
  return socket.bufferedAmount === 0
}

/** Whether a `send` that is not that of ws is called: on the socket, in a class of the application, or on `WebSocket.prototype`. */
function isSendReplaced ({ send, [kSend]: ours, [kBase]: base }: Sending): boolean {
  return send !== ours || base === undefined || !isSendOfWs(base.send)
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
