/**
 * One message to many: encoded once, sent to whoever is open, skipped where a slow reader holds too much already.
 */
import { Buffer } from 'node:buffer'
import type { ManagedConnection } from '../core/managed-connection.ts'
import type { Transport } from '../core/socket.ts'

/** What became of a broadcast. */
export interface BroadcastResult {
  /** Connections it was sent to. */
  sent: number
  /** Connections it was not sent to, for they hold too much already. */
  dropped: number
}

/** What a broadcast leans on. */
export interface BroadcastHost {
  readonly transport: Transport
  /** Whether one more frame of so many bytes would be too many for a connection. */
  skips (connection: ManagedConnection, bytes: number): boolean
}

/** Sends text as a text message, bytes as a binary one (RFC 6455 §5.6). */
export function broadcast ({ transport, skips }: BroadcastHost, connections: ManagedConnection[], data: string | Uint8Array): BroadcastResult {
  const result: BroadcastResult = { sent: 0, dropped: 0 }
  const isText = typeof data === 'string'
  const payload = isText ? Buffer.from(data) : data
  for (const connection of connections) {
    if (connection.state !== 'open' && connection.state !== 'draining') continue
    if (skips(connection, payload.byteLength)) {
      result.dropped++
      continue
    }
    transport.send(connection.socket, payload, !isText)
    result.sent++
  }
  return result
}
