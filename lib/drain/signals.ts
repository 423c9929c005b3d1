/**
 * Signals and uncaught errors: one listener a process for all apps in it, armed while one of them listens.
 *
 * This file decides what starts a shutdown, what joins it and what cuts it off. The first signal or error drains and closes
 * every app, in parallel. Later errors join, and so does the first signal after an error; a signal after a signal destroys
 * what is left. close-with-grace bounds the shutdown in time and ends the process. It gets no listener of its own: it would
 * exit at once on the second event, with apps half closed, and would take a falsy error for none.
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

/** Signals that can mean that the process is to stop. Those of a crash are not among them: Node.js never gets to their listeners. */
export const STOP_SIGNALS = Object.freeze(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const)

/** One of STOP_SIGNALS. */
export type StopSignal = typeof STOP_SIGNALS[number]

/** Longest wait for a logger to write what it holds, milliseconds. */
const FLUSH_TIMEOUT = 500

/** What an app gives to be drained on a signal. */
export interface SignalTarget {
  readonly log: FastifyBaseLogger
  /** The signals that the user has listed; false: all of STOP_SIGNALS that mean a stop here. */
  readonly only: readonly StopSignal[] | false
  /** Also on uncaught errors and beforeExit. */
  readonly errors: boolean
  /** From the signal to the last onClose, at most, milliseconds. */
  readonly budget: number
  /** Starts the drain; resolves when settling is over and the app is to be closed. */
  settle (trigger: DrainTrigger): Promise<void>
  /** Closes the app, which joins the drain. */
  close (): Promise<unknown>
  /** Cuts the drain short. */
  abort (): void
}

/** Everything that close-with-grace would listen to. */
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
/** Events that one of LISTENERS is on. */
const armed = new Set<string>()
let shutdown: Shutdown | null = null

/** Puts an app under the process's signals. */
export function arm (target: SignalTarget): void {
  if (!isMainThread) {
    target.log.warn('signals: not handled in a worker thread; drain from the main thread')
    return
  }
  const foreign = process.listenerCount('SIGTERM') - (armed.has('SIGTERM') ? 1 : 0)
  if (foreign > 0) {
    target.log.warn({ listeners: foreign }, 'signals: another listener on SIGTERM may end the process before the drain has ended; ' +
      'fastify-cli, for one, exits after 500 ms (--close-grace-delay)')
  }
  targets.add(target)
  listen()
  // An app that was still starting when the signal came.
  shutdown?.join(target)
}

/** Takes an app out; the listeners go with the last one, but not from a process that is shutting down. */
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
  const reason = otherUse(signal)
  if (reason !== null) {
    for (const { log } of targets) log.info({ signal }, `signal is not taken: ${reason}`)
    return
  }
  if (shutdown === null) begin(signal)
  else shutdown.signalled(signal)
}

function onError (error: unknown): void {
  const joins = shutdown !== null
  shutdown ??= new Shutdown('close', [...targets])
  // The line about the error comes before those of the drain.
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

/** What a signal means here other than a stop; null where it means one. A signal that the user has listed always does. */
function otherUse (signal: StopSignal): string | null {
  if (signal === 'SIGTERM' || signal === 'SIGINT' || [...targets].some(({ only }) => only !== false && only.includes(signal))) return null
  if (isUsedByNode(signal)) return 'Node.js writes a report or a heap snapshot on it'
  // nohup leaves no trace but this one: Node.js sets an ignored SIGHUP back to its default when it starts.
  if (signal === 'SIGHUP' && ![0, 1, 2].some(isatty)) return 'the process has no terminal that could hang up'
  return null
}

/** Says whether Node.js was told to use this signal for diagnostics. */
function isUsedByNode (signal: StopSignal): boolean {
  const { report, execArgv, env } = process
  if (report.reportOnSignal && report.signal === signal) return true
  return new RegExp(`--heapsnapshot[-_]signal[= ]${signal}\\b`).test([...execArgv, env.NODE_OPTIONS].join(' '))
}

/** The end of this process: drains and closes its apps, then exits. */
class Shutdown {
  readonly #trigger: DrainTrigger
  readonly #first: SignalTarget[]
  readonly #limiter: LogLimiter
  readonly #apps: SignalTarget[] = []
  readonly #cut = deferred<void>()
  /** Settles when every app that has joined by now is closed. */
  #closed: Promise<unknown> = Promise.resolve()
  #signal: StopSignal | null
  #failed = false
  #cutting = false

  constructor (trigger: DrainTrigger, apps: SignalTarget[]) {
    this.#trigger = trigger
    this.#signal = isStopSignal(trigger) ? trigger : null
    this.#first = apps
    this.#limiter = new LogLimiter(systemClock, apps[0]!.log)
  }

  start (): void {
    const budget = Math.max(...this.#first.map(({ budget }) => budget))
    closeWithGrace({
      delay: Math.min(budget + FLUSH_TIMEOUT, LONGEST_TIMER),
      logger: false,
      skip: NO_EVENTS,
      onTimeout: (delay) => { for (const { log } of this.#apps) log.error(`killed by timeout (${delay}ms)`) }
    }, async () => { await this.#run() }).close()
  }

  /** Drains and closes one more app. */
  join (app: SignalTarget): void {
    this.#apps.push(app)
    this.#closed = Promise.all([this.#closed, this.#close(app)])
  }

  /** A signal during the shutdown: the first one joins it, where an error has started it; any other cuts it off. */
  signalled (signal: StopSignal): void {
    const first = this.#signal
    this.#signal ??= signal
    if (first === null || this.#cutting) return
    this.#cutting = true
    this.#failed = true
    for (const { log, abort } of this.#apps) {
      log.warn({ first, second: signal }, 'second signal: everything is cut off')
      attempt(abort, () => {})
    }
    // As long as the drain takes for its end and its report.
    afterInput(systemClock, () => { this.#cut.resolve() })
  }

  /** An uncaught error, of any type: logged, and the exit code is 1. */
  failedWith (error: unknown): void {
    this.#failed = true
    this.#limiter.warn('uncaught error: draining', { err: error ?? String(error) }, 'fatal')
  }

  async #run (): Promise<void> {
    for (const app of this.#first) this.join(app)
    await Promise.race([this.#allClosed(), this.#cut.promise])
    this.#limiter.close()
    await Promise.all(this.#apps.map(({ log }) => flush(log)))
    // For close-with-grace: it exits with 1.
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
    log.info({ trigger: this.#trigger }, 'leaving')
    try {
      // After an error, or with nothing left to do, there is no load balancer to wait for: 'close' does not settle.
      await settle(this.#trigger)
      await close()
    } catch (err) {
      this.#failed = true
      log.error({ err }, 'closing failed')
    }
  }
}

/** Waits for a logger to write what it holds: an exit does not. */
function flush (log: FastifyBaseLogger): Promise<void> {
  return new Promise((resolve) => {
    systemClock.setTimeout(resolve, FLUSH_TIMEOUT)
    // It also throws where there is no such method.
    attempt(() => (log as FastifyBaseLogger & { flush (done: () => void): unknown }).flush(() => { resolve() }), () => { resolve() })
  })
}
