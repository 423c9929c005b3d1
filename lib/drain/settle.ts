/**
 * Settling: serving on, so that load balancers learn, and saying so all the while.
 */
import type { Clock, Timer } from '../base/clock.ts'

/** How often `progress` is emitted, milliseconds. */
export const PROGRESS_INTERVAL = 250

/** Calls `progress` at its interval, and `done` after `duration`; returns what cuts it short. */
export function settle (clock: Clock, duration: number, progress: () => void, done: () => void): () => void {
  const until = clock.now() + duration
  let timer = arm()
  return () => { clock.clearTimeout(timer) }

  function arm (): Timer {
    return clock.setTimeout(() => {
      if (clock.now() >= until) return done()
      timer = arm()
      progress()
    }, Math.min(until - clock.now(), PROGRESS_INTERVAL))
  }
}
