/**
 * The deadlines of all connections, on one coarse tick.
 *
 * A hashed timer wheel of intrusive lists: to set, move or cancel a deadline is O(1) and allocates nothing. The timer of the
 * tick exists only while a deadline is set. Input that has arrived is read before deadlines are called, in slices.
 * A deadline never fires early; it fires late by up to one tick, or by as long as the event loop was blocked.
 */
import { SLICE } from './clock.ts'
import type { Ticker, Timer } from './clock.ts'

/** Length of a tick, milliseconds. */
export const TICK = 50

const SLOTS = 512

/** An entry of the wheel; its holder keeps and reuses it. */
export abstract class Entry {
  /** @internal Tick at which it is due; -1 when not set. */
  due = -1
  /** @internal */
  previous: Entry | null = null
  /** @internal */
  next: Entry | null = null

  /** Called when the entry is due. */
  abstract expire (): void
}

/** A deadline that calls a function. If every connection has one, a subclass of Entry takes less memory than a closure. */
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
  readonly #onTick = () => {
    this.#timer = null
    this.#slicing = true
    this.#sliceAfterInput()
  }

  /** Last tick whose deadlines were called. */
  #doneTick = 0
  #dueTick = 0
  #size = 0
  #timer: Timer | null = null
  #slicing = false

  constructor (clock: Ticker) {
    this.#clock = clock
    this.#origin = clock.now()
  }

  /** How many deadlines are set. */
  get size (): number { return this.#size }

  /** Time since the wheel was made, milliseconds. */
  get elapsed (): number { return this.#clock.now() - this.#origin }

  /** The same in whole ticks. */
  get ticks (): number { return Math.floor(this.elapsed / TICK) }

  /** Tick up to which deadlines are called: input that had arrived by then was read, later input may not be. */
  get dueTick (): number { return this.#dueTick }

  /** Milliseconds until a deadline is due; Infinity if it is not set. */
  left (deadline: Entry): number { return deadline.due === -1 ? Infinity : deadline.due * TICK - this.elapsed }

  /** Sets a deadline `delay` milliseconds from now, or moves it there. */
  set (deadline: Entry, delay: number): void {
    this.cancel(deadline)
    if (this.#size === 0 && !this.#slicing) this.#doneTick = this.ticks
    // Rounded up: never early. Never at a tick that is done: the deadline would wait for a whole turn of the wheel.
    deadline.due = Math.max(this.#doneTick + 1, Math.ceil((this.elapsed + delay) / TICK))
    const slot = deadline.due % SLOTS
    const head = this.#slots[slot]!
    deadline.next = head
    if (head !== null) head.previous = deadline
    this.#slots[slot] = deadline
    this.#size++
    if (this.#timer === null && !this.#slicing) this.#arm()
  }

  /** Cancels a deadline; one that is not set is ignored. */
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

  #arm (): void {
    // To the next boundary of a tick: otherwise a deadline could be late by two ticks.
    this.#timer = this.#clock.setTimeout(this.#onTick, TICK - this.elapsed % TICK)
    this.#timer.unref()
  }

  #sliceAfterInput (): void {
    // Timers run before the poll for input: after a stall, input that would have moved a deadline may still be unread. A
    // callback of the poll may take long, too: deadlines that become due meanwhile wait for the next poll.
    this.#dueTick = this.ticks
    this.#clock.setImmediate(() => this.#slice())
  }

  #slice (): void {
    let done = false
    try {
      done = this.#callDue()
    } finally {
      // Also if a callback threw: the other deadlines are due all the same.
      if (!done) this.#sliceAfterInput()
    }
    if (!done) return
    this.#slicing = false
    if (this.#size > 0) this.#arm()
  }

  /** Calls the deadlines that are due. Returns false if the slice ended first. */
  #callDue (): boolean {
    const until = this.#clock.now() + SLICE
    const now = this.#dueTick
    // After a stall longer than a turn of the wheel every slot is due once.
    if (now - this.#doneTick > SLOTS) this.#doneTick = now - SLOTS
    while (this.#size > 0 && this.#doneTick < now) {
      const slot = (this.#doneTick + 1) % SLOTS
      let deadline = this.#slots[slot]!
      while (deadline !== null) {
        if (deadline.due > now) {
          deadline = deadline.next!
          continue
        }
        this.cancel(deadline)
        deadline.expire()
        if (this.#clock.now() >= until) return false
        // The call may have changed the list: start again from its head.
        deadline = this.#slots[slot]!
      }
      this.#doneTick++
    }
    return true
  }
}
