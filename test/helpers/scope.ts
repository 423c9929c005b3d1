/**
 * What ends together: that of several tests, or of a command. Helpers that take `after` of a test take it, too.
 */

export class Scope {
  readonly #ends: Array<() => unknown> = []

  after (end: () => unknown): void { this.#ends.push(end) }

  /** Ends what was begun, last first. */
  async end (): Promise<void> { for (const end of this.#ends.splice(0).reverse()) await end() }
}
