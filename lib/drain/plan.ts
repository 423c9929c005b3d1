/**
 * The arithmetic of a drain: from the budget to the moment of each phase. Pure; no clock, no connections.
 *
 * timeout = terminationGracePeriod − preStop − reserve (unless given). It contains, from its end backwards: time for the last
 * cleanups, time for the last peer to answer, and the rest, which settling, grace and spread share.
 */
import { secondsHint } from '../base/check.ts'
import { SOCKETS_ERR_OPTION_CONFLICT } from '../base/errors.ts'
import type { DrainPlan, PlanPhase } from '../track/drain-report.ts'
import type { Spread } from './schedule.ts'

/** Largest default of `closeTimeout`, milliseconds. */
export const CLOSE_TIMEOUT = 2_000
/** Largest time reserved for cleanups, milliseconds. */
export const CLEANUP_RESERVE = 1_000
/** Time for the close frames of connections that work until grace ends, milliseconds; a drain takes more if they are many. */
const LAST_FRAMES = 200

/** The options that a plan is made from, milliseconds; undefined: not set. */
export interface PlanInput {
  timeout: number | undefined
  defaultTimeout: number
  terminationGracePeriod: number | undefined
  preStop: number
  reserve: number
  settleDelay: number
  spread: Spread
  closeTimeout: number | undefined
}

/** The latest moments of a drain, monotonic milliseconds, counted back from the end of its timeout. */
export interface DrainMoments {
  /** Work in flight is no longer waited for. */
  graceEnd: number
  /** The last close frame has left. */
  lastFrameAt: number
  /** The raw sockets that are left are destroyed. */
  cutAt: number
  /** The cleanups that are left are given up. */
  endAt: number
}

/** Returns the moments of a drain that starts at `startedAt`; if settling is skipped, grace is longer. */
export function momentsOf ({ timeout, cleanupReserve, closeTimeout, spread }: DrainPlan, startedAt: number): DrainMoments {
  const endAt = startedAt + timeout
  const cutAt = endAt - cleanupReserve
  const lastFrameAt = cutAt - closeTimeout
  return { graceEnd: lastFrameAt - spread, lastFrameAt, cutAt, endAt }
}

/** Makes the plan. Throws SOCKETS_ERR_OPTION_CONFLICT, with the sum, if the options do not fit. */
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
  const wanted = typeof input.spread === 'number' ? input.spread : 0
  if (rest < wanted || rest <= 0) {
    throw new SOCKETS_ERR_OPTION_CONFLICT(
      `drain: timeout ${timeout} − settleDelay ${settleDelay} − closeTimeout ${closeTimeout} − ${cleanupReserve} for cleanups = ${rest} ms` +
      (rest <= 0 ? ', which leaves nothing for work in flight and close frames' : `, which is less than spread ${wanted} ms`) +
      ': raise drain.timeout (or terminationGracePeriod), or lower the others')
  }
  const spread = typeof input.spread === 'number' ? input.spread : Math.min(LAST_FRAMES, Math.ceil(rest / 2))
  const grace = rest - spread
  const source = terminationGracePeriod === undefined
    ? input.timeout === undefined ? ' (default)' : ''
    : ` = terminationGracePeriod ${terminationGracePeriod} − preStop ${preStop} − reserve ${reserve}` +
      (input.timeout === undefined ? '' : ` − ${terminationGracePeriod - preStop - reserve - timeout} unused`)
  const arithmetic = `timeout ${timeout}${source}; of it settleDelay ${settleDelay} + grace ${grace} + spread ${spread} + ` +
    `closeTimeout ${closeTimeout} + cleanups ${cleanupReserve}; preStop ${preStop} + timeout ${timeout} + reserve ${reserve} = ${preStop + timeout + reserve} ms in all`
  const phases = Object.freeze(timeline({ settleDelay, grace, spread, closeTimeout, cleanupReserve }, input.spread))
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
    clients: Object.freeze([]),
    capacity: null,
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

function timeline (length: Pick<DrainPlan, 'settleDelay' | 'grace' | 'spread' | 'closeTimeout' | 'cleanupReserve'>, spread: Spread): PlanPhase[] {
  const phases: PlanPhase[] = []
  let from = 0
  const add = (phase: PlanPhase['phase'], duration: number, what: string) => {
    if (duration > 0) phases.push(Object.freeze({ phase, from, to: from + duration, what }))
    from += duration
  }
  add('settle', length.settleDelay, 'the server keeps serving, so that load balancers notice (signals and drain() only)')
  add('grace', length.grace, `no new connections; idle ones are closed${spread === 'auto' ? ', each in its turn' : ''}, work in flight may finish`)
  add('spread', length.spread, `close frames for the rest, ${typeof spread === 'number' ? 'evenly over this time' : 'as fast as the window allows'}; the last one is sent by its end`)
  add('answer', length.closeTimeout, 'the last peers answer; those that do not are cut off')
  add('cleanup', length.cleanupReserve, 'the last cleanups; those that do not settle are given up and reported')
  return phases
}

/** Formats a duration. */
export function seconds (milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(milliseconds % 1000 === 0 ? 0 : 2)} s`
}
