/**
 * When the clients of a drain are back, and what to change if that is too long. Pure: it asks a schedule, frame by frame.
 */
import type { ClientForecast, DrainPlan } from '../track/drain-report.ts'
import type { DrainFleet } from './bookings.ts'
import { CLEANUP_RESERVE, CLOSE_TIMEOUT, seconds } from './plan.ts'
import { reconnectDelay } from './reconnect.ts'
import type { ReconnectOptions } from './reconnect.ts'
import { LEAST_WAIT, Schedule } from './schedule.ts'
import type { Spread } from './schedule.ts'
import { EXPECTED_CLOSE } from './throughput.ts'

/** Most connections of a forecast, which takes time for each of them; a limit above it is no number of connections to plan for. */
const MAX_CONNECTIONS = 1_000_000

/** What a plan and the log say when not all turns come before the node must end. */
export const TOO_SMALL = 'the fleet is too small'

/** What a forecast follows from. */
export interface ForecastInput {
  readonly plan: DrainPlan
  readonly spread: Spread
  readonly reconnect: ReconnectOptions
  /** Whether the rate is what the other nodes of the fleet take. @default false */
  readonly inFleet?: boolean
}

/** What a plan with forecasts is made of. */
export interface ForecastsHost extends ForecastInput {
  readonly registry: { readonly size: number }
  readonly maxConnections: number | false
  readonly fleet: DrainFleet | null
}

/** Makes forecasts by what the other nodes take; without them, by the options. */
export class Forecasts {
  readonly #host: ForecastsHost
  /** The forecast for the limit, and the rate that it was made for. */
  #ofLimit: readonly ClientForecast[] = []
  #rate = -1

  constructor (host: ForecastsHost) {
    this.#host = host
  }

  /** The plan with forecasts for the connections there are, and for the most that are allowed. */
  get plan (): DrainPlan {
    const { registry, maxConnections } = this.#host
    const input = this.#input
    if (this.#rate !== input.reconnect.rate) {
      this.#rate = input.reconnect.rate
      this.#ofLimit = forecastOfLimit(input, maxConnections)
    }
    return withForecasts(input, registry.size, this.#ofLimit)
  }

  /** How many connections can be closed in their turns; null without turns. */
  get capacity (): number | null { return capacityOf(this.#input) }

  get #input (): ForecastInput {
    const { plan, spread, reconnect, fleet } = this.#host
    const rate = fleet === null ? 0 : fleet.rate
    return { plan, spread, reconnect: rate > 0 ? { ...reconnect, rate } : reconnect, inFleet: rate > 0 }
  }
}

/** Returns the forecast for the most connections that are allowed, if a process can have so many. */
export function forecastOfLimit (input: ForecastInput, limit: number | false): readonly ClientForecast[] {
  return limit === false || limit > MAX_CONNECTIONS ? [] : [forecast(input, limit, 'limits.total')]
}

/** Returns the plan with forecasts for the connections there are, and for the most that are allowed. */
export function withForecasts (input: ForecastInput, connections: number, ofLimit: readonly ClientForecast[]): DrainPlan {
  const clients = Object.freeze([...connections > 0 ? [forecast(input, connections, 'now')] : [], ...ofLimit])
  const { plan } = input
  return Object.freeze({
    ...plan,
    clients,
    capacity: capacityOf(input),
    toString: () => [String(plan), ...clients.map(({ lastBack, what }) =>
      `  back    ${seconds(plan.settleDelay).padStart(8)} –${seconds(plan.settleDelay + lastBack).padStart(8)}  ${what}`)].join('\n')
  })
}

function forecast (input: ForecastInput, connections: number, which: string): ClientForecast {
  const { plan, spread, reconnect } = input
  const schedule = new Schedule(reconnect)
  schedule.begin(spread, connections, 0, plan.grace + plan.spread)
  let delayed = 0
  let longestDelay = 0
  let lastBack = 0
  for (let left = connections; left > 0; left--) {
    const at = Math.max(0, schedule.due(left * EXPECTED_CLOSE))
    const delay = reconnectDelay(reconnect, schedule.wait(at))
    if (delay > 0) delayed++
    longestDelay = Math.max(longestDelay, delay)
    lastBack = Math.ceil(at + delay)
    schedule.next(at, left)
  }
  const told = delayed === 0 ? 'none' : `${delayed}, ${seconds(longestDelay)} at most`
  return Object.freeze({
    connections,
    lastBack,
    delayed,
    longestDelay,
    what: `clients (${which}): ${connections}; told to wait: ${told}${advice(input, connections, longestDelay)}`
  })
}

/** How many connections can be closed in their turns. */
function capacityOf ({ plan, spread, reconnect: { rate } }: ForecastInput): number | null {
  return spread === 'auto' ? Math.floor((plan.grace + plan.spread - EXPECTED_CLOSE) * rate / 1000) + 1 : null
}

/** What to change so that no client is told to wait for its turn. */
function advice ({ plan, spread, reconnect: { rate, minDelay }, inFleet = false }: ForecastInput, connections: number, longestDelay: number): string {
  if (spread !== 'auto' || longestDelay - minDelay < LEAST_WAIT) return ''
  const { timeout, settleDelay, closeTimeout, preStop, reserve, terminationGracePeriod } = plan
  const turns = (connections - 1) / rate * 1000
  const needed = Math.ceil((settleDelay + turns + Math.max(CLOSE_TIMEOUT, closeTimeout) + CLEANUP_RESERVE) / 1000) * 1000
  const least = Math.ceil((connections - 1) / (plan.grace + plan.spread - EXPECTED_CLOSE) * 1000)
  const time = terminationGracePeriod === preStop + timeout + reserve
    ? `terminationGracePeriod to ${needed + preStop + reserve}`
    : `timeout to ${needed}`
  return inFleet
    ? `; ${TOO_SMALL}: the other nodes take ${Math.floor(rate)} clients a second; to close all in their turns, raise drain.${time}, or let them take ${least}`
    : `; to close all in their turns, raise drain.${time} or drain.reconnect.rate to ${least}`
}
