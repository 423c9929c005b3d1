/**
 * A node of a fleet for tests of engines: short calls of its engine, and all that it hears.
 */
import assert from 'node:assert/strict'
import type { Beat, Booking, FleetEngine, LabelCount, PlacesAsked, PresenceChange, Pulse, Turns } from '../../lib/fleet/engine.ts'

/** A time that does not end in a test. */
export const LONG = 60_000

/** One node, with all that it hears. */
export class EngineNode {
  readonly id: string
  readonly engine: FleetEngine
  readonly heard: string[] = []

  constructor (id: string, engine: FleetEngine) {
    this.id = id
    this.engine = engine
  }

  listen (): Promise<void> { return this.engine.listen(this.id, (message) => { this.heard.push(message) }) }
  beat (beat: Partial<Beat> = {}): Promise<Pulse> {
    return this.engine.beat(this.id, { info: '', capacity: 0, lease: LONG, settled: [], away: LONG, ...beat })
  }

  leave (): Promise<void> { return this.engine.leave(this.id) }
  /** Writes one count; returns what the call tells, without its time. */
  async count (kind: LabelCount['kind'], label: string, count: number, away = 0): Promise<Omit<PresenceChange, 'at'>> {
    const { online, offline } = await this.engine.label(this.id, [{ kind, label, count, away }])
    return { online, offline }
  }

  owner (label: string, count: number, away = 0) { return this.count('owner', label, count, away) }
  find (label: string, kind: LabelCount['kind'] = 'owner') { return this.engine.find(kind, label) }
  async take (have: number, want: number, max: number, { key = 'total', oldest = null }: Partial<PlacesAsked> = {}) {
    const [given, ...rest] = await this.engine.take(this.id, [{ key, have, want, max, oldest }])
    assert.equal(rest.length, 0)
    return given!
  }

  book (clients: number, booking: Partial<Booking> = {}): Promise<Turns> {
    return this.engine.book(this.id, { clients, from: LONG, share: 1, ceiling: 1e6, leaves: false, ...booking })
  }
}
