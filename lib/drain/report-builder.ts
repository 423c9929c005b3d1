/**
 * Counts of a drain, and the report made of them.
 */
import type { CloseCause } from '../base/close-codes.ts'
import type { ActOptions, CloseRecord } from '../connection/connection.ts'
import type { AbandonedCleanup, DrainPhase, DrainReport, DrainTrigger } from '../track/drain-report.ts'
import type { DrainHost } from './host.ts'

export class ReportBuilder {
  readonly #host: DrainHost
  readonly #phases: DrainReport['phases'] = { settle: 0, notify: 0, grace: 0, close: 0, cleanup: 0 }
  readonly #causes: Partial<Record<CloseCause, number>> = {}
  #before = { finished: 0, failed: 0, refused: 0 }
  #trigger: DrainTrigger = 'drain'
  #startedAtWall = 0
  #startedAt = 0
  /** Milliseconds from the start to the end of the last phase: whole ones, so that the phases add up to the duration. */
  #elapsed = 0
  #clean = 0
  #left = 0
  #reconnect: DrainReport['reconnect'] = null
  readonly abandoned: AbandonedCleanup[] = []
  /** Number of connections to close. */
  total = 0
  /** Number of connections that have closed. */
  closedCount = 0
  aborted = false
  /** Who has asked for the drain, and why. */
  asked: ActOptions | undefined

  constructor (host: DrainHost) {
    this.#host = host
  }

  /** The drain begins. */
  begin (trigger: DrainTrigger, asked?: ActOptions): void {
    const { clock, registry } = this.#host
    const { refused, counters: { cleanups: { finished, failed } } } = registry
    this.#trigger = trigger
    this.asked = asked
    this.#startedAtWall = clock.wallNow()
    this.#startedAt = clock.now()
    this.#before = { finished, failed, refused }
    this.total = registry.size
  }

  phaseEnded (phase: Exclude<DrainPhase, 'done'>): void {
    const elapsed = Math.round(this.#host.clock.now() - this.#startedAt)
    this.#phases[phase] += elapsed - this.#elapsed
    this.#elapsed = elapsed
  }

  delayGiven (delay: number): void {
    const { min, max } = this.#reconnect ?? { min: delay, max: delay }
    this.#reconnect = { min: Math.min(min, delay), max: Math.max(max, delay) }
  }

  closed ({ cause, clean }: CloseRecord): void {
    this.closedCount++
    this.#causes[cause] = (this.#causes[cause] ?? 0) + 1
    if (!clean) return
    this.#clean++
    if (cause === 'client') this.#left++
  }

  /** Returns the report; the last phase has ended. */
  toReport (parts: Pick<DrainReport, 'work' | 'held' | 'suppressed'>): DrainReport {
    const { plan, registry } = this.#host
    const { refused, counters: { cleanups } } = registry
    return {
      trigger: this.#trigger,
      startedAt: this.#startedAtWall,
      duration: this.#elapsed,
      timeout: plan.timeout,
      reserve: plan.reserve,
      aborted: this.aborted,
      phases: this.#phases,
      connections: {
        total: this.total,
        clean: this.#clean,
        leftByThemselves: this.#left,
        terminated: this.closedCount - this.#clean,
        unfinished: this.total - this.closedCount,
        causes: this.#causes
      },
      work: parts.work,
      cleanups: {
        finished: cleanups.finished - this.#before.finished,
        failed: cleanups.failed - this.#before.failed,
        abandoned: this.abandoned
      },
      held: parts.held,
      refused: refused - this.#before.refused,
      suppressed: parts.suppressed,
      reconnect: this.#reconnect
    }
  }
}
