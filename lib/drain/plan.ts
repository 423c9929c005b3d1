/**
 * The arithmetic of a drain: from the budget to the moment of each phase. Pure; no clock, no connections.
 *
 * timeout = terminationGracePeriod − preStop − reserve (unless given), and inside of it, from its end backwards: time for
 * the last cleanups, time for the last peer to answer, and what is left between settling, grace and spread.
 */
import { secondsHint } from '../base/check.ts'
import { SOCKETS_ERR_OPTION_CONFLICT } from '../base/errors.ts'
import type { DrainPlan, PlanPhase } from '../track/drain-report.ts'

/** Longest default of `closeTimeout`, milliseconds. */
const CLOSE_TIMEOUT = 2_000
/** Most that is kept back for cleanups, milliseconds. */
const CLEANUP_RESERVE = 1_000

/** What a plan is made from; milliseconds, undefined where the user gave nothing. */
export interface PlanInput {
  timeout: number | undefined
  defaultTimeout: number
  terminationGracePeriod: number | undefined
  preStop: number
  reserve: number
  settleDelay: number
  /** Evenly spread the close frames over this time; false: as fast as they can be sent. */
  spread: number | false
  closeTimeout: number | undefined
}

/** When a drain's phases end at the latest, on the clock; counted back from the end of its timeout. */
export interface DrainMoments {
  /** Work in flight is waited for until then. */
  graceEnd: number
  /** The last close frame has left. */
  lastFrameAt: number
  /** Whoever is still there is cut off. */
  cutAt: number
  /** Cleanups are given up. */
  endAt: number
}

/** The moments of a drain that starts now; settling that is skipped makes grace longer. */
export function momentsOf ({ timeout, cleanupReserve, closeTimeout, spread }: DrainPlan, startedAt: number): DrainMoments {
  const endAt = startedAt + timeout
  const cutAt = endAt - cleanupReserve
  const lastFrameAt = cutAt - closeTimeout
  return { graceEnd: lastFrameAt - spread, lastFrameAt, cutAt, endAt }
}

/** Makes the plan. Throws SOCKETS_ERR_OPTION_CONFLICT, with the sum, where it does not fit. */
export function makePlan (input: PlanInput): DrainPlan {
  const { terminationGracePeriod, preStop, reserve, settleDelay } = input
  const timeout = input.timeout ?? budget(input)
  if (terminationGracePeriod !== undefined && preStop + timeout + reserve > terminationGracePeriod) {
    throw new SOCKETS_ERR_OPTION_CONFLICT(
      `drain: preStop ${preStop} + timeout ${timeout} + reserve ${reserve} = ${preStop + timeout + reserve} ms is more than terminationGracePeriod ${terminationGracePeriod} ms${secondsHint('terminationGracePeriod', terminationGracePeriod)}`)
  }
  const closeTimeout = input.closeTimeout ?? Math.min(CLOSE_TIMEOUT, Math.floor(timeout / 5))
  const cleanupReserve = Math.min(CLEANUP_RESERVE, Math.floor(timeout / 10))
  const rest = timeout - settleDelay - closeTimeout - cleanupReserve
  const wanted = input.spread === false ? 0 : input.spread
  if (rest < wanted || rest <= 0) {
    throw new SOCKETS_ERR_OPTION_CONFLICT(
      `drain: timeout ${timeout} − settleDelay ${settleDelay} − closeTimeout ${closeTimeout} − ${cleanupReserve} for cleanups = ${rest} ms` +
      (rest <= 0 ? ', which leaves nothing for work in flight and close frames' : `, which is less than spread ${wanted} ms`) +
      ': raise drain.timeout (or terminationGracePeriod), or lower the others')
  }
  const spread = input.spread === false ? Math.ceil(rest / 2) : input.spread
  const grace = rest - spread
  const source = terminationGracePeriod === undefined
    ? input.timeout === undefined ? ' (default)' : ''
    : ` = terminationGracePeriod ${terminationGracePeriod} − preStop ${preStop} − reserve ${reserve}` +
      (input.timeout === undefined ? '' : ` − ${terminationGracePeriod - preStop - reserve - timeout} unused`)
  const arithmetic = `timeout ${timeout}${source}; of it settleDelay ${settleDelay} + grace ${grace} + spread ${spread} + ` +
    `closeTimeout ${closeTimeout} + cleanups ${cleanupReserve}; preStop ${preStop} + timeout ${timeout} + reserve ${reserve} = ${preStop + timeout + reserve} ms in all`
  const phases = Object.freeze(timeline({ settleDelay, grace, spread, closeTimeout, cleanupReserve }, input.spread !== false))
  return Object.freeze({
    timeout,
    settleDelay,
    grace,
    spread,
    closeTimeout,
    cleanupReserve,
    reserve,
    preStop,
    terminationGracePeriod,
    arithmetic,
    phases,
    toString: () => [`drain: ${arithmetic}`, ...phases.map(({ phase, from, to, what }) =>
      `  ${phase.padEnd(8)}${seconds(from).padStart(8)} –${seconds(to).padStart(8)}  ${what}`)].join('\n')
  })
}

function budget ({ defaultTimeout, terminationGracePeriod, preStop, reserve }: PlanInput): number {
  if (terminationGracePeriod === undefined) return defaultTimeout
  const timeout = terminationGracePeriod - preStop - reserve
  if (timeout <= 0) {
    throw new SOCKETS_ERR_OPTION_CONFLICT(
      `drain: terminationGracePeriod ${terminationGracePeriod} − preStop ${preStop} − reserve ${reserve} = ${timeout} ms, which leaves no time to drain${secondsHint('terminationGracePeriod', terminationGracePeriod)}`)
  }
  return timeout
}

function timeline (length: Pick<DrainPlan, 'settleDelay' | 'grace' | 'spread' | 'closeTimeout' | 'cleanupReserve'>, even: boolean): PlanPhase[] {
  const phases: PlanPhase[] = []
  let from = 0
  const add = (phase: PlanPhase['phase'], duration: number, what: string) => {
    if (duration > 0) phases.push(Object.freeze({ phase, from, to: from + duration, what }))
    from += duration
  }
  add('settle', length.settleDelay, 'everything is served; load balancers learn (signals and drain() only)')
  add('grace', length.grace, 'no new ones; idle connections are closed, work in flight may finish')
  add('spread', length.spread, `close frames for the rest, ${even ? 'evenly over this time' : 'as fast as the window permits'}; the last one leaves by its end`)
  add('answer', length.closeTimeout, 'the last peers answer; whoever does not is cut off')
  add('cleanup', length.cleanupReserve, 'the last cleanups; whatever hangs is given up and named')
  return phases
}

function seconds (milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(milliseconds % 1000 === 0 ? 0 : 2)} s`
}
