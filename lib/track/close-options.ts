/**
 * How a `disconnect()` closes connections: those of this server, or those of a fleet.
 */
import type { ActOptions } from '../connection/connection.ts'

/** Code and reason of a close, and for the audit who has asked for it, and why. */
export interface CloseOptions extends ActOptions {
  /** Close code. @default 3003 (forbidden, IANA) */
  code?: number
  /** Close reason; more than 123 bytes of UTF-8 are cut (RFC 6455 §5.5). @default '' */
  reason?: string
}
