/**
 * Log lines about one connection.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { LineBudget } from '../base/line-budget.ts'

/** What a line needs of its connection. */
interface Noted {
  readonly log: FastifyBaseLogger
  readonly host: { readonly lines: LineBudget }
}

/** Logs a line, unless the drain has used up its lines; lines at debug are not limited. */
export function note (connection: Noted, level: 'debug' | 'warn' | 'error', fields: object, message: string): void {
  if (level === 'debug' || connection.host.lines.spend(message)) connection.log[level](fields, message)
}
