/**
 * Whether policies act, or only say what they would have done.
 *
 * Every policy asks here, at the moment it would refuse, evict, reap, drop or close. What was only observed is counted,
 * told as an event, and summed up once a minute.
 */
import type { Connection } from '../connection/connection.ts'
import { Deadline } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Events } from './events.ts'
import type { Mode, Observation, PolicyName } from './observation.ts'

/** Milliseconds between two summaries. */
const SUMMARY_INTERVAL = 60_000

export class Enforcement {
  /** What was only observed since the start, by policy. */
  readonly observed: Partial<Record<PolicyName, number>> = {}
  readonly #modes: Readonly<Record<PolicyName, Mode>>
  readonly #events: Events
  readonly #deadlines: Deadlines
  readonly #tell: (recent: Partial<Record<PolicyName, number>>) => void
  /** As `observed`, since the last summary. */
  #recent: Partial<Record<PolicyName, number>> = {}
  readonly #summary = new Deadline(() => { this.#sumUp() })

  /** `tell` gets the summaries: how often each policy would have acted. */
  constructor (modes: Readonly<Record<PolicyName, Mode>>, events: Events, deadlines: Deadlines, tell: (recent: Partial<Record<PolicyName, number>>) => void) {
    this.#modes = modes
    this.#events = events
    this.#deadlines = deadlines
    this.#tell = tell
  }

  /** Whether a summary is due, also where the last connection has left. */
  get standing (): boolean { return this.#summary.due !== -1 }

  /** Whether a policy acts. */
  enforces (policy: PolicyName): boolean { return this.#modes[policy] === 'enforce' }

  /** Says whether a policy is to act now; where it is not, that is counted and told. */
  allows (policy: PolicyName, action: Observation['action'], connection?: Connection, path?: string): boolean {
    if (this.enforces(policy)) return true
    this.observed[policy] = (this.observed[policy] ?? 0) + 1
    this.#recent[policy] = (this.#recent[policy] ?? 0) + 1
    if (!this.standing) this.#deadlines.set(this.#summary, SUMMARY_INTERVAL)
    this.#events.emit('observed', { policy, action, connection, path })
    return false
  }

  /** Tells what is still to be told, and leaves no deadline behind. */
  close (): void {
    this.#deadlines.cancel(this.#summary)
    this.#sumUp()
  }

  #sumUp (): void {
    const recent = this.#recent
    this.#recent = {}
    if (Object.keys(recent).length > 0) this.#tell(recent)
  }
}
