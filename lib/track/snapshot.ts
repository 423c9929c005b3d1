/**
 * Makes the snapshot of numbers that `stats()` returns, from counters: nothing walks the connections.
 */
import type { Broadcasts } from './broadcast.ts'
import type { DrainPhase } from './drain-report.ts'
import type { Enforcement } from './enforcement.ts'
import type { Expected } from './expected.ts'
import type { Registry } from './registry.ts'
import type { Statistics } from './statistics.ts'
import type { FleetStats, TrackerState, TrackerStats } from './stats.ts'

/** Parts that count. */
export interface CountingParts {
  readonly drain: {
    /** Null before the drain. */
    readonly phase: DrainPhase | null
    /** What is left of its budget, milliseconds; 0 before and after the drain. */
    readonly remaining: number
  }
  readonly broadcasts: Broadcasts
  readonly enforcement: Enforcement
  readonly statistics: Statistics
  readonly expected: Expected
  /** Returns what this node knows of its fleet; null without the option `fleet`. */
  fleetStats (): FleetStats | null
}

/** Takes the snapshot. */
export function snapshot (state: TrackerState, registry: Registry, parts: CountingParts): TrackerStats {
  const { counters: { opened, closed, refused, faults, cleanups }, size, working, owners } = registry
  const { broadcasts, enforcement, expected, statistics: { routes, handshakes, durations, roundTrips }, drain: { phase, remaining } } = parts
  return {
    connections: size,
    working,
    state,
    opened,
    closed: { ...closed },
    refused: { ...refused },
    faults,
    cleanups: { ...cleanups },
    observed: { ...enforcement.observed },
    routes,
    handshakes: handshakes.toHistogram(),
    durations: durations.toHistogram(),
    roundTrips: roundTrips.toHistogram(),
    broadcasts: { ...broadcasts.counts },
    owners,
    expected: expected.count,
    drain: phase === null ? null : { phase, remaining },
    fleet: parts.fleetStats()
  }
}
