/**
 * The public data of a drain: its plan, its start, its progress and its report. Plain data, safe to log and to send.
 */
import type { CloseCause } from '../base/close-codes.ts'

/** What started a drain: `app.close()`, `app.sockets.drain()`, or a signal by its name. */
export type DrainTrigger = 'close' | 'drain' | NodeJS.Signals

/** Phases of a drain, in order; each ends early when it has nothing left to wait for. */
export const DRAIN_PHASES = ['settle', 'notify', 'grace', 'close', 'cleanup', 'done'] as const

/** A phase of a drain. */
export type DrainPhase = typeof DRAIN_PHASES[number]

/** A phase of the plan, milliseconds from the start of the drain. */
export interface PlanPhase {
  /** Name of the phase. */
  readonly phase: 'settle' | 'grace' | 'spread' | 'answer' | 'cleanup'
  /** Start of the phase. */
  readonly from: number
  /** Latest end of the phase. */
  readonly to: number
  /** What happens in the phase, as text. */
  readonly what: string
}

/** When the clients of a drain are back, for a number of connections. Milliseconds. */
export interface ClientForecast {
  /** Number of connections. */
  readonly connections: number
  /** Time from the first close frame until the last client comes back, if all do as they are told. */
  readonly lastBack: number
  /** Clients that are told to wait. An estimate: it depends on how fast connections can be closed. */
  readonly delayed: number
  /** The longest delay that a client is told. */
  readonly longestDelay: number
  /** The same as text, with what to change if that is too long. */
  readonly what: string
}

/** The timeline of a drain with its arithmetic. Every number is in milliseconds. */
export interface DrainPlan {
  /** Longest time from the start of the drain to its report. */
  readonly timeout: number
  /** Time in which the server keeps serving, so that load balancers notice. */
  readonly settleDelay: number
  /** Time for work in flight; less if closing those that still work takes longer than `spread`. */
  readonly grace: number
  /** Time for the close frames of connections that work until grace ends. */
  readonly spread: number
  /** Time for the last peer to answer. */
  readonly closeTimeout: number
  /** Time for cleanups after the last raw socket is gone. */
  readonly cleanupReserve: number
  /** Time after the drain, for HTTP and the onClose hooks of other plugins. */
  readonly reserve: number
  /** Duration of the preStop hook. */
  readonly preStop: number
  /** The grace period that the drain was derived from. */
  readonly terminationGracePeriod: number | undefined
  /** The sum that gives `timeout`, as text. */
  readonly arithmetic: string
  /** The phases in order. */
  readonly phases: readonly PlanPhase[]
  /** When clients are back: for the connections there are now, and for `limits.total`, if it is set. */
  readonly clients: readonly ClientForecast[]
  /** Connections that can be closed in their turns: of more, some clients are told a delay. Null if `drain.spread` is not `'auto'`. */
  readonly capacity: number | null
  /** Formats the plan for people, a line for each phase. */
  toString (): string
}

/** The start of a drain. */
export interface DrainStart {
  /** What started the drain. */
  trigger: DrainTrigger
  /** Connections at the start. */
  connections: number
  /** Budget of the whole drain, milliseconds. */
  timeout: number
}

/** The progress of a drain. */
export interface DrainProgress {
  /** The current phase. */
  phase: DrainPhase
  /** Time since the start, milliseconds. */
  elapsed: number
  /** Budget of the whole drain, milliseconds. */
  timeout: number
  /** Connections that are not closed. */
  connections: number
  /** Connections among them with work in flight. */
  working: number
  /** Close frames still to be sent. */
  queued: number
  /** Connections closed since the start. */
  closed: number
}

/** A cleanup that was given up. */
export interface AbandonedCleanup {
  /** Id of the connection. */
  connection: number
  /** Route pattern of the connection. */
  route: string
  /** Name of the function, or `anonymous`. */
  cleanup: string
}

/** Work or a cleanup that a drain has waited for. */
export interface Holder {
  /** Id of the connection. */
  connection: number
  /** Route pattern of the connection. */
  route: string
  /** Whether it was work in flight or a cleanup. */
  what: 'work' | 'cleanup'
  /**
   * Name of the cleanup, of the `message` listener or of the handler; the name given to `track()`; or `messages()`, `onDrain`,
   * `unread input`. A function without a name is `anonymous`.
   */
  name: string
  /** Time that the drain waited for the work, or that the cleanup ran, milliseconds. */
  duration: number
}

/** The report of a drain. Every duration is in milliseconds. */
export interface DrainReport {
  /** What started the drain. */
  trigger: DrainTrigger
  /** Time when the drain started, epoch milliseconds. */
  startedAt: number
  /** Time from the start of the drain to this report. */
  duration: number
  /** Budget of the whole drain. */
  timeout: number
  /** Time that remains for HTTP and the onClose hooks of other plugins. */
  reserve: number
  /** Whether a second signal cut it short. */
  aborted: boolean
  /** Milliseconds spent in each phase. */
  phases: Record<Exclude<DrainPhase, 'done'>, number>
  /** How the connections ended. */
  connections: {
    /** Connections that were not closed when the drain started, and those accepted since. */
    total: number
    /** Connections that ended with a complete close handshake. */
    clean: number
    /** Clean ones whose client closed before our close frame. */
    leftByThemselves: number
    /** Connections that ended without a complete close handshake. */
    terminated: number
    /** Connections that were not closed when the drain ended: the raw socket or a cleanup was left. */
    unfinished: number
    /** Connections by the cause of their close. */
    causes: Partial<Record<CloseCause, number>>
  }
  /** Connections with work in flight. */
  work: {
    /** Connections whose work the drain waited for, also those that were closed before it. */
    inFlight: number
    /** Those among them whose work ended in time. */
    finished: number
    /** Those among them that were closed, by either side, before their work ended. */
    abandoned: number
  }
  /** Cleanups of `defer()`. */
  cleanups: {
    /** Cleanups that ran to their end. */
    finished: number
    /** Cleanups that threw or rejected. */
    failed: number
    /** Cleanups that were given up. */
    abandoned: AbandonedCleanup[]
  }
  /** The work and the cleanups that took longest, the longest first: ten at most, each 100 ms or more. */
  held: Holder[]
  /** Handshakes refused since the drain started. */
  refused: number
  /** Messages and broadcasts to other connections that code of a closed connection tried to send, and that were not sent. */
  suppressed: number
  /** Reconnect delays in close reasons, milliseconds; null if there were none. */
  reconnect: {
    /** The shortest. */
    min: number
    /** The longest. */
    max: number
  } | null
}
