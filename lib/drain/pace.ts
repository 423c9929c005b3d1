/**
 * The order and the pace of close frames.
 *
 * Frames go out when they are due (schedule.ts), in slices of 2 ms, with no more closing handshakes in flight than the window has
 * places. If all this would make the last frame late, it does not apply: each turn of the event loop sends as many frames as are
 * needed to be in time, in slices of at most 17 ms.
 */
import { LONG_SLICE, RUN, SLICE } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Schedule, Spread } from './schedule.ts'
import { Throughput } from './throughput.ts'
import { Window } from './window.ts'

/** When to call pump() again: after input was read, or at a moment; an answer may make it sooner. */
export type Wake = 'soon' | number

/** What a connection does in its turn: it gets its close frame, its client is asked to move, or it waits, and has no turn yet. */
export type Turn = 'closes' | 'moves' | 'waits'

/** What the pace calls. */
export interface PacedConnections {
  /** The connection is the next one, and its client may come back in `wait` milliseconds. */
  turn (connection: ManagedConnection, wait: number): Turn
  /** Sends the close frame. */
  send (connection: ManagedConnection, wait: number): void
}

export class Pace {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #schedule: Schedule
  readonly #connections: PacedConnections
  readonly #window: Window<ManagedConnection>
  readonly #throughput: Throughput
  /** Connections whose frames are waiting, from `#next` on. */
  #queue: ManagedConnection[] = []
  #next = 0
  /** When the last frame must have left. */
  #until = Infinity

  constructor (clock: Clock, random: () => number, schedule: Schedule, connections: PacedConnections) {
    this.#clock = clock
    this.#random = random
    this.#schedule = schedule
    this.#connections = connections
    this.#window = new Window(clock)
    this.#throughput = new Throughput(clock)
  }

  get queued (): number { return this.#queue.length - this.#next }

  /** Longest slice of a turn that cuts off when the drain is short of time, milliseconds; frames have LONG_SLICE. */
  get longSlice (): number { return this.#throughput.longSlice }

  /** Returns the milliseconds that destroying `count` raw sockets will take, in slices of `slice` milliseconds. */
  toCut (count: number, slice: number): number { return this.#throughput.toCut(count, slice) }

  /** Returns the milliseconds that closing `count` connections will take. */
  toClose (count: number): number { return this.#throughput.toClose(count) }

  /** Frames begin to go out: those of `count` connections, the last one by `until`. */
  begin (spread: Spread, count: number, until: number): void {
    this.#schedule.begin(spread, count, this.#clock.now(), until)
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
    if (this.queued === 0) this.#schedule.resume(this.#clock.now())
    const runs: ManagedConnection[][] = []
    for (let i = 0; i < connections.length; i += RUN) runs.push(this.#shuffle(connections.slice(i, i + RUN)))
    // push(...run) of all connections would overflow the stack at about 100,000.
    for (const run of this.#shuffle(runs)) for (const connection of run) this.#queue.push(connection)
  }

  /** Adds connections that have had a turn: they go before those that wait for theirs. */
  addFirst (connections: readonly ManagedConnection[]): void {
    if (connections.length === 0) return
    if (this.queued === 0) this.#schedule.resume(this.#clock.now())
    for (const connection of connections.toReversed()) {
      // Places of connections that were taken from the queue are used first: to move all the others takes time.
      if (this.#next > 0) this.#queue[--this.#next] = connection
      else this.#queue.unshift(connection)
    }
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

  /**
   * Sends the frames that may go out now. `others` is the number of connections that will be added. Returns when to call again, or
   * null if the queue is empty.
   */
  pump (others: number): Wake | null {
    const start = this.#throughput.begin()
    this.#window.open(start)
    const needed = this.#needed(start)
    let dueAt = -1
    let sent = 0
    let wake: Wake | null = null
    while (this.queued > 0 && wake === null) {
      const now = this.#clock.now()
      const late = sent < needed
      if (now >= start + (late ? LONG_SLICE : SLICE)) {
        wake = 'soon'
      } else {
        const left = this.queued + others
        dueAt = this.#schedule.due(this.toClose(left))
        wake = dueAt > now ? dueAt : late ? null : this.#window.freeAt(now)
        if (wake === null) {
          const connection = this.#queue[this.#next++]!
          // It may have closed while it waited.
          if (isClosing(connection.state)) continue
          const wait = this.#schedule.wait(now)
          const turn = this.#connections.turn(connection, wait)
          if (turn === 'waits') continue
          sent++
          this.#schedule.next(now, left)
          if (turn === 'moves') continue
          this.#window.add(connection, now)
          this.#connections.send(connection, wait)
        }
      }
    }
    // Closed connections must not be kept until the drain ends.
    if (this.queued === 0) {
      this.#queue = []
      this.#next = 0
    }
    // The gap between two frames is not part of the duration of a turn.
    this.#throughput.end(sent, wake === 'soon', wake === null ? -1 : wake === dueAt ? dueAt : start)
    return wake
  }

  /** Returns how many frames must go out in a turn that starts now, so that the last one is in time. */
  #needed (now: number): number {
    const rest = this.#until - now
    return rest <= 0 ? Infinity : Math.floor(this.queued * this.#throughput.interval / rest)
  }
}
