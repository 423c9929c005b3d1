/**
 * Frames that are built once and written to many: broadcasts and our pings, byte for byte as ws makes them. Pure.
 */
import { Buffer } from 'node:buffer'
import type { Frame } from '../connection/transport.ts'

/** RFC 6455 §11.8. */
export const Opcode = { text: 0x1, binary: 0x2, ping: 0x9 } as const

const FIN = 0x80

/** A message for many: text as text, bytes as binary (RFC 6455 §5.6). */
export function messageFrame (data: string | Uint8Array): Frame {
  const text = typeof data === 'string' ? data : undefined
  const payload = typeof data === 'string' ? Buffer.from(data) : data
  const bytes = encode(text === undefined ? Opcode.binary : Opcode.text, payload)
  return { bytes, payload: bytes.subarray(bytes.length - payload.byteLength), text }
}

/** A whole unmasked frame (RFC 6455 §5.2). */
export function encode (opcode: number, payload: Uint8Array): Buffer {
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

/** The same for everyone. */
export const PING_FRAME = encode(Opcode.ping, PING)

/** Whether a pong answers a ping of ours; `Buffer.equals` would leave JavaScript for nine bytes. */
export function answersPing (payload: Uint8Array): boolean {
  if (payload.length !== PING.length) return false
  for (let i = 0; i < PING.length; i++) if (payload[i] !== PING[i]) return false
  return true
}
