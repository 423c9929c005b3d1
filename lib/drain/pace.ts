/**
 * The order and the pace of close frames.
 *
 * Frames go out in slices of 2 ms, with no more closing handshakes in flight than the window has places. With a spread, frames are
 * due at even intervals. If all this would make the last frame late, it does not apply: each turn sends as many frames as are
 * needed to be in time, in slices of at most 15 ms.
 */
import { LONG_SLICE, RUN, SLICE } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { Turns } from './turns.ts'
import { Window } from './window.ts'

/** When to call pump() again: after input was read, or at a moment; an answer may make it sooner. */
export type Wake = 'soon' | number

export class Pace {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #ready: (connection: ManagedConnection) => boolean
  readonly #send: (connection: ManagedConnection, index: number) => void
  readonly #window: Window<ManagedConnection>
  readonly #turns: Turns
  /** Connections whose frames are waiting, from `#next` on. */
  #queue: ManagedConnection[] = []
  #next = 0
  #sent = 0
  /** Time from one frame to the next, milliseconds. */
  #gap = 0
  #nextAt = 0
  #until = Infinity

  /** `ready` is called when a connection's turn has come, and returns false if it is to be skipped. */
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

  /** Returns the milliseconds that destroying `count` raw sockets will take, in slices of `slice` milliseconds. */
  toCut (count: number, slice: number): number { return this.#turns.toCut(count, slice) }

  /** Sets the pace: `gap` milliseconds from frame to frame (0: as fast as they can be sent), the last one by `until`. */
  start (gap: number, until: number): void {
    this.#gap = gap
    this.#until = until
  }

  /** Removes all connections. */
  clear (): void {
    this.#queue = []
    this.#next = 0
    this.#window.clear()
  }

  /** Appends connections in random order; neighbours stay in one run, see RUN. */
  add (connections: ManagedConnection[]): void {
    // After a pause, the frames that follow do not make up for it.
    if (this.queued === 0) this.#nextAt = Math.max(this.#nextAt, this.#clock.now())
    const runs: ManagedConnection[][] = []
    for (let i = 0; i < connections.length; i += RUN) runs.push(this.#shuffle(connections.slice(i, i + RUN)))
    // push(...run) of all connections would overflow the stack at about 100,000.
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

  /** The peer has answered its close frame. */
  answered (connection: ManagedConnection): void {
    this.#window.answered(connection)
  }

  /** Sends the frames that may go out now. Returns when to call again, or null if the queue is empty. */
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
          // It may have closed while it waited.
          if (connection.state === 'closing' || connection.state === 'closed' || !this.#ready(connection)) continue
          this.#window.add(connection, now)
          // If late, the gaps shrink, so that the frames that are left still go out evenly.
          this.#nextAt += Math.min(this.#gap, Math.max(0, this.#until - this.#nextAt) / left)
          this.#send(connection, this.#sent++)
        }
      }
    }
    // Closed connections must not be kept until the drain ends.
    if (this.queued === 0) {
      this.#queue = []
      this.#next = 0
    }
    // The gap between two frames is not part of the duration of a turn.
    this.#turns.end(this.#sent - first, wake === 'soon', wake === null ? -1 : wake === this.#nextAt ? this.#nextAt : start)
    return wake
  }

  /** Returns how many frames must go out in a turn that starts now, so that the last one is in time. */
  #due (now: number): number {
    const rest = this.#until - now
    return rest <= 0 ? Infinity : Math.floor(this.queued * this.#turns.interval / rest)
  }
}
