/**
 * Settling: serving on, so that load balancers learn, and saying so all the while.
 */
import type { Clock, Timer } from '../../core/clock.ts'

/** How often `progress` is emitted, milliseconds. */
export const PROGRESS_INTERVAL = 250

/** Calls `progress` at once and at its interval, and `done` after `duration`; returns what cuts it short. */
export function settle (clock: Clock, duration: number, progress: () => void, done: () => void): () => void {
  const until = clock.now() + duration
  let timer: Timer | null = null
  next()
  return () => { if (timer !== null) clock.clearTimeout(timer) }

  function next (): void {
    timer = null
    const left = until - clock.now()
    if (left <= 0) return done()
    timer = clock.setTimeout(next, Math.min(left, PROGRESS_INTERVAL))
    progress()
  }
}
