/**
 * Events in the order of their moments, on a clock of their own. They lie in milliseconds: with a million of them a heap is many
 * times slower.
 */
import type { Timer } from '../../../lib/base/clock.ts'

interface Event {
  readonly at: number
  run: (() => void) | null
}

export class Events {
  /** Millisecond → its events. */
  readonly #milliseconds: Array<Event[] | undefined> = []
  #now = 0

  /** The clock of all nodes. */
  readonly clock = {
    now: () => this.#now,
    setTimeout: (callback: () => void, delay: number): Timer => this.at(this.#now + delay, callback) as unknown as Timer,
    clearTimeout: (timer: Timer): void => { (timer as unknown as Event).run = null }
  }

  get now (): number { return this.#now }

  at (moment: number, run: () => void): Event {
    const event = { at: Math.max(moment, this.#now), run }
    const millisecond = Math.floor(event.at)
    // Without gaps: an array with gaps is slow.
    while (this.#milliseconds.length <= millisecond) this.#milliseconds.push(undefined)
    const events = this.#milliseconds[millisecond] ??= []
    events.push(event)
    return event
  }

  /** Runs events until there are none. */
  run (): void {
    for (let millisecond = 0; millisecond < this.#milliseconds.length; millisecond++) {
      const events = this.#milliseconds[millisecond]
      if (events === undefined) continue
      events.sort((a, b) => a.at - b.at)
      // Those that are added to this millisecond meanwhile come last.
      for (const event of events) {
        this.#now = Math.max(this.#now, event.at)
        event.run?.()
      }
      this.#milliseconds[millisecond] = undefined
    }
  }
}
