/**
 * Broadcasts: a message is encoded once and written to each connection, in slices of 2 ms (the first: 1 ms) between turns of
 * the event loop.
 *
 * The targets are the connections that match at the call; those that have closed since, or hold too much unsent data, are
 * skipped. Each connection gets broadcasts and messages to it alone in the order of the calls: before a message, its pending
 * broadcasts are written; a broadcast in the middle of a fragmented message waits for the end of that message.
 */
import { SLICE } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { show } from '../base/check.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { fault } from '../connection/faults.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Frame, Transport } from '../connection/transport.ts'
import type { BroadcastCounts } from './stats.ts'

/**
 * Most broadcasts under way. Above it, a call finishes the oldest without a pause, and so slows its caller down, as a loop of
 * `send` does. Otherwise the number of broadcasts would not be bounded.
 */
const MAX_UNDER_WAY = 64

/** Result of a broadcast; each connection that matched is counted once. */
export interface BroadcastResult {
  /** Connections whose kernel buffers have taken it. */
  sent: number
  /** Connections for which it is queued in this process, behind data that they have not read. */
  queued: number
  /** Connections that it was not sent to: they hold too much unsent data, or were closing. */
  dropped: number
}

/** What broadcasts need. */
export interface BroadcastHost {
  readonly clock: Clock
  readonly transport: Transport
  /** Returns true if a connection must not get one more frame of `bytes` bytes. */
  skips (connection: ManagedConnection, bytes: number): boolean
}

/** A broadcast under way; each target holds it until it was sent to that target. */
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
  /** What has become of all broadcasts. */
  readonly counts: BroadcastCounts = { sent: 0, queued: 0, dropped: 0, suppressed: 0 }
  readonly #host: BroadcastHost
  readonly #underWay: Broadcast[] = []
  readonly #held = new Map<ManagedConnection, Held>()
  /** Connections whose client has moved to a new one, which gets the broadcasts. */
  readonly #moved = new Set<ManagedConnection>()
  /** The connection that a broadcast is sent to now: foreign code in this call may send to it, or start a broadcast. */
  #current: ManagedConnection | null = null
  #slicing = false

  constructor (host: BroadcastHost) {
    this.#host = host
  }

  /** Resolves when the message was sent to all `selected`, an array that this call keeps. Throws SOCKETS_ERR_INVALID_ARGUMENT for a detached buffer. */
  send (data: string | Uint8Array, selected: ManagedConnection[]): Promise<BroadcastResult> {
    const frame = this.#frame(data)
    const targets = this.#moved.size === 0 ? selected : selected.filter((connection) => !this.#moved.has(connection))
    return new Promise((resolve) => {
      const broadcast: Broadcast = { frame, targets, result: { sent: 0, queued: 0, dropped: 0 }, next: 0, done: resolve }
      for (const connection of targets) addPending(connection, broadcast)
      this.#underWay.push(broadcast)
      // Half a slice: the next slice may run in the same turn of the event loop.
      if (!this.#slicing) this.#slice(SLICE / 2)
      else if (this.#underWay.length > MAX_UNDER_WAY && this.#current === null) this.#advance(Infinity)
    })
  }

  /** Connections for which broadcasts wait for the end of a fragmented message, and those that get none. */
  get size (): number { return this.#held.size + this.#moved.size }

  /** Bytes of broadcasts that wait for the end of a fragmented message. */
  heldBytes (connection: ManagedConnection): number { return this.#held.get(connection)?.bytes ?? 0 }

  /** Sends the pending broadcasts of a connection before a message to it alone. */
  sending (connection: ManagedConnection): void {
    if (this.#current === connection) return
    while (connection.pendingBroadcasts !== undefined) this.#sendOldest(connection)
  }

  /** Sends the held broadcasts of a connection, if its fragmented message has ended. */
  sent (connection: ManagedConnection): void {
    const held = this.#held.size === 0 ? undefined : this.#held.get(connection)
    if (held === undefined || this.#host.transport.isMidMessage(connection.socket)) return
    this.#held.delete(connection)
    const outer = this.#current
    this.#current = connection
    // Backpressure or an error of a replaced `send` may close the connection between two frames.
    for (const frame of held.frames) if (isOpen(connection)) this.#write(connection, frame)
    this.#current = outer
  }

  /** The client gets broadcasts on its new connection from now on; what was broadcast before may have missed that one. */
  moved (connection: ManagedConnection): void {
    this.sending(connection)
    this.#moved.add(connection)
  }

  /** Drops the held broadcasts of a connection: its fragmented message will not end. */
  closing (connection: ManagedConnection): void {
    this.#held.delete(connection)
    this.#moved.delete(connection)
  }

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
      const done = this.#advance(until)
      if (this.#underWay.length > 0 && (!done || clock.now() >= until)) return clock.setImmediate(() => { this.#slice(SLICE) })
    }
    this.#slicing = false
  }

  /** Continues the oldest broadcast until a time. Returns true if it is done. */
  #advance (until: number): boolean {
    const { clock } = this.#host
    const broadcast = this.#underWay[0]!
    while (broadcast.next < broadcast.targets.length) {
      const connection = broadcast.targets[broadcast.next++]!
      // `sending` may have sent this one before; what is pending is in order.
      if (connection.pendingBroadcasts !== undefined) this.#sendOldest(connection)
      if (broadcast.next < broadcast.targets.length && clock.now() >= until) return false
    }
    this.#underWay.shift()
    broadcast.done(broadcast.result)
    return true
  }

  /** Sends the oldest pending broadcast of a connection. */
  #sendOldest (connection: ManagedConnection): void {
    const { frame, result } = takeOldest(connection)
    const outer = this.#current
    this.#current = connection
    const outcome = this.#send(connection, frame)
    result[outcome]++
    this.counts[outcome]++
    this.#current = outer
  }

  #send (connection: ManagedConnection, frame: Frame): keyof BroadcastResult {
    const { transport, skips } = this.#host
    // Checked again: in observe mode, `skips` calls listeners, which may close the connection.
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
      // The application has replaced `send`: its error closes this connection alone.
      fault(connection, error)
      return 'dropped'
    }
  }
}

/** Adds a pending broadcast; usually it is the only one, which needs no array. */
function addPending (connection: ManagedConnection, broadcast: Broadcast): void {
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

/** Returns true if a connection can be sent to. If its peer has ended TCP, `readyState` changes before the state of the connection. */
function isOpen ({ state, socket }: ManagedConnection): boolean {
  return (state === 'open' || state === 'draining') && socket.readyState === socket.OPEN
}
