/**
 * Publishes numbered messages to rooms, through every server.
 */
import type { Child } from '../rpc.ts'
import type { RoomServerControl } from './control.ts'

/** Milliseconds between two messages of a room. */
const PERIOD = 200
/** Milliseconds between two looks at what is due. */
const STEP = 5

export class Publisher {
  readonly #rooms: string[]
  readonly #servers: Array<Child<RoomServerControl>>
  #timer: NodeJS.Timeout | null = null
  #published = 0
  #finished: (() => void) | null = null

  /** `servers` may change: a message goes to those that are in it at that moment, whether they listen or not. */
  constructor (rooms: string[], servers: Array<Child<RoomServerControl>>) {
    this.#rooms = rooms
    this.#servers = servers
  }

  start (): void {
    const startedAt = performance.now()
    this.#timer = setInterval(() => {
      const due = Math.floor((performance.now() - startedAt) / PERIOD * this.#rooms.length)
      while (this.#published < due) {
        if (this.#finished !== null && this.#published % this.#rooms.length === 0) return this.#finished()
        this.#publish()
      }
    }, STEP)
  }

  #publish (): void {
    const room = this.#rooms[this.#published % this.#rooms.length]!
    const number = String(Math.floor(this.#published++ / this.#rooms.length) + 1)
    // A server that has ended cannot answer.
    for (const { remote } of this.#servers) remote.publish(room, number).catch(() => {})
  }

  /** Stops when all rooms have had the same number of messages, and resolves with it. */
  async stop (): Promise<number> {
    if (this.#timer !== null) {
      await new Promise<void>((resolve) => { this.#finished = resolve })
      clearInterval(this.#timer)
      this.#timer = null
    }
    return this.#published / this.#rooms.length
  }
}
