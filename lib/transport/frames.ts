/**
 * Frames built once and written to many: broadcasts and our pings go past what ws does for each `send`.
 *
 * The only file that touches what ws keeps to itself for sending: `_sender` with `_state`, `_queue`, `_firstFragment`,
 * `_extensions` and its static `frame`. A version of ws whose parts look or encode differently, a socket that compresses, has
 * something in its queue, is in the middle of a fragmented message or whose `send` was replaced takes plain `send`, so that
 * nothing overtakes anything.
 */
import { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { connectionOf } from '../core/socket.ts'
import type { Frame } from '../core/socket.ts'

/** RFC 6455 §11.8. */
const Opcode = { text: 0x1, binary: 0x2, ping: 0x9 } as const

const FIN = 0x80

/** Name of the extension (RFC 7692 §7). */
const DEFLATE = 'permessage-deflate'

interface FrameOptions { fin: boolean, opcode: number, mask: boolean, rsv1: boolean, readOnly: boolean }

/** What ws keeps to itself. */
interface Sender {
  _state: number
  _queue: unknown[]
  _firstFragment: boolean
  _extensions: Record<string, unknown>
  constructor: { frame?: (data: Buffer, options: FrameOptions) => Buffer[] }
}

/** Where a socket's class says which `send` it has while nobody has replaced it; undefined where the application's own class has one. */
export const kSend = Symbol('fastify-websocket-lifecycle.send')

type Inside = WebSocket & { _sender?: Sender, _socket?: Duplex, [kSend]?: unknown }

/** Whether the senders of a class are as we know them, and the last class that was: as a rule there is no other. */
const known = new WeakMap<object, boolean>()
let latest: object | null = null

/** Payload lengths at which the header changes (RFC 6455 §5.2). */
const LENGTHS = [0, 125, 126, 65_535, 65_536]

/** A message for many: text as text, bytes as binary (RFC 6455 §5.6). */
export function messageFrame (data: string | Uint8Array): Frame {
  const isBinary = typeof data !== 'string'
  const payload = isBinary ? data : Buffer.from(data)
  const bytes = encode(isBinary ? Opcode.binary : Opcode.text, payload)
  return { bytes, payload: bytes.subarray(bytes.length - payload.byteLength), isBinary }
}

/** A whole unmasked frame (RFC 6455 §5.2). */
function encode (opcode: number, payload: Uint8Array): Buffer {
  const { byteLength } = payload
  const offset = byteLength < 126 ? 2 : byteLength < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafeSlow(offset + byteLength)
  frame[0] = FIN | opcode
  if (offset === 2) {
    frame[1] = byteLength
  } else if (offset === 4) {
    frame[1] = 126
    frame.writeUInt16BE(byteLength, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(byteLength), 2)
  }
  frame.set(payload, offset)
  return frame
}

/** What our pings carry: other heartbeats' pongs say nothing of our round trip. */
export const PING = Buffer.from('lifecycle')

const NOTHING = Buffer.alloc(0)

const PING_FRAME = encode(Opcode.ping, PING)

/** Sends a message; says whether the kernel has taken all of it at once. */
export function writeMessage (socket: WebSocket, { bytes, payload, isBinary }: Frame): boolean {
  const { _sender: sender, _socket: raw, [kSend]: send } = socket as Inside
  if (isDirect(socket, sender) && sender._firstFragment && sender._extensions[DEFLATE] === undefined && socket.send === send) {
    raw!.write(bytes)
    connectionOf(socket)?.sent()
  } else {
    socket.send(payload, { binary: isBinary })
  }
  return socket.bufferedAmount === 0
}

/** Sends our ping; `left` is called when the kernel has taken it, as a rule at once. */
export function writePing (socket: WebSocket, left: () => void): void {
  const { _sender: sender, _socket: raw } = socket as Inside
  if (!isDirect(socket, sender)) return socket.ping(PING, undefined, left)
  raw!.write(PING_FRAME)
  if (raw!.writableLength === 0) left()
  // Nothing, behind all that waits.
  else raw!.write(NOTHING, left)
}

/** Whether a pong answers a ping of ours; `Buffer.equals` would leave JavaScript for nine bytes. */
export function answersPing (payload: Uint8Array): boolean {
  if (payload.length !== PING.length) return false
  for (let i = 0; i < PING.length; i++) if (payload[i] !== PING[i]) return false
  return true
}

/** Whether the application is in the middle of a fragmented message: another may not be sent before its end (RFC 6455 §5.4). */
export function isMidMessage (socket: WebSocket): boolean {
  const { _sender: sender } = socket as Inside
  return sender !== undefined && isKnown(sender) && !sender._firstFragment
}

/** Whether a frame written to the raw socket comes after all that was sent before. */
function isDirect (socket: WebSocket, sender: Sender | undefined): sender is Sender {
  return sender !== undefined && isKnown(sender) && sender._state === 0 && sender._queue.length === 0 && socket.readyState === socket.OPEN
}

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
