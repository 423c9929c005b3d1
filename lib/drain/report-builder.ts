/**
 * What a drain counts on its way, and the report made of it.
 */
import type { CloseCause } from '../base/close-codes.ts'
import type { CloseRecord } from '../connection/connection.ts'
import type { AbandonedCleanup, DrainPhase, DrainReport, DrainTrigger } from '../track/drain-report.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { DrainHost } from './host.ts'
import { WorkHolders } from './work-holders.ts'

export class ReportBuilder {
  readonly #host: DrainHost
  readonly #trigger: DrainTrigger
  readonly #startedAtWall: number
  readonly #startedAt: number
  readonly #before: { finished: number, failed: number, refused: number }
  readonly #phases: DrainReport['phases'] = { settle: 0, notify: 0, grace: 0, close: 0, cleanup: 0 }
  readonly #causes: Partial<Record<CloseCause, number>> = {}
  #phaseStartedAt: number
  #firstFrameAt = -1
  #clean = 0
  #left = 0
  #reconnect: DrainReport['reconnect'] = null
  readonly abandoned: AbandonedCleanup[] = []
  readonly holders = new WorkHolders()
  total: number
  count = 0
  /** Ids of the connections whose work was waited for. */
  readonly worked = new Set<number>()
  abandonedWork = 0
  /** Connections that were closed before, over work that still goes on. */
  readonly #leftover: number
  #leftoverEnded = 0
  /** Ids of connections that have closed since, over work: it was abandoned, or began when they were closing and is none of the drain. */
  readonly #closedWorking = new Set<number>()
  aborted = false

  constructor (host: DrainHost, trigger: DrainTrigger) {
    this.#host = host
    this.#trigger = trigger
    this.#startedAtWall = host.clock.wallNow()
    this.#startedAt = this.#phaseStartedAt = host.clock.now()
    const { cleanups, refused } = host.registry.counters
    this.#before = { finished: cleanups.finished, failed: cleanups.failed, refused }
    this.total = host.registry.size
    const { working } = host.registry
    this.#leftover = working === 0 ? 0 : working - host.registry.snapshot().filter((connection) => connection.working).length
  }

  phaseEnded (phase: DrainPhase | null): void {
    // The first phase begins when the drain does, so that they add up to its duration.
    if (phase === null) return
    const now = this.#host.clock.now()
    if (phase !== 'done') this.#phases[phase] += now - this.#phaseStartedAt
    this.#phaseStartedAt = now
  }

  /** The moment of the first close frame, which is now when there was none. */
  firstFrameAt (): number {
    if (this.#firstFrameAt === -1) this.#firstFrameAt = this.#host.clock.now()
    return this.#firstFrameAt
  }

  /** All work of a connection has ended. */
  workEnded ({ id, state }: ManagedConnection): void {
    if (state === 'closed' && this.#leftoverEnded < this.#leftover && !this.#closedWorking.has(id)) this.#leftoverEnded++
  }

  delayGiven (delay: number): void {
    const { min, max } = this.#reconnect ?? { min: delay, max: delay }
    this.#reconnect = { min: Math.min(min, delay), max: Math.max(max, delay) }
  }

  closed (record: CloseRecord, working: boolean): void {
    this.count++
    if (working) this.#closedWorking.add(record.id)
    this.#causes[record.cause] = (this.#causes[record.cause] ?? 0) + 1
    if (!record.clean) return
    this.#clean++
    if (record.cause === 'client') this.#left++
  }

  /** The report; the last phase has ended. `suppressed` messages were not sent. */
  toReport (suppressed: number): DrainReport {
    const { plan, registry } = this.#host
    const { cleanups, refused } = registry.counters
    const unfinished = this.total - this.count
    return {
      trigger: this.#trigger,
      startedAt: this.#startedAtWall,
      duration: this.#phaseStartedAt - this.#startedAt,
      timeout: plan.timeout,
      reserve: plan.reserve,
      aborted: this.aborted,
      phases: this.#phases,
      connections: {
        total: this.total,
        clean: this.#clean,
        leftByThemselves: this.#left,
        terminated: this.count - this.#clean,
        unfinished,
        causes: this.#causes
      },
      work: {
        inFlight: this.worked.size + this.#leftover,
        finished: this.worked.size + this.#leftoverEnded - this.abandonedWork,
        abandoned: this.abandonedWork + this.#leftover - this.#leftoverEnded
      },
      cleanups: {
        finished: cleanups.finished - this.#before.finished,
        failed: cleanups.failed - this.#before.failed,
        abandoned: this.abandoned
      },
      held: this.holders.all,
      refused: refused - this.#before.refused,
      suppressed,
      reconnect: this.#reconnect
    }
  }
}
