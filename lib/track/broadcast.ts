/**
 * One message to many: encoded once, written once to each, in slices of 2 ms (the first: of 1 ms) between turns of the event
 * loop.
 *
 * Whoever matched at the call is served, first broadcast first; who has closed meanwhile or holds too much already is
 * not. What is sent to one connection alone keeps its place: a broadcast that has not come to it yet is written before, and
 * one that comes in the middle of a fragmented message waits for the end of that.
 */
import { SLICE } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { show } from '../base/check.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { fault } from '../connection/faults.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Frame, Transport } from '../connection/transport.ts'

/**
 * Broadcasts under way at which another one first has the oldest finished, without a pause: whoever asks for more than can be
 * sent is held up by it, and so is what he reads, as by a loop of `send`. Else they would pile up without bound.
 */
const MAX_UNDER_WAY = 64

/** What became of a broadcast: each connection that matched is counted once. */
export interface BroadcastResult {
  /** Connections whose kernel buffers have taken it. */
  sent: number
  /** Connections for which it waits in this process, behind what they have not read yet. */
  queued: number
  /** Connections it was not sent to: they hold too much already, or were closing. */
  dropped: number
}

/** What broadcasts need. */
export interface BroadcastHost {
  readonly clock: Clock
  readonly transport: Transport
  /** Whether one more frame of so many bytes would be too many for a connection. */
  skips (connection: ManagedConnection, bytes: number): boolean
}

/** One that is under way; each of its targets holds it until it was handed to that one. */
interface Broadcast {
  readonly frame: Frame
  readonly targets: ManagedConnection[]
  readonly result: BroadcastResult
  /** Index of the next target. */
  next: number
  readonly done: (result: BroadcastResult) => void
}

/** Broadcasts that wait for the end of a fragmented message. */
interface Held {
  readonly frames: Frame[]
  bytes: number
}

export class Broadcasts {
  readonly #host: BroadcastHost
  readonly #underWay: Broadcast[] = []
  readonly #held = new Map<ManagedConnection, Held>()
  /** The connection that is handed a broadcast: code that this calls may send to it, or ask for the next broadcast. */
  #serving: ManagedConnection | null = null
  #slicing = false

  constructor (host: BroadcastHost) {
    this.#host = host
  }

  /** Resolves when it was handed to all of `targets`, which it keeps. Throws where the data cannot be read: a detached buffer. */
  send (data: string | Uint8Array, targets: ManagedConnection[]): Promise<BroadcastResult> {
    const frame = this.#frame(data)
    return new Promise((resolve) => {
      const broadcast: Broadcast = { frame, targets, result: { sent: 0, queued: 0, dropped: 0 }, next: 0, done: resolve }
      for (const connection of targets) owe(connection, broadcast)
      this.#underWay.push(broadcast)
      // Half a slice: the whole one that goes on with it may run in the same turn of the event loop.
      if (!this.#slicing) this.#slice(SLICE / 2)
      else if (this.#underWay.length > MAX_UNDER_WAY && this.#serving === null) this.#advance(Infinity)
    })
  }

  /** Connections for which broadcasts wait for the end of a fragmented message. */
  get size (): number { return this.#held.size }

  /** Bytes of broadcasts that wait for the end of a fragmented message. */
  heldBytes (connection: ManagedConnection): number { return this.#held.get(connection)?.bytes ?? 0 }

  /** What was broadcast before goes first. */
  sending (connection: ManagedConnection): void {
    if (this.#serving === connection) return
    while (connection.pendingBroadcasts !== undefined) this.#serve(connection)
  }

  /** The fragmented message may have ended. */
  sent (connection: ManagedConnection): void {
    const held = this.#held.size === 0 ? undefined : this.#held.get(connection)
    if (held === undefined || this.#host.transport.isMidMessage(connection.socket)) return
    this.#held.delete(connection)
    const outer = this.#serving
    this.#serving = connection
    // One of them may be too much, or the application's `send` may throw: then the rest is not sent.
    for (const frame of held.frames) if (isOpen(connection)) this.#write(connection, frame)
    this.#serving = outer
  }

  /** The end of the fragmented message will not be sent. */
  closing (connection: ManagedConnection): void { this.#held.delete(connection) }

  #frame (data: string | Uint8Array): Frame {
    try {
      return this.#host.transport.frame(data)
    } catch (error) {
      throw new SOCKETS_ERR_INVALID_ARGUMENT('data', 'a string or bytes that can be read', error instanceof Error ? error.message : show(error))
    }
  }

  #slice (length: number): void {
    const { clock } = this.#host
    const until = clock.now() + length
    this.#slicing = true
    while (this.#underWay.length > 0) {
      const through = this.#advance(until)
      if (this.#underWay.length > 0 && (!through || clock.now() >= until)) return clock.setImmediate(() => { this.#slice(SLICE) })
    }
    this.#slicing = false
  }

  /** Goes on with the oldest until a moment; says whether it is through. */
  #advance (until: number): boolean {
    const { clock } = this.#host
    const broadcast = this.#underWay[0]!
    while (broadcast.next < broadcast.targets.length) {
      const connection = broadcast.targets[broadcast.next++]!
      // Out of turn it may have been handed this one, and more; it is owed none out of order.
      if (connection.pendingBroadcasts !== undefined) this.#serve(connection)
      if (broadcast.next < broadcast.targets.length && clock.now() >= until) return false
    }
    this.#underWay.shift()
    broadcast.done(broadcast.result)
    return true
  }

  /** Hands over the oldest that is owed. */
  #serve (connection: ManagedConnection): void {
    const { frame, result } = takeOldest(connection)
    const outer = this.#serving
    this.#serving = connection
    result[this.#hand(connection, frame)]++
    this.#serving = outer
  }

  #hand (connection: ManagedConnection, frame: Frame): keyof BroadcastResult {
    const { transport, skips } = this.#host
    // Looked at again: of what is only observed a listener is told, who may close it.
    if (!isOpen(connection) || skips(connection, frame.payload.byteLength) || !isOpen(connection)) return 'dropped'
    if (!transport.isMidMessage(connection.socket)) return this.#write(connection, frame)
    let held = this.#held.get(connection)
    if (held === undefined) this.#held.set(connection, held = { frames: [], bytes: 0 })
    held.frames.push(frame)
    held.bytes += frame.bytes.byteLength
    connection.sent()
    return 'queued'
  }

  #write (connection: ManagedConnection, frame: Frame): keyof BroadcastResult {
    try {
      return this.#host.transport.write(connection.socket, frame) ? 'sent' : 'queued'
    } catch (error) {
      // Somebody has replaced `send`, and theirs throws: that is for this connection alone.
      fault(connection, error)
      return 'dropped'
    }
  }
}

/** Broadcasts that a connection was not handed yet; as a rule there is one, which takes no array. */
function owe (connection: ManagedConnection, broadcast: Broadcast): void {
  const { pendingBroadcasts: pending } = connection
  if (pending === undefined) connection.pendingBroadcasts = broadcast
  else if (Array.isArray(pending)) pending.push(broadcast)
  else connection.pendingBroadcasts = [pending, broadcast]
}

function takeOldest (connection: ManagedConnection): Broadcast {
  const { pendingBroadcasts: pending } = connection
  if (Array.isArray(pending) && pending.length > 1) return pending.shift() as Broadcast
  connection.pendingBroadcasts = undefined
  return (Array.isArray(pending) ? pending[0] : pending) as Broadcast
}

/** Whether it can be sent to. A peer that has ended TCP is told of later: what waits for it goes first, though nobody will take it. */
function isOpen ({ state, socket }: ManagedConnection): boolean {
  return (state === 'open' || state === 'draining') && socket.readyState === socket.OPEN
}
