/**
 * What connections do in their turns: the client is asked to move, or the connection waits for its work, or it gets its close frame.
 *
 * Until its turn a connection is served as ever, and `messages()` takes messages. A client that was asked has MOVE_TIME from its turn;
 * lib/move closes the connection of one that has moved. The others have the next turn then, in which they are closed.
 */
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { MOVE_TIME } from '../connection/mover.ts'
import type { DrainHost } from './host.ts'
import { Bookings } from './bookings.ts'
import { Pace } from './pace.ts'
import type { Turn, Wake } from './pace.ts'
import type { CloseFrames } from './close-frame.ts'
import type { Schedule } from './schedule.ts'
import type { DrainWork } from './work.ts'

/** What turns need of the drain. */
export interface TurnsOwner {
  /** Moves and work must end before. */
  graceEnd (): number
  /** Turns come at other moments than before. */
  changed (): void
}

export class Turns {
  readonly pace: Pace
  /** Turns in the calendar of the fleet. */
  readonly bookings: Bookings
  readonly #host: DrainHost
  readonly #work: DrainWork
  readonly #graceEnd: () => number
  /** Connections whose clients were asked to move, and until when each of them is waited for; in that order. */
  readonly #moving = new Map<ManagedConnection, number>()
  /** Ids of all of them: a client is asked once. */
  readonly #asked = new Set<number>()
  /** Connections that wait for their work, or for the work of a connection that has moved. */
  readonly #working = new Set<ManagedConnection>()
  /** Whether all connections wait for their turns, or have had them. */
  #added = false

  constructor (host: DrainHost, work: DrainWork, closeFrames: CloseFrames, schedule: Schedule, { graceEnd, changed }: TurnsOwner) {
    this.#host = host
    this.#work = work
    this.#graceEnd = graceEnd
    this.bookings = new Bookings(host, schedule, () => this.#left, changed)
    this.pace = new Pace(host.clock, host.random, schedule, {
      turn: (connection, wait) => this.#come(connection, wait),
      send: (connection, wait) => { closeFrames.send(connection, wait) }
    })
  }

  /** Number of connections that have had their turn and wait. */
  get waiting (): number { return this.#moving.size + this.#working.size }

  /** When the next connection is no longer waited for; Infinity if none moves. */
  get nextAt (): number {
    const [nextAt = Infinity] = this.#moving.values()
    return nextAt
  }

  /** Turns begin; the last close frame goes out by `until`. */
  begin (until: number): void {
    const { spread, clock, registry } = this.#host
    // To count those that are not closing takes time: it is done only where it matters.
    const count = typeof spread === 'number' ? registry.snapshot().filter(({ state }) => !isClosing(state)).length : registry.size
    this.pace.begin(spread === 'auto' && !clock.firesTimers() ? false : spread, count, until)
  }

  /** Gives all connections their turns: those without work first. One that is closing when its turn comes is skipped. */
  addAll (): void {
    const { registry } = this.#host
    this.#added = true
    const all = registry.snapshot()
    if (registry.working === 0) return this.pace.add(all)
    for (const works of [false, true]) this.pace.add(all.filter(({ working }) => working === works))
  }

  /** The work of a connection has ended: if it has had its turn, it has the next one. */
  workEnded (connection: ManagedConnection): void {
    if (this.#working.delete(connection)) this.pace.addFirst([connection])
  }

  closed (connection: ManagedConnection): void {
    this.#moving.delete(connection)
    this.#working.delete(connection)
  }

  /** No turn follows. */
  end (): void {
    this.pace.clear()
    this.bookings.end()
  }

  /** Closes the connections that are due. Returns when to call again. */
  pump (): Wake | null {
    const now = this.#host.clock.now()
    this.pace.addFirst(this.#take(now, now >= this.#graceEnd()))
    return this.pace.pump(this.waiting)
  }

  /** Number of clients that have had no turn yet. */
  get #left (): number { return this.#added ? this.pace.queued + this.#working.size : this.#host.registry.size }

  /** Takes the connections whose clients have had their time to move, or all that wait. */
  #take (now: number, all: boolean): ManagedConnection[] {
    const taken: ManagedConnection[] = []
    for (const [connection, until] of this.#moving) {
      if (until > now && !all) break
      this.#moving.delete(connection)
      taken.push(connection)
    }
    if (!all) return taken
    for (const connection of this.#working) taken.push(connection)
    this.#working.clear()
    return taken
  }

  /** The turn of a connection has come, or comes in `wait` milliseconds, and its close frame is due. */
  #come (connection: ManagedConnection, wait: number): Turn {
    const { clock, mover } = this.#host
    const now = clock.now()
    const graceEnd = this.#graceEnd()
    if (now + wait < graceEnd && this.#ask(connection, now, wait)) return 'moves'
    connection.parts.incoming?.finish()
    if (now >= graceEnd || !(mover.moved(connection) || this.#work.waitFor(connection))) return 'closes'
    this.#working.add(connection)
    return 'waits'
  }

  #ask (connection: ManagedConnection, now: number, wait: number): boolean {
    const { mover, takeover } = this.#host
    if (!takeover || this.#asked.has(connection.id) || !mover.ask(connection, wait)) return false
    this.#asked.add(connection.id)
    this.#moving.set(connection, now + wait + MOVE_TIME)
    return true
  }
}
