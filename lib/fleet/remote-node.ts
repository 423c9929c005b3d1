/**
 * A node as its last beat has shown it. What it says about itself is JSON of another node: unchecked.
 */
import type { Clock } from '../base/clock.ts'
import { attempt } from '../base/guard.ts'
import type { FleetTurns } from '../track/fleet.ts'
import type { FleetNode, NodeView } from './core.ts'
import type { NodeRecord } from './engine.ts'

/** Longest text that a node says about itself, characters. */
const MAX_INFO = 16_384
/** Most clients a second, and most connections of a node: more is no number to plan with, and sums of it lose their last digits. */
const MAX_CAPACITY = 1_000_000
const MAX_CONNECTIONS = 100_000_000
/** Longest version, characters. */
const MAX_VERSION = 64

/** Reads what the engine knows of a node. `self`: whether it is this one. */
export function readNode ({ id, info: text, capacity, silent }: NodeRecord, clock: Clock, self: boolean): NodeView {
  const info = readInfo(text)
  const { state, connections, expected, version } = info
  const beatAt = clock.now() - silent
  return {
    id,
    state: state === 'draining' ? 'draining' : 'running',
    connections: readCount(connections),
    expected: readCount(expected),
    capacity: capacity > 0 ? Math.min(capacity, MAX_CAPACITY) : 0,
    version: typeof version === 'string' ? version.slice(0, MAX_VERSION) : 'unknown',
    get booked () { return readTurns(info['booked'], Math.max(0, clock.now() - beatAt)) },
    self,
    info,
    get lastSeen () { return self ? 0 : Math.max(0, Math.round(clock.now() - beatAt)) }
  }
}

/** Returns a node as plain data, at this moment. */
export function toPlain ({ info, ...node }: NodeView): FleetNode { return node }

/** Reads a number of connections. */
function readCount (said: unknown): number { return Number.isSafeInteger(said) && (said as number) > 0 ? Math.min(said as number, MAX_CONNECTIONS) : 0 }

/** Reads what turns a node had booked `since` milliseconds ago. */
function readTurns (said: unknown, since: number): FleetTurns | null {
  const { clients, rate, within } = (said ?? {}) as Record<keyof FleetTurns, number>
  if (![clients, rate, within].every((number) => Number.isFinite(number) && number >= 0)) return null
  return within > since ? { clients, rate: Math.min(rate, MAX_CAPACITY), within: within - since } : null
}

function readInfo (text: unknown): Record<string, unknown> {
  if (typeof text !== 'string' || text.length > MAX_INFO) return {}
  const info = attempt(() => JSON.parse(text) as unknown, () => {})
  return typeof info === 'object' && info !== null ? info as Record<string, unknown> : {}
}
