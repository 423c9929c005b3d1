/**
 * Every deadline of every connection, on one coarse tick.
 *
 * A hashed wheel of intrusive lists: setting, moving and cancelling are O(1) and allocate nothing. The tick exists
 * only while a deadline does. Many due at once are worked off in slices, and input that has arrived is read first.
 * A deadline never fires early; it fires late by up to one tick, or by as long as the event loop stood still.
 */
import { SLICE } from './clock.ts'
import type { Ticker, Timer } from './clock.ts'

/** Milliseconds between two looks at the wheel. */
export const TICK = 50

const SLOTS = 512

/** One entry of the wheel; its holder keeps and reuses it. */
export abstract class Entry {
  /** @internal Tick at which it is due; -1 when not set. */
  due = -1
  /** @internal */
  previous: Entry | null = null
  /** @internal */
  next: Entry | null = null

  /** What is done when it is due. */
  abstract expire (): void
}

/** A deadline that calls a function. Where every connection has one, a class of its own takes less memory than a closure. */
export class Deadline extends Entry {
  readonly #callback: () => void

  constructor (callback: () => void) {
    super()
    this.#callback = callback
  }

  expire (): void { this.#callback() }
}

export class Deadlines {
  readonly #clock: Ticker
  readonly #slots: Array<Entry | null> = new Array(SLOTS).fill(null)
  readonly #origin: number
  readonly #onTick = () => { this.#advance() }
  #looked = 0
  #dueTick = 0
  #size = 0
  #timer: Timer | null = null
  #slicing = false

  constructor (clock: Ticker) {
    this.#clock = clock
    this.#origin = clock.now()
  }

  /** How many deadlines are set. */
  get size (): number {
    return this.#size
  }

  /** Milliseconds that have passed. */
  get elapsed (): number {
    return this.#elapsed()
  }

  /** Ticks that have passed. */
  get ticks (): number {
    return Math.floor(this.#elapsed() / TICK)
  }

  /** Tick up to which deadlines are called: input that had arrived by then was read, later input may not be. */
  get dueTick (): number {
    return this.#dueTick
  }

  /** Sets a deadline `delay` milliseconds from now, or moves it there. */
  set (deadline: Entry, delay: number): void {
    this.cancel(deadline)
    if (this.#size === 0 && !this.#slicing) this.#looked = this.ticks
    // Rounded up: never early. Never behind what was looked at either: it would wait for the wheel to come round.
    deadline.due = Math.max(this.#looked + 1, Math.ceil((this.#elapsed() + delay) / TICK))
    const slot = deadline.due % SLOTS
    const head = this.#slots[slot]!
    deadline.next = head
    if (head !== null) head.previous = deadline
    this.#slots[slot] = deadline
    this.#size++
    if (this.#timer === null && !this.#slicing) this.#arm()
  }

  /** Takes a deadline back; one that is not set is ignored. */
  cancel (deadline: Entry): void {
    if (deadline.due === -1) return
    const { previous, next } = deadline
    if (previous === null) this.#slots[deadline.due % SLOTS] = next
    else previous.next = next
    if (next !== null) next.previous = previous
    deadline.due = -1
    deadline.previous = deadline.next = null
    if (--this.#size === 0 && this.#timer !== null) {
      this.#clock.clearTimeout(this.#timer)
      this.#timer = null
    }
  }

  #elapsed (): number {
    return this.#clock.now() - this.#origin
  }

  #arm (): void {
    // To the next boundary of a tick, or a deadline could be late by two.
    this.#timer = this.#clock.setTimeout(this.#onTick, TICK - this.#elapsed() % TICK)
    this.#timer.unref()
  }

  #advance (): void {
    this.#timer = null
    this.#slicing = true
    this.#sliceAfterInput()
  }

  #sliceAfterInput (): void {
    // Timers run before the poll for input: after a stall, what would have moved a deadline may wait there unread. A
    // callback of the poll may take long, too: what comes due meanwhile waits for the next poll.
    this.#dueTick = this.ticks
    this.#clock.setImmediate(() => this.#slice())
  }

  #slice (): void {
    let done = false
    try {
      done = this.#work()
    } finally {
      // Also when a callback threw: the others are due all the same.
      if (!done) this.#sliceAfterInput()
    }
    if (!done) return
    this.#slicing = false
    if (this.#size > 0) this.#arm()
  }

  /** Calls what is due; false when the slice was over first. */
  #work (): boolean {
    const until = this.#clock.now() + SLICE
    const now = this.#dueTick
    // A stall longer than one turn of the wheel makes every slot due once, not once a turn.
    if (now - this.#looked > SLOTS) this.#looked = now - SLOTS
    while (this.#size > 0 && this.#looked < now) {
      const slot = (this.#looked + 1) % SLOTS
      let deadline = this.#slots[slot]!
      while (deadline !== null) {
        if (deadline.due > now) {
          deadline = deadline.next!
          continue
        }
        this.cancel(deadline)
        deadline.expire()
        if (this.#clock.now() >= until) return false
        // The list may have changed under us: again from its head.
        deadline = this.#slots[slot]!
      }
      this.#looked++
    }
    return true
  }
}
