/**
 * Limits log lines by kind, so that a peer cannot fill the log: the first few in a window are written, the rest counted.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { Clock, Timer } from './clock.ts'
import { LineBudget } from './line-budget.ts'

/** Lines of one kind in a window. */
const LINES = 5
/** Length of a window, milliseconds. */
const WINDOW = 10_000

export class LogLimiter {
  readonly #clock: Clock
  readonly #log: FastifyBaseLogger
  readonly #lines: LineBudget
  readonly #counts = new Map<string, { count: number, timer: Timer | null }>()
  readonly #once = new Set<string>()
  #closed = false

  /** `lines` limits the lines of all kinds. */
  constructor (clock: Clock, log: FastifyBaseLogger, lines = new LineBudget()) {
    this.#clock = clock
    this.#log = log
    this.#lines = lines
  }

  /** Logs a line, or counts it; the count is logged at the end of the window. */
  warn (kind: string, fields: object, level: 'warn' | 'error' | 'fatal' = 'warn'): void {
    let entry = this.#counts.get(kind)
    if (entry === undefined) {
      entry = { count: 0, timer: this.#closed ? null : this.#clock.setTimeout(() => { this.#logCount(kind) }, WINDOW) }
      entry.timer?.unref()
      this.#counts.set(kind, entry)
    }
    if (++entry.count <= LINES && this.#lines.spend(kind)) this.#log[level](fields, kind)
  }

  /** Logs a line once for each route. */
  warnOnce (kind: string, route: string): void {
    const key = `${kind} ${route}`
    if (this.#once.has(key)) return
    this.#once.add(key)
    if (this.#lines.spend(kind)) this.#log.warn({ route }, kind)
  }

  /** Ends all windows: logs their counts and clears their timers. What is warned of later is limited without a timer and not counted. */
  close (): void {
    this.#closed = true
    for (const [kind, { timer }] of this.#counts) {
      if (timer !== null) this.#clock.clearTimeout(timer)
      this.#logCount(kind)
    }
  }

  #logCount (kind: string): void {
    const suppressed = this.#counts.get(kind)!.count - LINES
    this.#counts.delete(kind)
    if (suppressed > 0 && this.#lines.spend(kind, suppressed)) this.#log.warn({ suppressed }, `${kind}: more of the same were not logged`)
  }
}
