/**
 * The wait of a handshake for the store of handed-over states, which may be slow or never answer: it is shorter than what is left of
 * the deadline of the handshake, which goes on without a state.
 */
import { Deadline, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'

/** Longest wait, milliseconds. */
const LONGEST = 1_000

export class StoreWait {
  /** Resolves when the store has answered, or the time is over. */
  readonly over: Promise<void>
  readonly #deadlines: Deadlines
  readonly #deadline: Deadline

  /** `taken`: the answer of the store. `handshake`: the deadline of the handshake. */
  constructor (deadlines: Deadlines, taken: PromiseLike<void>, handshake: Deadline) {
    let end!: () => void
    this.over = new Promise((resolve) => { end = resolve })
    taken.then(end, end)
    this.#deadlines = deadlines
    this.#deadline = new Deadline(end)
    deadlines.set(this.#deadline, Math.min(LONGEST, deadlines.left(handshake) - 2 * TICK))
  }

  /** The handshake is over. */
  cancel (): void { this.#deadlines.cancel(this.#deadline) }
}
