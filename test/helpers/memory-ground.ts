/**
 * A fleet in memory on a fake clock, for the contract of engines.
 */
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import type { Ground } from '../fleet/contract.ts'
import { FakeClock } from './fake-clock.ts'

/** Makes a fleet: of the engine in memory, or of one that breaks its rules. */
export function memoryGround (Fleet = MemoryFleet): Ground {
  const clock = new FakeClock()
  const fleet = new Fleet(clock)
  return {
    engine: () => fleet.engine(),
    advance: (ms) => clock.run(ms),
    clear: async () => fleet.clear(),
    size: async () => fleet.size
  }
}
