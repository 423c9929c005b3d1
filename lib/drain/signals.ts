/**
 * Signals and uncaught errors: one listener per process for all its apps, installed while one of them listens.
 *
 * This file decides what starts a shutdown, what joins it and what aborts it. The first signal or error drains and closes every
 * app, in parallel. Later errors join the shutdown, and so does the first signal after an error; a signal after a signal aborts
 * it. close-with-grace ends the process, also if all this takes too long. It installs no listeners: they would exit at once on the
 * second event, while apps are closing, and would not recognise a falsy error.
 */
import closeWithGrace from 'close-with-grace'
import { isatty } from 'node:tty'
import { isMainThread } from 'node:worker_threads'
import type { FastifyBaseLogger } from 'fastify'
import { afterInput, LONGEST_TIMER, systemClock } from '../base/clock.ts'
import { deferred } from '../base/deferred.ts'
import type { DrainTrigger } from '../track/drain-report.ts'
import { attempt } from '../base/guard.ts'
import { LogLimiter } from '../base/log-limiter.ts'

/** Signals that can ask the process to stop. Signals of a crash are not listed: Node.js never calls their listeners. */
export const STOP_SIGNALS = Object.freeze(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const)

/** One of STOP_SIGNALS. */
export type StopSignal = typeof STOP_SIGNALS[number]

/** Time for the end of the process, the last of the reserve, milliseconds: a quarter of it if that is less. */
const EXIT_TIME = 1_000
/** Least time that applications have to close after their drain, milliseconds. */
const LEAST_RESERVE = 500
/** Maximum wait for a logger to write its buffer, milliseconds. */
const FLUSH_TIMEOUT = 500

/** An app that is drained and closed on signals. */
export interface SignalTarget {
  readonly log: FastifyBaseLogger
  /** The signals that the user has listed; false: all of STOP_SIGNALS, except those that have another use in this process. */
  readonly only: readonly StopSignal[] | false
  /** Whether uncaught errors and `beforeExit` start a shutdown, too. */
  readonly errors: boolean
  /** Maximum time for the drain, and for all that follows it until the end of the process, milliseconds. */
  readonly timeout: number
  readonly reserve: number
  /** Starts the drain. Resolves when settling is over and the app is to be closed. */
  settle (trigger: DrainTrigger): Promise<void>
  /** Closes the app, which joins the drain. */
  close (): Promise<unknown>
  /** Aborts the drain. */
  abort (): void
}

/** All events that close-with-grace would listen to. */
const NO_EVENTS = [
  'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGUSR2', 'SIGTERM',
  'uncaughtException', 'unhandledRejection', 'beforeExit'
] satisfies closeWithGrace.Options['skip']

const LISTENERS = new Map<string, (cause: StopSignal) => void>([
  ...STOP_SIGNALS.map((signal) => [signal, onSignal] as const),
  ['uncaughtException', onError],
  ['unhandledRejection', onError],
  ['beforeExit', onBeforeExit]
])

const targets = new Set<SignalTarget>()
/** Events with a listener of LISTENERS. */
const armed = new Set<string>()
let shutdown: Shutdown | null = null

/** Adds an app to those that a signal shuts down. */
export function arm (target: SignalTarget): void {
  if (!isMainThread) {
    target.log.warn('signals: not handled in a worker thread; drain from the main thread')
    return
  }
  targets.add(target)
  listen()
  // The app was still starting when the signal arrived.
  shutdown?.join(target)
}

/** Warns if SIGTERM has listeners that are not of this file. */
export function warnAboutOtherListeners (log: FastifyBaseLogger): void {
  const others = process.listenerCount('SIGTERM') - (armed.has('SIGTERM') ? 1 : 0)
  if (others > 0) {
    log.warn({ listeners: others }, 'signals: another listener on SIGTERM may end the process before the drain has ended; ' +
      'fastify-cli, for one, exits after 500 ms (--close-grace-delay)')
  }
}

/** Removes an app. The last one removes the listeners, except during a shutdown, which a second signal must still abort. */
export function disarm (target: SignalTarget): void {
  if (shutdown === null && targets.delete(target)) listen()
}

function listen (): void {
  const all = [...targets]
  const errors = all.some(({ errors }) => errors)
  for (const [event, listener] of LISTENERS) {
    const wanted = isStopSignal(event) ? all.some(({ only }) => only === false || only.includes(event)) : errors
    if (wanted === armed.has(event)) continue
    if (wanted) {
      process.on(event, listener)
      armed.add(event)
    } else {
      process.removeListener(event, listener)
      armed.delete(event)
    }
  }
}

function isStopSignal (event: string): event is StopSignal {
  return (STOP_SIGNALS as readonly string[]).includes(event)
}

function onSignal (signal: StopSignal): void {
  const reason = reasonToIgnore(signal)
  if (reason !== null) {
    for (const { log } of targets) log.info({ signal }, `signal ignored: ${reason}`)
    return
  }
  if (shutdown === null) begin(signal)
  else shutdown.signalled(signal)
}

function onError (error: unknown): void {
  const joins = shutdown !== null
  shutdown ??= new Shutdown('close', [...targets])
  // Before start(): the line about the error precedes those of the drain.
  shutdown.failedWith(error)
  if (!joins) shutdown.start()
}

function onBeforeExit (): void {
  if (shutdown === null) begin('close')
}

function begin (trigger: DrainTrigger): void {
  shutdown = new Shutdown(trigger, [...targets])
  shutdown.start()
}

/** Returns the reason to ignore a signal; null if it stops the process, as one that the user has listed always does. */
function reasonToIgnore (signal: StopSignal): string | null {
  if (signal === 'SIGTERM' || signal === 'SIGINT' || [...targets].some(({ only }) => only !== false && only.includes(signal))) return null
  if (isUsedByNode(signal)) return 'Node.js writes a report or a heap snapshot on it'
  // This detects nohup: Node.js resets an ignored SIGHUP to its default when it starts, so that only the missing terminal shows.
  if (signal === 'SIGHUP' && ![0, 1, 2].some(isatty)) return 'the process has no terminal that could hang up'
  return null
}

/** Returns whether Node.js is configured to use this signal for diagnostics. */
function isUsedByNode (signal: StopSignal): boolean {
  const { report, execArgv, env } = process
  if (report.reportOnSignal && report.signal === signal) return true
  return new RegExp(`--heapsnapshot[-_]signal[= ]${signal}\\b`).test([...execArgv, env.NODE_OPTIONS].join(' '))
}

/** The shutdown of this process: drains and closes its apps, then exits. */
class Shutdown {
  readonly #trigger: DrainTrigger
  readonly #first: SignalTarget[]
  readonly #limiter: LogLimiter
  readonly #apps: SignalTarget[] = []
  /** Resolves when apps that are not closed yet are waited for no longer. */
  readonly #ended = deferred<void>()
  /** Settles when every app that has joined so far is closed. */
  #closed: Promise<unknown> = Promise.resolve()
  #signal: StopSignal | null
  #failed = false
  #aborting = false

  constructor (trigger: DrainTrigger, apps: SignalTarget[]) {
    this.#trigger = trigger
    this.#signal = isStopSignal(trigger) ? trigger : null
    this.#first = apps
    this.#limiter = new LogLimiter(systemClock, apps[0]!.log)
  }

  start (): void {
    const limit = Math.max(...this.#first.map(({ timeout, reserve }) => timeout + Math.max(LEAST_RESERVE, Math.ceil(reserve - Math.min(EXIT_TIME, reserve / 4)))))
    const delay = Math.min(limit + 2 * FLUSH_TIMEOUT, LONGEST_TIMER)
    closeWithGrace({ delay, logger: false, skip: NO_EVENTS }, async () => { await this.#run(limit) }).close()
  }

  /** Drains and closes one more app. */
  join (app: SignalTarget): void {
    this.#apps.push(app)
    this.#closed = Promise.all([this.#closed, this.#close(app)])
  }

  /** A signal during the shutdown. The first signal joins a shutdown that an error has started; any other aborts the shutdown. */
  signalled (signal: StopSignal): void {
    const first = this.#signal
    this.#signal ??= signal
    if (first === null || this.#aborting) return
    this.#aborting = true
    this.#failed = true
    for (const { log, abort } of this.#apps) {
      log.warn({ first, second: signal }, 'second signal: the shutdown is aborted')
      attempt(abort, () => {})
    }
    // An aborted drain takes this long to its report.
    afterInput(systemClock, () => { this.#ended.resolve() })
  }

  #late (limit: number): void {
    this.#failed = true
    for (const { log } of this.#apps) log.error(`killed by timeout (${limit}ms)`)
    this.#ended.resolve()
  }

  /** Logs an uncaught error, of any type; the exit code is then 1. */
  failedWith (error: unknown): void {
    this.#failed = true
    this.#limiter.warn('uncaught error: draining', { err: error ?? String(error) }, 'fatal')
  }

  async #run (limit: number): Promise<void> {
    const timer = systemClock.setTimeout(() => { this.#late(limit) }, limit)
    for (const app of this.#first) this.join(app)
    await Promise.race([this.#allClosed(), this.#ended.promise])
    systemClock.clearTimeout(timer)
    this.#limiter.close()
    await Promise.all(this.#apps.map(({ log }) => flush(log)))
    // close-with-grace then exits with 1.
    if (this.#failed) throw new Error('failed')
  }

  async #allClosed (): Promise<void> {
    let closed
    do {
      closed = this.#closed
      await closed
    } while (closed !== this.#closed)
  }

  async #close ({ log, settle, close }: SignalTarget): Promise<void> {
    log.info({ trigger: this.#trigger }, 'shutting down')
    try {
      // The trigger 'close' does not settle: after an error, or without pending events, there are no load balancers to wait for.
      await settle(this.#trigger)
      await close()
    } catch (err) {
      this.#failed = true
      log.error({ err }, 'closing failed')
    }
  }
}

/** Waits for a logger to write its buffer, because an exit does not. */
function flush (log: FastifyBaseLogger): Promise<void> {
  return new Promise((resolve) => {
    systemClock.setTimeout(resolve, FLUSH_TIMEOUT)
    // Throws if the logger has no such method.
    attempt(() => (log as FastifyBaseLogger & { flush (done: () => void): unknown }).flush(() => { resolve() }), () => { resolve() })
  })
}
