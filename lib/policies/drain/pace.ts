/**
 * The order and the pace in which close frames go out.
 *
 * Slices of at most 2 ms; at most 128 closing handshakes in flight, where a place is free again on the answer or after
 * 5 ms, whichever comes first, so that silent peers cannot slow the others down. So many answers may come in one turn of the
 * event loop, so there are fewer places at first, when nothing is compiled yet, and whenever a turn has taken long. Where a
 * spread is asked for, frames are due evenly over it. Where that would make the last frame late, both give way; only the
 * slices stay.
 */
import { RUN, SLICE } from '../../core/clock.ts'
import type { Clock } from '../../core/clock.ts'
import type { ManagedConnection } from '../../core/managed-connection.ts'

/** Closing handshakes in flight: at most, at first, and after turns that took long. */
export const WINDOW = 128
export const FIRST_WINDOW = 32
export const LEAST_WINDOW = 8
/** A turn of the event loop that is long, milliseconds at work. */
const LONG_TURN = 8
/** How long an unanswered one holds its place, milliseconds, as a rule. */
export const HOLD = 5

/** When to be called again: after input was read, or at a moment; an answer may make it sooner. */
export type Wake = 'soon' | number

export class Pace {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #ready: (connection: ManagedConnection) => boolean
  readonly #send: (connection: ManagedConnection, index: number) => void
  /** Connections with their moment of sending; in order of sending. */
  readonly #inFlight = new Map<ManagedConnection, number>()
  /** Who waits, from `#next` on. */
  #queue: ManagedConnection[] = []
  #next = 0
  #sent = 0
  /** Places there are at present. */
  #window = FIRST_WINDOW
  /** Places that have become free since the last frames went out, what the clock said of work then, and work from then on. */
  #freed = 0
  #busy = 0
  #turn = HOLD
  /** Milliseconds for which an unanswered one holds its place: no answer can be read in a turn that takes longer than that. */
  #hold = HOLD
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
    this.#inFlight.clear()
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
    if (this.#inFlight.delete(connection)) this.#freed++
  }

  /** Sends what may be sent now; says when to call again, or null when the queue is empty. */
  pump (): Wake | null {
    const until = this.#clock.now() + SLICE
    this.#adapt()
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
          this.#inFlight.set(connection, now)
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
    this.#busy = this.#clock.busy()
    return wake
  }

  /** Makes the window fit what the event loop has done since the last frames; what it did before the first is not their fault. */
  #adapt (): void {
    const under = this.#freed > 0 || this.#inFlight.size > 0
    const worked = under ? this.#clock.busy() - this.#busy : 0
    this.#turn = Math.max(HOLD, worked)
    this.#hold = Math.max(HOLD, 2 * worked)
    if (worked > LONG_TURN) this.#window = Math.max(LEAST_WINDOW, this.#window / 2)
    else if (worked <= LONG_TURN / 2) this.#window = Math.min(WINDOW, this.#window + this.#freed)
    this.#freed = 0
  }

  /** When the next of `left` frames may leave; null: now. */
  #notBefore (now: number, left: number): number | null {
    const rest = this.#until - now
    if (rest <= 0) return null
    if (this.#nextAt > now) return this.#nextAt
    // Places that silent peers hold are not waited for where that would make the last frame late.
    if ((left / WINDOW + 1) * this.#turn >= rest) return null
    // As many as there must be in a turn for the last one to be in time, where turns are long because of others.
    const places = Math.max(this.#window, Math.min(WINDOW, left * this.#turn / Math.max(1, rest - this.#turn)))
    for (const [connection, sentAt] of this.#inFlight) {
      if (this.#inFlight.size < places) break
      if (sentAt + this.#hold > now) return sentAt + this.#hold
      this.#inFlight.delete(connection)
      this.#freed++
    }
    return null
  }
}
