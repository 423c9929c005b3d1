/**
 * The client's side of `lifecycle.v1`: what it offers, says, and is asked.
 */
import assert from 'node:assert/strict'
import type { ConnectionFacts } from '../../lib/connection/facts.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import type { Surroundings } from '../../lib/wiring.ts'
import type { Pair } from './fake-host.ts'
import type { FakeSocket, FakeSocketOptions } from './fake-socket.ts'
import { createTracker } from './tracker-rig.ts'
import type { TrackerRig } from './tracker-rig.ts'

/** A control frame. */
export function controlFrame (object: unknown): string { return `\u0001lifecycle:${JSON.stringify(object)}` }

export const MOVED = controlFrame({ type: 'moved' })

/** A frame that asks the client to move. */
export interface Asked { type: 'move', in: number, id: string }

/** Reads a frame that asks the client to move, and checks that it has nothing else. */
export function asked (message: unknown): Asked {
  const text = String(message)
  assert.ok(text.startsWith('\u0001lifecycle:'), `not a control frame: ${JSON.stringify(text)}`)
  const frame = JSON.parse(text.slice(11)) as Asked
  assert.deepEqual(Object.keys(frame), ['type', 'in', 'id'])
  assert.equal(frame.type, 'move')
  assert.ok(Number.isInteger(frame.in) && frame.in >= 0, `in ${frame.in}`)
  assert.match(frame.id, /^[\w-]{22}$/)
  return frame
}

/** The frames by which a fake socket was asked to move. */
export function asksOf (socket: FakeSocket): Asked[] {
  return socket.frames.flatMap((frame) => frame.type === 'message' && String(frame.data).startsWith('\u0001lifecycle:') ? [asked(frame.data)] : [])
}

export interface MoveRig extends TrackerRig {
  /** A connection whose client has offered the protocol. */
  connect (facts?: Partial<ConnectionFacts> & FakeSocketOptions): Pair
}

/** A tracker whose clients may offer the protocol; without heartbeat and backpressure. */
export function rig (options: LifecycleOptions = {}, parts: Partial<Surroundings> = {}): MoveRig {
  const made = createTracker({ heartbeat: false, backpressure: false, ...options }, 'debug', parts)
  const connect: MoveRig['connect'] = (facts) => {
    const pair = made.accept(facts)
    made.moves.offered(pair.connection)
    made.tracker.opened(pair.connection)
    return pair
  }
  return { ...made, connect }
}
