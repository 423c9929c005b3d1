/**
 * Control frames of `lifecycle.v1` (docs/reference/protocol.md): text messages that begin with U+0001 and `lifecycle:`, and go on with
 * a JSON object. What a client sends is not trusted: of its frames only the type is read, of large ones nothing.
 */
import type { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'

const PREFIX = '\u0001lifecycle:'

/** Largest frame of a client that is read, bytes. */
const MAX_BYTES = 256

/** Returns whether a text message is a control frame. */
export function isControlFrame (message: Uint8Array): boolean {
  if (message.length < PREFIX.length) return false
  for (let i = 0; i < PREFIX.length; i++) if (message[i] !== PREFIX.charCodeAt(i)) return false
  return true
}

/** Returns the type of a client's control frame; undefined if it has none that can be read. */
export function typeOf (frame: Buffer): unknown {
  if (frame.length > MAX_BYTES) return undefined
  try {
    return (JSON.parse(frame.toString('utf8', PREFIX.length)) as { type?: unknown } | null)?.type
  } catch {
    return undefined
  }
}

/** Makes an id of 128 bits. */
export function newId (): string { return randomBytes(16).toString('base64url') }

/** Asks the client to open a new connection in `delay` milliseconds, and to offer `id` there. `key`: that of the client's offer. */
export function moveFrame (delay: number, id: string, key: string | undefined): string {
  return `${PREFIX}${JSON.stringify({ type: 'move', in: Math.max(0, Math.ceil(delay)), id, key })}`
}

/** Tells the client to offer `id` when it comes back. `key`: that of the client's offer. */
export function handoverFrame (id: string, key: string | undefined): string {
  return `${PREFIX}${JSON.stringify({ type: 'handover', id, key })}`
}
