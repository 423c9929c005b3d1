/**
 * Lets the first few lines of a kind through and counts the rest: a noisy peer must not fill the log.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { Clock, Timer } from './clock.ts'
import type { LineBudget } from './line-budget.ts'

/** Lines of one kind that pass in a window. */
const PASS = 5
/** Length of a window, milliseconds. */
const WINDOW = 10_000

export class LogGate {
  readonly #clock: Clock
  readonly #log: FastifyBaseLogger
  readonly #lines: LineBudget | undefined
  readonly #counts = new Map<string, { count: number, timer: Timer }>()

  /** `lines` bounds what is logged of all kinds. */
  constructor (clock: Clock, log: FastifyBaseLogger, lines?: LineBudget) {
    this.#clock = clock
    this.#log = log
    this.#lines = lines
  }

  /** Logs a line, as a warning unless told otherwise, or counts it; the count is told when the window is over. */
  warn (kind: string, fields: object, level: 'warn' | 'error' | 'fatal' = 'warn'): void {
    let entry = this.#counts.get(kind)
    if (entry === undefined) {
      entry = { count: 0, timer: this.#clock.setTimeout(() => { this.#tell(kind) }, WINDOW) }
      entry.timer.unref()
      this.#counts.set(kind, entry)
    }
    if (++entry.count <= PASS && (this.#lines?.spend(kind) ?? true)) this.#log[level](fields, kind)
  }

  /** Tells what is still to be told, and leaves no timer behind. */
  close (): void {
    for (const [kind, { timer }] of this.#counts) {
      this.#clock.clearTimeout(timer)
      this.#tell(kind)
    }
  }

  #tell (kind: string): void {
    const suppressed = this.#counts.get(kind)!.count - PASS
    this.#counts.delete(kind)
    if (suppressed > 0 && (this.#lines?.spend(kind, suppressed) ?? true)) this.#log.warn({ suppressed }, `${kind}: more of the same were not logged`)
  }
}
