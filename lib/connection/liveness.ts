/**
 * Signs of life of a peer: whether something was received, the ping that waits for its pong, and the round trip time. The
 * heartbeat (watch/heartbeat.ts) uses them.
 *
 * These are fields of the connection: a separate object would cost each idle connection 1 % more memory.
 */
import type { ConnectionHost } from './host.ts'

/** A ping that waits for its pong. */
export interface Probe {
  /** Checks of the peer since the ping has left, or since bytes before it have left. */
  age: number
  /** Whether the ping has left our write queue. */
  left: boolean
  /** Time when the ping was written, then when it left; monotonic milliseconds. */
  leftAt: number
  /** Bytes the kernel had taken at the last check. */
  taken: number
  /** Whether no earlier ping waits for a pong: otherwise the pong may answer either. */
  readonly alone: boolean
  /** How often the machine had slept when the ping was written. */
  readonly era: number
}

export interface Liveness {
  /** Whether something was received since the last check. */
  heard: boolean
  /** Bytes received at the last check, NOT_COUNTED or NEW. */
  bytesSeen: number
  probe: Probe | null
  /** Sequence number of the last message that was received, or of the last before the connection opened. */
  lastMessage: number
  /** Time from the last ping to its pong, or UNKNOWN; whole microseconds, because a small integer needs no heap memory. */
  roundTrip: number
}

/** Checks of each peer in an interval of the heartbeat. */
export const CHECKS = 2

/** `bytesSeen` if the bytes were not counted at the last check. */
export const NOT_COUNTED = -1

/** `bytesSeen` before the first check. */
export const NEW = -2

/** `roundTrip` before the first pong. */
export const UNKNOWN = -1

/** Sequence number of the last message of all connections in this process: tells which peer has been silent longer. */
let lastMessage = 0

/** Returns the sequence number of the last message so far. */
export function messagesSoFar (): number { return lastMessage }

/** Records that a message has arrived. */
export function messageReceived (peer: Liveness): void {
  peer.heard = true
  peer.lastMessage = ++lastMessage
}

/** What a pong needs of its connection. */
interface Pinged<C> extends Liveness {
  readonly host: Pick<ConnectionHost<C>, 'clock' | 'hooks'>
}

/** Records that a pong with our payload has arrived. */
export function pongReceived<C extends Pinged<C>> (peer: C): void {
  const { probe, host: { clock, hooks } } = peer
  if (probe === null || !probe.left) return
  peer.probe = null
  if (!probe.alone) return
  peer.roundTrip = Math.max(0, Math.round((clock.now() - probe.leftAt) * 1000))
  for (const part of hooks.roundTripMeasured) part.roundTripMeasured(peer)
}

/** Returns the milliseconds for which a ping has waited for its pong; 0 before it has waited for an interval. */
export function unanswered ({ heard, probe }: Liveness, now: number): number {
  return heard || probe === null || probe.age < CHECKS ? 0 : Math.max(0, Math.round(now - probe.leftAt))
}
