/**
 * The order and the pace in which close frames go out.
 *
 * Slices of at most 2 ms; at most 64 closing handshakes in flight, where a place is free again on the answer or after
 * 10 ms, whichever comes first, so that silent peers cannot slow the others down. Where a spread is asked for, frames
 * are due evenly over it. Once hurried, neither holds anything back but the slices.
 */
import type { Clock } from '../../core/clock.ts'
import type { ManagedConnection } from '../../core/managed-connection.ts'

/** Longest run of close frames before the event loop gets its turn, milliseconds. */
export const SLICE = 2
/** Closing handshakes in flight: 64 keep the stall of 10,000 answers at 12 ms. */
const WINDOW = 64
/** How long an unanswered one holds its place, milliseconds. */
const HOLD = 10

/** When to be called again: after input was read, or at a moment; an answer may make it sooner. */
export type Wake = 'soon' | number

export class Pace {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #ready: (connection: ManagedConnection) => boolean
  readonly #send: (connection: ManagedConnection, index: number) => void
  /** Connections with their moment of sending; in order of sending. */
  readonly #inFlight = new Map<ManagedConnection, number>()
  #queue: ManagedConnection[] = []
  #sent = 0
  #startedAt = 0
  #spread = 0
  #expected = 1
  #hurried = false

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

  get queued (): number { return this.#queue.length }

  /** Sets the pace: `expected` frames in all, evenly over `spread` milliseconds (0: as fast as they can be sent). */
  start (expected: number, spread: number): void {
    this.#startedAt = this.#clock.now()
    this.#expected = Math.max(1, expected)
    this.#spread = spread
  }

  /** Adds connections in jittered order, behind those that wait. */
  add (connections: ManagedConnection[]): void {
    const from = this.#queue.length
    this.#queue.push(...connections)
    for (let i = this.#queue.length - 1; i > from; i--) {
      const j = from + Math.floor(this.#random() * (i - from + 1))
      const swapped = this.#queue[i]!
      this.#queue[i] = this.#queue[j]!
      this.#queue[j] = swapped
    }
  }

  /** The peer has answered: its place is free. */
  answered (connection: ManagedConnection): void {
    this.#inFlight.delete(connection)
  }

  /** Late: window and spread no longer hold anything back. */
  hurry (): void {
    this.#hurried = true
  }

  /** Sends what may be sent now; says when to call again, or null when the queue is empty. */
  pump (): Wake | null {
    const until = this.#clock.now() + SLICE
    let next = 0
    let wake: Wake | null = null
    while (next < this.#queue.length && wake === null) {
      const now = this.#clock.now()
      if (now >= until) {
        wake = 'soon'
      } else {
        wake = this.#hurried ? null : this.#notBefore(now)
        if (wake === null) {
          const connection = this.#queue[next++]!
          // It may have left while it waited.
          if (connection.state === 'closing' || connection.state === 'closed' || !this.#ready(connection)) continue
          this.#inFlight.set(connection, now)
          this.#send(connection, this.#sent++)
        }
      }
    }
    this.#queue.splice(0, next)
    return wake
  }

  #notBefore (now: number): number | null {
    const due = this.#startedAt + this.#sent / this.#expected * this.#spread
    if (due > now) return due
    if (this.#inFlight.size < WINDOW) return null
    const [oldest, sentAt] = this.#inFlight.entries().next().value!
    if (sentAt + HOLD > now) return sentAt + HOLD
    this.#inFlight.delete(oldest)
    return null
  }
}
