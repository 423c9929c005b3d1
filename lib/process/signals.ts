/**
 * Signals: one handler a process for all apps in it, armed while one of them listens, through close-with-grace.
 *
 * The first signal drains every app, in parallel, then closes them, flushes their loggers and exits 0. The second
 * destroys what is left, gives cleanups one turn of the event loop and exits 1. close-with-grace ends the process in the
 * same tick on a second signal, so its listener for that is replaced by ours.
 */
import closeWithGrace from 'close-with-grace'
import { isMainThread } from 'node:worker_threads'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../core/clock.ts'
import type { DrainTrigger } from '../core/drain-report.ts'
import { attempt } from '../core/guard.ts'

/** Longest wait for a logger to write what it holds, milliseconds. */
const FLUSH_TIMEOUT = 500

/** What an app gives to be drained on a signal. */
export interface SignalTarget {
  readonly clock: Clock
  readonly log: FastifyBaseLogger
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

type Signal = NonNullable<closeWithGrace.Options['skip']>[number]

const ERRORS: Signal[] = ['uncaughtException', 'unhandledRejection', 'beforeExit']

const targets = new Set<SignalTarget>()
let installed: { uninstall: () => void } | null = null
let leaving = false
/** Set by a second signal; it ends the process itself. */
let aborting: Promise<never> | null = null

/** Puts an app under the process's signals. */
export function arm (target: SignalTarget): void {
  if (!isMainThread) {
    target.log.warn('signals: not handled in a worker thread; drain from the main thread')
    return
  }
  const foreign = process.listenerCount('SIGTERM') - (installed === null ? 0 : 1)
  if (foreign > 0) {
    target.log.warn({ listeners: foreign }, 'signals: somebody else listens to SIGTERM and may end the process before the drain has ended; ' +
      'fastify-cli, for one, exits after 500 ms (--close-grace-delay)')
  }
  targets.add(target)
  install()
}

/** Takes an app out; the handler goes with the last one. */
export function disarm (target: SignalTarget): void {
  if (!targets.delete(target) || leaving) return
  install()
}

function install (): void {
  installed?.uninstall()
  installed = null
  if (targets.size === 0) return
  const all = [...targets]
  const { log } = all[0]!
  installed = closeWithGrace({
    delay: Math.max(...all.map(({ budget }) => budget)) + FLUSH_TIMEOUT,
    logger: { error: (message: unknown) => { log.error(message instanceof Error ? { err: message } : {}, message instanceof Error ? 'closing failed' : String(message)) } },
    skip: all.some(({ errors }) => errors) ? [] : ERRORS
  }, async ({ signal, err }) => {
    leaving = true
    const departing = [...targets]
    if (signal !== undefined) takeOverSecondSignal(departing, signal)
    if (err !== undefined) log.fatal({ err }, 'uncaught error: draining')
    // After an error, or with nothing left to do, there is no load balancer to wait for.
    await leave(departing, signal ?? 'close')
    // The drain that was cut short has ended too: its exit code is not 0.
    await aborting
  })
}

async function leave (all: SignalTarget[], trigger: DrainTrigger): Promise<void> {
  for (const { log } of all) log.info({ trigger }, 'leaving')
  const results = await Promise.allSettled(all.map(async (target) => {
    await target.settle(trigger)
    await target.close()
  }))
  await flush(all)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/**
 * Replaces the listeners that close-with-grace has just added, in this very call, at the end of each signal's list.
 */
function takeOverSecondSignal (all: SignalTarget[], first: NodeJS.Signals): void {
  for (const event of process.eventNames()) {
    if (typeof event !== 'string' || !event.startsWith('SIG')) continue
    const last = process.listeners(event as NodeJS.Signals).at(-1)
    if (last?.name !== 'afterFirstSignal') continue
    process.removeListener(event, last)
    process.on(event, (second: NodeJS.Signals) => { aborting ??= abort(all, first, second) })
  }
}

async function abort (all: SignalTarget[], first: NodeJS.Signals, second: NodeJS.Signals): Promise<never> {
  for (const { log, abort } of all) {
    log.warn({ first, second }, 'second signal: everything is cut off')
    abort()
  }
  const { clock } = all[0]!
  // Two turns for the drain's own last turn and its report, before the process ends.
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => { clock.setImmediate(resolve) })
  await flush(all)
  return process.exit(1)
}

/** Waits for the loggers to write what they hold: an exit does not. */
async function flush (all: SignalTarget[]): Promise<void> {
  await Promise.all(all.map(({ clock, log }) => new Promise<void>((resolve) => {
    const { flush } = log as FastifyBaseLogger & { flush?: (done: () => void) => void }
    if (typeof flush !== 'function') return resolve()
    clock.setTimeout(resolve, FLUSH_TIMEOUT)
    attempt(() => { flush.call(log, () => { resolve() }) }, () => { resolve() })
  })))
}
