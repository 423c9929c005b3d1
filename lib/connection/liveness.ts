/**
 * Signs of life of a peer: whether it was heard of, the ping that waits for its pong, and the round trip time. The heartbeat
 * (watch/heartbeat.ts) decides by them.
 *
 * A connection holds these fields itself: in an object of their own they would cost each idle connection 1 % more memory.
 */

/** A ping without a pong yet. */
export interface Probe {
  /** Checks of the peer since the ping has left, or since bytes have left before it. */
  age: number
  /** Whether the ping has left our write queue. */
  left: boolean
  /** When the ping was written, then when it has left; monotonic milliseconds. */
  leftAt: number
  /** Bytes the kernel had taken at the last check. */
  taken: number
  /** Whether no ping before it waits for a pong: otherwise the pong may answer either. */
  readonly alone: boolean
  /** Number of the time between two sleeps of the machine in which it was written. */
  readonly era: number
}

export interface Liveness {
  /** Whether something was received since the last check. */
  heard: boolean
  /** Bytes received at the last check, NOT_COUNTED or NEW. */
  bytesSeen: number
  probe: Probe | null
  /** Number of the last message that was received, or of the last before the connection opened. */
  lastMessage: number
  /** Microseconds from the last ping to its pong, a whole number, which takes no memory of its own; UNKNOWN before. */
  roundTrip: number
}

/** `bytesSeen` where the bytes were not counted. */
export const NOT_COUNTED = -1

/** `bytesSeen` before the first check. */
export const NEW = -2

/** `roundTrip` before the first pong. */
export const UNKNOWN = -1

/** Number of the last message of all connections in this process: the order tells which peer has been silent longer. */
let lastMessage = 0

/** Number of the last message so far. */
export function messagesSoFar (): number { return lastMessage }

/** A message has arrived. */
export function messageReceived (peer: Liveness): void {
  peer.heard = true
  peer.lastMessage = ++lastMessage
}

/** A pong with our payload has arrived, at a monotonic time. */
export function pongReceived (peer: Liveness, now: number): void {
  const { probe } = peer
  if (probe === null || !probe.left) return
  if (probe.alone) peer.roundTrip = Math.max(0, Math.round((now - probe.leftAt) * 1000))
  peer.probe = null
}
