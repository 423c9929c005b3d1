/**
 * How a `disconnect()` closes connections: those of this server, or those of a fleet.
 */
import { show } from '../base/check.ts'
import { checkClose, CloseCode } from '../base/close-codes.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import type { ActOptions } from '../connection/connection.ts'

/** Code and reason of a close, and for the audit who has asked for it, and why. */
export interface CloseOptions extends ActOptions {
  /** Close code. @default 3003 (forbidden, IANA) */
  code?: number
  /** Close reason; more than 123 bytes of UTF-8 are cut (RFC 6455 §5.5). @default '' */
  reason?: string
}

/** Returns code and reason with their defaults. Throws SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_INVALID_CLOSE_CODE. */
export function checkedClose (close: CloseOptions): Required<Pick<CloseOptions, 'code' | 'reason'>> {
  // A bare code would be ignored.
  if (typeof close !== 'object' || close === null) throw new SOCKETS_ERR_INVALID_ARGUMENT('close', 'an object such as { code: 3003 }', show(close))
  const { code = CloseCode.Forbidden, reason = '' } = close
  checkClose(code, reason)
  return { code, reason }
}
