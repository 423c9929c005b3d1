/**
 * Log lines about one connection.
 */
import type { FastifyBaseLogger } from 'fastify'
import { attempt } from '../base/guard.ts'
import type { LineBudget } from '../base/line-budget.ts'

/** What a line needs of its connection. */
interface Noted {
  readonly log: FastifyBaseLogger
  readonly host: { readonly lines: LineBudget }
}

/** Logs a line; where a serializer throws over its fields, the line goes out without them. A drain logs only so many. */
export function note (connection: Noted, level: 'debug' | 'warn' | 'error', fields: object, message: string): void {
  if (level !== 'debug' && !connection.host.lines.spend(message)) return
  attempt(() => connection.log[level](fields, message), () => {
    attempt(() => connection.log[level]({}, message), () => {})
  })
}
