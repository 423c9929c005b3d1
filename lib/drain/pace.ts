/**
 * The order and the pace in which close frames go out.
 *
 * Slices of 2 ms, and no more closing handshakes in flight than the window has places. Where a spread is asked for,
 * frames are due evenly over it. Where that would make the last frame late, all three give way: as many frames go out in a
 * turn as it takes to be in time, in slices of 15 ms at most.
 */
import { LONG_SLICE, RUN, SLICE } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { Turns } from './turns.ts'
import { Window } from './window.ts'

/** When to be called again: after input was read, or at a moment; an answer may make it sooner. */
export type Wake = 'soon' | number

export class Pace {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #ready: (connection: ManagedConnection) => boolean
  readonly #send: (connection: ManagedConnection, index: number) => void
  readonly #window: Window<ManagedConnection>
  readonly #turns: Turns
  /** Who waits, from `#next` on. */
  #queue: ManagedConnection[] = []
  #next = 0
  #sent = 0
  /** Milliseconds from one frame to the next. */
  #gap = 0
  #nextAt = 0
  #until = Infinity

  /** `ready` is asked when a connection's turn has come: one that has begun to work meanwhile is left out. */
  constructor (
    clock: Clock, random: () => number, ready: (connection: ManagedConnection) => boolean,
    send: (connection: ManagedConnection, index: number) => void
  ) {
    this.#clock = clock
    this.#window = new Window(clock)
    this.#turns = new Turns(clock)
    this.#random = random
    this.#ready = ready
    this.#send = send
  }

  get queued (): number { return this.#queue.length - this.#next }

  /** Milliseconds that it will take to destroy `count` raw sockets, in slices of `slice` milliseconds. */
  toCut (count: number, slice: number): number { return this.#turns.toCut(count, slice) }

  /** Sets the pace: `gap` milliseconds from frame to frame (0: as fast as they can be sent), and the last one no later than `until`. */
  start (gap: number, until: number): void {
    this.#gap = gap
    this.#until = until
  }

  /** Lets go of everyone. */
  clear (): void {
    this.#queue = []
    this.#next = 0
    this.#window.clear()
  }

  /** Adds connections in jittered order, behind those that wait: neighbours stay in one run, see RUN. */
  add (connections: ManagedConnection[]): void {
    // Whoever comes after a pause does not make up for it.
    if (this.queued === 0) this.#nextAt = Math.max(this.#nextAt, this.#clock.now())
    const runs: ManagedConnection[][] = []
    for (let i = 0; i < connections.length; i += RUN) runs.push(this.#shuffle(connections.slice(i, i + RUN)))
    // Not spread into one call: that overflows the stack from some 100,000 on.
    for (const run of this.#shuffle(runs)) for (const connection of run) this.#queue.push(connection)
  }

  #shuffle<T> (items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1))
      const swapped = items[i]!
      items[i] = items[j]!
      items[j] = swapped
    }
    return items
  }

  /** The peer has answered: its place is free. */
  answered (connection: ManagedConnection): void {
    this.#window.answered(connection)
  }

  /** Sends what may be sent now; says when to call again, or null when the queue is empty. */
  pump (): Wake | null {
    const start = this.#turns.begin()
    this.#window.open(start)
    const due = this.#due(start)
    const first = this.#sent
    let wake: Wake | null = null
    while (this.queued > 0 && wake === null) {
      const now = this.#clock.now()
      const late = this.#sent - first < due
      if (now >= start + (late ? LONG_SLICE : SLICE)) {
        wake = 'soon'
      } else {
        const left = this.queued
        wake = this.#nextAt > now ? this.#nextAt : late ? null : this.#window.freeAt(now)
        if (wake === null) {
          const connection = this.#queue[this.#next++]!
          // It may have left while it waited.
          if (connection.state === 'closing' || connection.state === 'closed' || !this.#ready(connection)) continue
          this.#window.add(connection, now)
          // Late: the gaps shrink, so that what is left still goes out evenly.
          this.#nextAt += Math.min(this.#gap, Math.max(0, this.#until - this.#nextAt) / left)
          this.#send(connection, this.#sent++)
        }
      }
    }
    // Time that is left between two frames on purpose is not time that a turn takes.
    this.#turns.end(this.#sent - first, wake === 'soon', wake === null ? -1 : wake === this.#nextAt ? this.#nextAt : start)
    return wake
  }

  /** Frames that must leave in a turn that starts now, for the last one to be in time. */
  #due (now: number): number {
    const rest = this.#until - now
    return rest <= 0 ? Infinity : Math.floor(this.queued * this.#turns.interval / rest)
  }
}
