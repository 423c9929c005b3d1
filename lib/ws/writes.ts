/**
 * Writes encoded messages and pings to the raw socket, without the work of ws for each of them, if they overtake nothing. `send` of ws
 * is used if the socket compresses, has queued messages, is in the middle of a fragmented message, or is of an unknown version of ws.
 * A `send` that was replaced gets the message as it was given to `broadcast`.
 */
import { Buffer } from 'node:buffer'
import type { WebSocket } from 'ws'
import { SOCKETS_ERR_DRAINING } from '../base/errors.ts'
import { isThenable, toPromise } from '../base/guard.ts'
import { fault } from '../connection/faults.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { connectionOf } from '../connection/of-socket.ts'
import type { Frame } from '../connection/transport.ts'
import { messageFrame, PING, PING_FRAME } from './frames.ts'
import { compresses, isDirect, isMidMessage, isSendOfWs, rawSocketOf } from '../base/internals.ts'

/** Keys of the `send` of tracked sockets, and of the object whose `send` it calls. */
export const kSend = Symbol('fastify-websocket-lifecycle.send')
export const kBase = Symbol('fastify-websocket-lifecycle.base')

type Sending = WebSocket & { [kSend]?: unknown, [kBase]?: { send: unknown } }

const NOTHING = Buffer.alloc(0)

/** Sends a message. Returns whether the kernel has taken all of it at once. */
export function writeMessage (socket: WebSocket, { bytes, payload, text }: Frame): boolean {
  const replaced = isSendReplaced(socket)
  if (!replaced && isDirect(socket) && !isMidMessage(socket) && !compresses(socket)) {
    rawSocketOf(socket).write(bytes)
    const connection = connectionOf(socket)
    connection?.settings.counters.sent(payload.byteLength, true)
    connection?.sent()
  } else {
    const result = (replaced ? socket.send(text ?? payload) : socket.send(payload, { binary: text === undefined })) as unknown
    // A `send` of the application may be async.
    if (isThenable(result)) {
      toPromise(result).then(undefined, (error: unknown) => {
        const connection = connectionOf(socket)
        if (connection !== undefined) fault(connection, error)
      })
    }
  }
  return socket.bufferedAmount === 0
}

/** Sends a text message of this package, which a `send` of the application does not see. Returns false if it cannot be sent now. */
export function writeText (socket: Sending, text: string): boolean {
  if (socket.readyState !== socket.OPEN || isMidMessage(socket)) return false
  const { bytes, payload } = messageFrame(text)
  if (isDirect(socket)) rawSocketOf(socket).write(bytes)
  // It follows what ws still compresses.
  else Reflect.apply((socket[kBase] as WebSocket).send, socket, [payload, { binary: false, compress: false }])
  return true
}

/** Returns whether the application replaced `send`: on the socket, in its own class, or on `WebSocket.prototype`. */
function isSendReplaced ({ send, [kSend]: ours, [kBase]: base }: Sending): boolean {
  return send !== ours || base === undefined || !isSendOfWs(base.send)
}

/** Sends our ping. Calls `left` when the kernel has taken it, at once for most. */
export function writePing (socket: WebSocket, left: () => void): void {
  if (!isDirect(socket)) return socket.ping(PING, undefined, left)
  const raw = rawSocketOf(socket)
  raw.write(PING_FRAME)
  if (raw.writableLength === 0) left()
  // An empty write, whose callback follows all that is queued.
  else raw.write(NOTHING, left)
}

/** Counts what `send` was given: a message, or a fragment of one. */
export function countSent ({ settings: { counters } }: ManagedConnection, args: unknown[]): void {
  counters.sent(sizeOf(args[0]), (args[1] as { fin?: boolean } | null | undefined)?.fin !== false)
}

/** Returns the bytes that ws makes of what `send` was given: it converts numbers to text, arrays to bytes, and sends nothing of null. */
function sizeOf (data: unknown): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (typeof data === 'number') return String(data).length
  const bytes = (data ?? NOTHING) as { byteLength?: number, size?: number, length?: number }
  return bytes.byteLength ?? bytes.size ?? bytes.length ?? 0
}

/** Refuses a `send` as ws does on a socket that is closing: its callback, if there is one, gets an error. */
export function refuseSend (args: unknown[]): void {
  const done = args.at(-1)
  if (typeof done === 'function') process.nextTick(done, new SOCKETS_ERR_DRAINING())
}
