/**
 * A fleet of applications in one process, for tests of what an application does with others.
 */
import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import type { FleetProvider } from '../fleet/engine.ts'
import { MemoryFleet } from '../fleet/memory-engine.ts'

/** Options of `createFleet`. */
export interface TestFleetOptions {
  /** The clock of the applications, if it is not the real one. @default the real time */
  clock?: Clock
}

/** Creates a fleet in memory. Each application that gets it as the option `fleet` is a node of it. */
export function createFleet ({ clock = systemClock }: TestFleetOptions = {}): FleetProvider {
  const fleet = new MemoryFleet(clock)
  return () => fleet.engine()
}
