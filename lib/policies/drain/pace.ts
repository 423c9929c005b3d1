/**
 * The order and the pace in which close frames go out.
 *
 * Slices of 2 ms, and no more closing handshakes in flight than the window has places. Where a spread is asked for,
 * frames are due evenly over it. Where that would make the last frame late, both give way; only the slices stay.
 */
import { RUN, SLICE } from '../../core/clock.ts'
import type { Clock } from '../../core/clock.ts'
import type { ManagedConnection } from '../../core/managed-connection.ts'
import { Window } from './window.ts'

/** When to be called again: after input was read, or at a moment; an answer may make it sooner. */
export type Wake = 'soon' | number

export class Pace {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #ready: (connection: ManagedConnection) => boolean
  readonly #send: (connection: ManagedConnection, index: number) => void
  readonly #window: Window<ManagedConnection>
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
    this.#random = random
    this.#ready = ready
    this.#send = send
  }

  get queued (): number { return this.#queue.length - this.#next }

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
    const until = this.#clock.now() + SLICE
    this.#window.open()
    let wake: Wake | null = null
    while (this.queued > 0 && wake === null) {
      const now = this.#clock.now()
      if (now >= until) {
        wake = 'soon'
      } else {
        const left = this.queued
        wake = this.#notBefore(now, left)
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
    if (this.queued === 0) {
      this.#queue = []
      this.#next = 0
    }
    this.#window.shut()
    return wake
  }

  /** When the next of `left` frames may leave; null: now. */
  #notBefore (now: number, left: number): number | null {
    const rest = this.#until - now
    if (rest <= 0) return null
    if (this.#nextAt > now) return this.#nextAt
    return this.#window.freeAt(now, left, rest)
  }
}
