/**
 * S38, S39, and rates: connections that read too slowly, and clients that send too much.
 */
import type { Peer } from '../peers.ts'
import { TICK } from '../time.ts'
import { acts, eachOf } from './invariant.ts'
import type { Invariant } from './invariant.ts'

/** Bytes of pings, which the buffer limits do not count. */
export const PINGS = 500

/** Name of what holds for code that waits for `writable()`; the world itself finds what is told too early. */
export const WRITERS = 'code that waits to write is told in time'

/** Looks at a peer that takes nothing. */
const LOOKS = 4

/** Messages above what burst and time allow, at these times; the last of them counts. */
function over ({ settings: { messageRate } }: Peer, times: readonly number[]): number {
  if (messageRate === false) return -Infinity
  const { max, timeWindow, burst } = messageRate
  const now = times.at(-1)!
  return times.reduce((most, time, i) => Math.max(most, times.length - i - burst - (now - time) * max / timeWindow), -Infinity)
}

export const readers: readonly Invariant[] = [
  {
    name: 'a connection that reads is not slow',
    ending ({ broadcasts, time }, peer, cause) {
      const { settings: { backpressure: { maxStallTime, maxBufferedBytes } }, socket, stuckSince } = peer
      // Broadcasts that wait for the end of a fragmented message wait, too.
      const pending = socket.pending + broadcasts.heldBytes(peer.connection)
      if (cause !== 'slow' || (maxBufferedBytes !== false && pending > maxBufferedBytes)) return undefined
      if (maxStallTime === false || stuckSince === null) return `${peer.name} was slow with ${pending} bytes to take`
      const stuck = time.moment.fast - stuckSince.fast
      // Looks are whole ticks apart.
      return stuck < LOOKS * Math.floor(maxStallTime / LOOKS / TICK) * TICK - TICK && `${peer.name} was slow after ${stuck} of ${maxStallTime} ms`
    }
  },
  {
    name: 'a connection that takes nothing is closed in time',
    step: (world) => acts(world, 'backpressure') && eachOf(world.live, ({ settings, stuckSince, openedAt, socket, connection }) => {
      const { maxStallTime } = settings.backpressure
      if (maxStallTime === false || stuckSince === null || openedAt === null || !socket.handle) return undefined
      if (connection.state !== 'open' && connection.state !== 'draining') return undefined
      const stuck = world.time.slow - Math.max(stuckSince.slow, openedAt.slow)
      return stuck > maxStallTime * 1.25 + 3 * TICK && `has taken nothing for ${stuck} ms, and may for ${maxStallTime}`
    })
  },
  {
    name: 'no connection holds more bytes than it may',
    step: (world) => acts(world, 'backpressure') && eachOf(world.live, ({ settings, socket: { pending }, connection }) => {
      const { maxBufferedBytes } = settings.backpressure
      if (maxBufferedBytes === false || (connection.state !== 'open' && connection.state !== 'draining')) return undefined
      const held = pending + world.broadcasts.heldBytes(connection)
      return held > maxBufferedBytes + PINGS && `holds ${held} bytes, and may hold ${maxBufferedBytes}`
    })
  },
  {
    name: WRITERS,
    step ({ sending: { writers }, time }) {
      for (const writer of writers) {
        const { peer, mark } = writer
        if (peer.closingAt !== null) return `${peer.name} is closing, and code still waits to write to it`
        writer.roomSince = peer.socket.pending <= mark ? writer.roomSince ?? time.moment : null
        const late = writer.roomSince === null ? 0 : time.slow - writer.roomSince.slow
        if (late > 3 * TICK) return `${peer.name} has had room for ${late} ms, and code still waits to write to it`
      }
      return undefined
    },
    end: ({ sending: { writers } }) => writers.size > 0 && `${writers.size} wait to write at the end`
  },
  {
    name: 'a client that keeps to its rate is neither closed nor paused',
    ending: (_, peer, cause) => cause === 'rate' && over(peer, peer.readAt) < 1e-6 && `${peer.name} sends no more than it may`,
    pausing: (_, peer) => over(peer, peer.readAt) < 1e-6 && `${peer.name} sends no more than it may, and is paused`
  },
  {
    name: 'no client gets more through than its rate',
    step: (world) => acts(world, 'messageRate') && eachOf(world.live, (peer) => {
      const { connection, settings: { messageRate }, deliveredAt } = peer
      if (messageRate === false || messageRate.policy !== 'close' || connection.state !== 'open' || deliveredAt.length === 0) return undefined
      const count = over(peer, deliveredAt)
      return count > 1e-6 && `got ${count} messages more through than it may`
    })
  }
]
