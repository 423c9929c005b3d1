/**
 * Limits the log lines about connections and hooks during a drain: a fault that all connections share would otherwise be
 * logged once for each of them.
 */

/** Lines of all kinds in a drain, those about the drain itself apart. */
const LINES = 5

export class LineBudget {
  readonly #lines: number
  #left = Infinity
  #suppressed: Record<string, number> = {}

  constructor (lines = LINES) {
    this.#lines = lines
  }

  /** A drain has begun. */
  begin (): void { this.#left = this.#lines }

  /** Returns true if a line may be logged; otherwise counts it under its message, as `lines` lines. */
  spend (message: string, lines = 1): boolean {
    if (this.#left-- > 0) return true
    this.#suppressed[message] = (this.#suppressed[message] ?? 0) + lines
    return false
  }

  /** The drain has ended: returns how many lines were not logged, by message, or null if there were none. */
  end (): Readonly<Record<string, number>> | null {
    const suppressed = this.#suppressed
    this.#left = Infinity
    this.#suppressed = {}
    return Object.keys(suppressed).length > 0 ? suppressed : null
  }
}
