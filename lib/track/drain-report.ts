/**
 * What a drain tells about itself: its plan, and what it does at its start, on the way and at its end. Plain data, safe to log
 * and to send.
 */
import type { CloseCause } from '../base/close-codes.ts'

/** Who asked for the drain: `app.close()`, `app.sockets.drain()`, or a signal by its name. */
export type DrainTrigger = 'close' | 'drain' | NodeJS.Signals

/** Phases of a drain, in order; each ends early when there is nothing left to wait for. */
export const DRAIN_PHASES = ['settle', 'notify', 'grace', 'close', 'cleanup', 'done'] as const

/** Where a drain is. */
export type DrainPhase = typeof DRAIN_PHASES[number]

/** One phase, milliseconds from the start of the drain. */
export interface PlanPhase {
  /** Name of the phase. */
  readonly phase: 'settle' | 'grace' | 'spread' | 'answer' | 'cleanup'
  /** Its start. */
  readonly from: number
  /** Its end, at the latest. */
  readonly to: number
  /** What happens in it, as text. */
  readonly what: string
}

/** The drain's timeline with its arithmetic. Every number is in milliseconds. */
export interface DrainPlan {
  /** From the start of the drain to its report, at most. */
  readonly timeout: number
  /** Time in which the server goes on as before, so that load balancers notice. */
  readonly settleDelay: number
  /** Time for work in flight. */
  readonly grace: number
  /** Time for close frames to go out; it ends when the last one has left. */
  readonly spread: number
  /** Time for the last peer to answer. */
  readonly closeTimeout: number
  /** Time for cleanups after the last raw socket is gone. */
  readonly cleanupReserve: number
  /** Time after the drain, for HTTP and other plugins' onClose. */
  readonly reserve: number
  /** Duration of the preStop hook. */
  readonly preStop: number
  /** The grace period that the drain was derived from. */
  readonly terminationGracePeriod: number | undefined
  /** The sum behind `timeout`, as text. */
  readonly arithmetic: string
  /** The phases in order. */
  readonly phases: readonly PlanPhase[]
  /** The whole plan for people, a line a phase. */
  toString (): string
}

/** Emitted when a drain starts. */
export interface DrainStart {
  /** What started the drain. */
  trigger: DrainTrigger
  /** Connections at the start. */
  connections: number
  /** Budget of the whole drain, milliseconds. */
  timeout: number
}

/** Where a drain is. */
export interface DrainProgress {
  /** The phase that has begun or goes on. */
  phase: DrainPhase
  /** Milliseconds since the start. */
  elapsed: number
  /** Budget of the whole drain, milliseconds. */
  timeout: number
  /** Connections not closed yet. */
  connections: number
  /** Of these, with work in flight. */
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

/** Something that a drain has waited for. */
export interface Holder {
  /** Id of the connection. */
  connection: number
  /** Route pattern of the connection. */
  route: string
  /** Whether it was work in flight or a cleanup. */
  what: 'work' | 'cleanup'
  /**
   * Name of the cleanup, of the `message` listener or of the handler; what `track()` was told; `messages()`, `onDrain`,
   * `unread input`. A function without a name is `anonymous`.
   */
  name: string
  /** Milliseconds that the drain waited for it, or that the cleanup ran. */
  duration: number
}

/** What a drain has done. Every duration is in milliseconds. */
export interface DrainReport {
  /** What started the drain. */
  trigger: DrainTrigger
  /** Epoch milliseconds. */
  startedAt: number
  /** From the start of the drain to this report. */
  duration: number
  /** Budget of the whole drain. */
  timeout: number
  /** What is left for HTTP and other plugins' onClose after it. */
  reserve: number
  /** Whether a second signal cut it short. */
  aborted: boolean
  /** Milliseconds spent in each phase. */
  phases: Record<Exclude<DrainPhase, 'done'>, number>
  /** How the connections ended. */
  connections: {
    /** Open, or still closing, when the drain started. */
    total: number
    /** Answered our close frame, or closed in full before we did. */
    clean: number
    /** Of the clean ones: the client closed by itself before our frame. */
    leftByThemselves: number
    /** Cut off, or vanished without a closing handshake. */
    terminated: number
    /** Not closed when the drain ended: the raw socket or a cleanup was still there. */
    unfinished: number
    /** How many ended for which cause. */
    causes: Partial<Record<CloseCause, number>>
  }
  /** Connections with work in flight. */
  work: {
    /** Connections whose work the drain waited for, those closed before it among them. */
    inFlight: number
    /** Of these, all their work was done in time. */
    finished: number
    /** Of these, closed, or left by their client, over their work. */
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
  /** What took longest, the longest first: ten at most, each 100 ms or more. */
  held: Holder[]
  /** Handshakes turned away since the drain started. */
  refused: number
  /** Messages and broadcasts to other connections that code of a drained connection wanted to send, and that were not sent. */
  suppressed: number
  /** Reconnect delays given, milliseconds; null when none was. */
  reconnect: {
    /** The shortest. */
    min: number
    /** The longest. */
    max: number
  } | null
}
