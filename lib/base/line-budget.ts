/**
 * Bounds the lines about connections and hooks that are logged during a drain: a fault that all connections have would be
 * told as many times, in the moment when the log is needed most.
 */

/** Lines that a drain may log of whatever kind, beside those about the drain itself. */
const LINES = 5

export class LineBudget {
  #left = Infinity
  #suppressed: Record<string, number> = {}

  /** A drain has begun. */
  begin (): void { this.#left = LINES }

  /** Whether a line may be logged. If not, it is counted under its message, as `lines` lines. */
  spend (message: string, lines = 1): boolean {
    if (this.#left-- > 0) return true
    this.#suppressed[message] = (this.#suppressed[message] ?? 0) + lines
    return false
  }

  /** The drain is over: returns how many lines of which message were not logged, or null. */
  end (): Readonly<Record<string, number>> | null {
    const suppressed = this.#suppressed
    this.#left = Infinity
    this.#suppressed = {}
    return Object.keys(suppressed).length > 0 ? suppressed : null
  }
}
