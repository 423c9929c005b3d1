/**
 * What views are made of.
 */
import type { Fleet } from '../../track/fleet.ts'
import type { ManagedTracker } from '../../track/managed-tracker.ts'
import type { PageAction } from './options.ts'

/** What views are made of. */
export interface Site {
  readonly tracker: ManagedTracker
  /** Null without the option `fleet`. */
  readonly fleet: Fleet | null
  readonly actions: readonly PageAction[]
}
