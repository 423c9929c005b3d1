/**
 * Frames that are built once and written to many: broadcasts and our pings, byte for byte as ws makes them. Pure.
 */
import { Buffer } from 'node:buffer'
import { encode, Opcode } from '../base/frame.ts'
import type { Frame } from '../connection/transport.ts'

/** A message for many: text as text, bytes as binary (RFC 6455 §5.6). */
export function messageFrame (data: string | Uint8Array): Frame {
  const text = typeof data === 'string' ? data : undefined
  const payload = typeof data === 'string' ? Buffer.from(data) : data
  const bytes = encode(text === undefined ? Opcode.binary : Opcode.text, payload)
  return { bytes, payload: bytes.subarray(bytes.length - payload.byteLength), text }
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
