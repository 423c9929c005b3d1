/**
 * A node as its last beat has shown it. What it says about itself is JSON of another node: unchecked.
 */
import type { Clock } from '../base/clock.ts'
import { attempt } from '../base/guard.ts'
import type { FleetNode, NodeView } from './core.ts'
import type { NodeRecord } from './engine.ts'

/** Longest text that a node says about itself, characters. */
const MAX_INFO = 16_384
/** Most clients a second: more is no number to plan with. */
const MAX_CAPACITY = 1_000_000
/** Longest version, characters. */
const MAX_VERSION = 64

export class RemoteNode implements NodeView {
  readonly id: string
  readonly state: 'running' | 'draining'
  readonly connections: number
  readonly capacity: number
  readonly version: string
  readonly self: boolean
  readonly info: Readonly<Record<string, unknown>>
  readonly #clock: Clock
  readonly #beatAt: number

  constructor ({ id, info, capacity, silent }: NodeRecord, clock: Clock, self: boolean) {
    const said = readInfo(info)
    const { state, connections, version } = said
    this.id = id
    this.state = state === 'draining' ? 'draining' : 'running'
    this.connections = Number.isSafeInteger(connections) && (connections as number) > 0 ? connections as number : 0
    this.capacity = capacity > 0 ? Math.min(capacity, MAX_CAPACITY) : 0
    this.version = typeof version === 'string' ? version.slice(0, MAX_VERSION) : 'unknown'
    this.self = self
    this.info = said
    this.#clock = clock
    this.#beatAt = clock.now() - silent
  }

  get lastSeen (): number { return this.self ? 0 : Math.max(0, Math.round(this.#clock.now() - this.#beatAt)) }
}

/** Returns a node as plain data, at this moment. */
export function toPlain ({ id, state, connections, capacity, version, self, lastSeen }: NodeView): FleetNode {
  return { id, state, connections, capacity, version, self, lastSeen }
}

function readInfo (text: unknown): Record<string, unknown> {
  if (typeof text !== 'string' || text.length > MAX_INFO) return {}
  const info = attempt(() => JSON.parse(text) as unknown, () => {})
  return typeof info === 'object' && info !== null ? info as Record<string, unknown> : {}
}
