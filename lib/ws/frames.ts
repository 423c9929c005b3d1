/**
 * Frames that are encoded once and written to many sockets: broadcasts and our pings. Pure.
 */
import { Buffer } from 'node:buffer'
import { encode, Opcode } from '../base/frame.ts'
import type { Frame } from '../connection/transport.ts'

/** Encodes a message: text as text, bytes as binary (RFC 6455 §5.6). */
export function messageFrame (data: string | Uint8Array): Frame {
  const text = typeof data === 'string' ? data : undefined
  const payload = typeof data === 'string' ? Buffer.from(data) : data
  const bytes = encode(text === undefined ? Opcode.binary : Opcode.text, payload)
  return { bytes, payload: bytes.subarray(bytes.length - payload.byteLength), text }
}

/** Payload of our pings, which tells their pongs from those of other heartbeats. */
export const PING = Buffer.from('lifecycle')

/** Our ping, encoded. */
export const PING_FRAME = encode(Opcode.ping, PING)

/** Returns whether a pong answers a ping of ours. `Buffer.equals` would leave JavaScript for nine bytes. */
export function answersPing (payload: Uint8Array): boolean {
  if (payload.length !== PING.length) return false
  for (let i = 0; i < PING.length; i++) if (payload[i] !== PING[i]) return false
  return true
}
