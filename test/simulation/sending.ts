/**
 * What the application of a run sends: to one alone, to all, through a `send` of its own, and when it waits to write.
 */
import type { Filter } from '../../lib/track/filter.ts'
import { COUNTED } from './invariants/broadcasts.ts'
import { PINGS, WRITERS } from './invariants/readers.ts'
import type { Peer } from './peers.ts'
import type { Moment } from './time.ts'
import type { World } from './world.ts'

/** Code that waits for `writable()`. */
export interface Writer {
  peer: Peer
  /** Most bytes that may wait when it is told to write. */
  mark: number
  /** Since when it may. */
  roomSince: Moment | null
}

/** Messages of a run after which none leads to another. */
const MESSAGES = 500

export class Sending {
  readonly #world: World
  /** Code that waits for `writable()`. */
  readonly writers = new Set<Writer>()
  /** Broadcasts whose promise has not settled. */
  broadcasting = 0
  /** A message to one alone is being sent. */
  #sending = false
  #messages = 0

  constructor (world: World) {
    this.#world = world
  }

  /** The application waits until it may write, or gives up. */
  writes (peer: Peer): void {
    const { random } = this.#world
    const { connection, socket, settings: { backpressure: { maxBufferedBytes } } } = peer
    const writer: Writer = { peer, mark: maxBufferedBytes === false ? 65_536 : maxBufferedBytes / 2, roomSince: null }
    const controller = new AbortController()
    this.writers.add(writer)
    if (random.chance(0.2)) this.#world.later(random.upTo(500), () => { controller.abort() })
    void connection.writable({ signal: controller.signal }).then(() => {
      if (socket.pending > writer.mark + PINGS) this.#world.violate(WRITERS, `${peer.name} was told to write before ${socket.pending} bytes, and the mark is ${writer.mark}`)
    }, () => {
      if (!controller.signal.aborted && !connection.signal.aborted) this.#world.violate(WRITERS, `${peer.name} was told to give up, and nothing has happened`)
    }).finally(() => { this.writers.delete(writer) })
  }

  /** The application sends a message to one alone, or a part of one. */
  sends (peer: Peer, bytes: number): void {
    const { random } = this.#world
    const { socket } = peer
    if (socket.readyState !== socket.OPEN || socket.destroyed) return
    const isPart = socket.midMessage
    const fin = !random.chance(isPart ? 0.4 : 0.2)
    if (!isPart) peer.message = ++this.#messages
    this.#sending = true
    try {
      socket.send(`${isPart ? '+' : ''}${peer.message}${fin ? '' : '…'} ${'x'.repeat(bytes)}`, { fin })
    } catch {
      // Its own `send` has thrown.
    }
    this.#sending = false
  }

  /** The application sends one message to all, or to all of a tag. */
  broadcasts (filter: Filter, bytes: number): void {
    const number = ++this.#messages
    const matching = [...this.#world.live].filter(({ tagged }) => filter === 'all' || tagged)
    const text = `${number} ${'x'.repeat(bytes)}`
    const data = this.#world.random.chance(0.5) ? text : new TextEncoder().encode(text)
    this.broadcasting++
    const sent = this.#world.tracker.broadcast(data, filter)
    // Its bytes are the application's again.
    if (typeof data !== 'string') data.fill(0)
    void sent.then(({ sent, queued, dropped }) => {
      this.broadcasting--
      if (sent + queued + dropped !== matching.length) this.#world.violate(COUNTED, `${sent} + ${queued} + ${dropped} of ${matching.length}`)
      for (const { name, settings: { backpressure }, closingAt, socket } of matching) {
        // Skipped, or held back: until its fragmented message ends.
        if (closingAt !== null || socket.midMessage || (backpressure.policy === 'drop' && backpressure.maxBufferedBytes !== false)) continue
        const times = socket.frames.filter((frame) => frame.type === 'message' && String(frame.data).startsWith(`${number} `)).length
        if (times !== 1) this.#world.violate(COUNTED, `${name} got ${number} ${times} times`)
      }
    })
  }

  /** The application has replaced `send` of a socket by its own, which sends more, closes, or throws. */
  wraps (peer: Peer): void {
    const { random } = this.#world
    const { socket, connection, causes } = peer
    if (peer.replaced !== null) return
    const { send } = socket
    const replaced = peer.replaced = { from: socket.frames.length, seen: 0 }
    socket.send = (...args) => {
      if (random.chance(0.05)) {
        causes.add('error')
        throw new Error('on purpose')
      }
      replaced.seen++
      send.apply(socket, args)
      // Not in the middle of another: what was sent before may be handed to it only now.
      if (random.chance(0.1) && !this.#sending && !socket.midMessage && this.#messages < MESSAGES) this.broadcasts('all', 10)
      if (random.chance(0.02)) {
        causes.add('application')
        void connection.close(4_000, 'enough')
      }
    }
  }
}
