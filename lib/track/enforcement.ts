/**
 * Observe mode: decides whether a policy acts, or is only observed.
 *
 * Every policy asks here before it refuses, evicts, closes, drops or pauses. An action that is only observed is counted,
 * emitted as 'observed', and logged in a summary once a minute.
 */
import type { Connection } from '../connection/connection.ts'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Events } from './events.ts'
import type { Mode, Observation, PolicyName } from './observation.ts'

/** Milliseconds between two summaries. */
const SUMMARY_INTERVAL = 60_000

export class Enforcement {
  /** Observed actions since the start, by policy. */
  readonly observed: Partial<Record<PolicyName, number>> = {}
  readonly #modes: Readonly<Record<PolicyName, Mode>>
  readonly #events: Events
  readonly #deadlines: Deadlines
  readonly #report: (recent: Partial<Record<PolicyName, number>>) => void
  /** Observed actions since the last summary, by policy. */
  #recent: Partial<Record<PolicyName, number>> = {}
  readonly #summary = new Deadline(() => { this.#summarize() })

  /** `report` gets the summaries: how often each policy would have acted. */
  constructor (modes: Readonly<Record<PolicyName, Mode>>, events: Events, deadlines: Deadlines, report: (recent: Partial<Record<PolicyName, number>>) => void) {
    this.#modes = modes
    this.#events = events
    this.#deadlines = deadlines
    this.#report = report
  }

  /** Whether the deadline of a summary is set. */
  get standing (): boolean { return this.#summary.due !== -1 }

  /** Returns true if a policy acts. */
  enforces (policy: PolicyName): boolean { return this.#modes[policy] === 'enforce' }

  /** Returns true if a policy is to act now; otherwise counts and emits what it would have done. */
  allows (policy: PolicyName, action: Observation['action'], connection?: Connection, path?: string): boolean {
    if (this.enforces(policy)) return true
    this.observed[policy] = (this.observed[policy] ?? 0) + 1
    this.#recent[policy] = (this.#recent[policy] ?? 0) + 1
    if (!this.standing) this.#deadlines.set(this.#summary, SUMMARY_INTERVAL)
    this.#events.emit('observed', { policy, action, connection, path })
    return false
  }

  /** Reports the last summary, and cancels its deadline. */
  close (): void {
    this.#deadlines.cancel(this.#summary)
    this.#summarize()
  }

  #summarize (): void {
    const recent = this.#recent
    this.#recent = {}
    if (Object.keys(recent).length > 0) this.#report(recent)
  }
}
