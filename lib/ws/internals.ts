/**
 * What `ws` keeps to itself and we use: the only file that touches it. Where a version of ws looks different, what is read
 * here has the answer with which everybody takes the way of ws itself: plain `send`, `ping` and `close`, nothing shared.
 *
 * Without `_socket`, which `createWebSocketStream` users and Node's own `upgrade` event know as the raw socket, there is
 * nothing to track.
 */
import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { WebSocket } from 'ws'
import { encode, Opcode } from './frames.ts'

interface Internals {
  _socket: Socket
  _sender: Sender
  _receiver: Writable & { _writableState?: { errorEmitted?: boolean }, _extensions?: object }
  _extensions: object
  _closeFrameSent: boolean
  _closeFrameReceived: boolean
  _closeCode: number
  _closeMessage: Buffer
  _pendingAutoPongs: number
  _maxPendingAutoPongs: number
}

interface Sender {
  _state: number
  _queue: unknown[]
  _firstFragment: boolean
  _extensions: Record<string, unknown>
  _bufferedBytes?: number
  constructor: { frame?: (data: Buffer, options: FrameOptions) => Buffer[] }
}

interface FrameOptions { fin: boolean, opcode: number, mask: boolean, rsv1: boolean, readOnly: boolean }

/** A method that its own class has, and none that is made of it. */
export const OWN_METHOD = 'setSocket'

type Inside = WebSocket & Partial<Internals>

const inside = (socket: WebSocket): Inside => socket as Inside

// ——— its streams

/** The raw socket below. */
export function rawSocketOf (socket: WebSocket): Socket { return inside(socket)._socket! }

export function receiverOf (socket: WebSocket): Writable | undefined { return inside(socket)._receiver }

/** Whether ws holds input that it has not parsed yet. */
export function holdsInput (socket: WebSocket): boolean { return (receiverOf(socket)?.writableLength ?? 0) > 0 }

/** Whether what the peer sends was no WebSocket any more. */
export function isBroken (socket: WebSocket): boolean { return inside(socket)._receiver?._writableState?.errorEmitted === true }

/**
 * Has ws end no peer for the pongs that wait: it counts them within one read, before a single one can leave, so after a stall
 * it ends healthy peers. A negative limit is none for ws, and keeps the number.
 */
export function takePongLimit (socket: WebSocket): void {
  const own = inside(socket)
  if ((own._maxPendingAutoPongs ?? 0) > 0) own._maxPendingAutoPongs = -own._maxPendingAutoPongs!
}

/** Whether `times` as many automatic pongs wait as may, by `maxPendingAutoPongs` of ws. */
export function pongsWait (socket: WebSocket, times: number): boolean {
  const { _pendingAutoPongs: pending = 0, _maxPendingAutoPongs: most = 0 } = inside(socket)
  return most < 0 && pending >= -most * times
}

// ——— closing

/** Whether our close frame has left ws. */
export function closeFrameSent (socket: WebSocket): boolean { return inside(socket)._closeFrameSent === true }

/** Whether the peer's close frame is here. */
export function closeFrameReceived (socket: WebSocket): boolean { return inside(socket)._closeFrameReceived === true }

/** What was in it. */
export function peerCode (socket: WebSocket): number { return inside(socket)._closeCode ?? 1005 }
export function peerReason (socket: WebSocket): string { return String(inside(socket)._closeMessage ?? '') }

// ——— sending

/** Bytes that ws has yet to hand to the raw socket. */
export function bytesInSender (socket: WebSocket): number { return inside(socket)._sender?._bufferedBytes ?? 0 }

/** Whether a frame written to the raw socket comes after all that was sent before. */
export function isDirect (socket: WebSocket): boolean {
  const { _sender: sender, _socket: raw } = inside(socket)
  return sender !== undefined && raw !== undefined && isKnown(sender) && sender._state === 0 && sender._queue.length === 0 && socket.readyState === socket.OPEN
}

/** Whether the application is in the middle of a fragmented message: another may not be sent before its end (RFC 6455 §5.4). */
export function isMidMessage (socket: WebSocket): boolean {
  const { _sender: sender } = inside(socket)
  return sender !== undefined && isKnown(sender) && !sender._firstFragment
}

/** Whether `permessage-deflate` was negotiated (RFC 7692 §7). */
export function compresses (socket: WebSocket): boolean {
  return inside(socket)._sender?._extensions?.['permessage-deflate'] !== undefined
}

/** Whether the senders of a class are as we know them, and the last class that was: as a rule there is no other. */
const known = new WeakMap<object, boolean>()
let latest: object | null = null

/** Payload lengths at which the header changes (RFC 6455 §5.2). */
const LENGTHS = [0, 125, 126, 65_535, 65_536]

function isKnown (sender: Sender): boolean {
  if (sender.constructor === latest) return true
  let answer = known.get(sender.constructor)
  if (answer === undefined) known.set(sender.constructor, answer = examine(sender))
  if (answer) latest = sender.constructor
  return answer
}

/** Whether what we rely on is there, and ws encodes as we do. */
function examine (sender: Sender): boolean {
  const { _state: state, _queue: queue, _firstFragment: first, _extensions: extensions, constructor: { frame } } = sender
  if (typeof state !== 'number' || !Array.isArray(queue) || typeof first !== 'boolean' || typeof extensions !== 'object' || typeof frame !== 'function') return false
  try {
    return LENGTHS.every((length) => [Opcode.text, Opcode.binary, Opcode.ping].every((opcode) => {
      const payload = Buffer.alloc(length, 'x')
      const theirs = Buffer.concat(frame(payload, { fin: true, opcode, mask: false, rsv1: false, readOnly: true }))
      return theirs.equals(encode(opcode, payload))
    }))
  } catch {
    return false
  }
}

/** Methods that were looked at, and the last one that was that of ws. */
const sends = new WeakMap<object, boolean>()
let latestSend: unknown = null

/**
 * Whether a method is the `send` of ws. One that took its place before this package was loaded can only be told by its
 * source: the real one names this error and hands the message to the sender, minified too.
 */
export function isSendOfWs (send: unknown): boolean {
  if (send === latestSend) return true
  if (typeof send !== 'function') return false
  let answer = sends.get(send)
  if (answer === undefined) {
    const source = Function.prototype.toString.call(send)
    sends.set(send, answer = source.includes('WebSocket is not open') && source.includes('_sender.send('))
  }
  if (answer) latestSend = send
  return answer
}

// ——— memory

/** What no two sockets need of their own while nothing was negotiated (RFC 6455 §9). */
const NO_EXTENSIONS = Object.freeze({})

/** Has a socket without extensions share the object that says so. */
export function shareExtensions (socket: WebSocket): void {
  const own = inside(socket)
  const { _extensions: extensions, _sender: sender, _receiver: receiver } = own
  if (extensions === undefined || Object.keys(extensions).length > 0) return
  if (sender?._extensions === extensions && receiver?._extensions === extensions) {
    own._extensions = sender._extensions = receiver._extensions = NO_EXTENSIONS
  }
}
