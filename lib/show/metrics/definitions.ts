/**
 * The table of metrics: what each is called, what it says, and how it is read from `stats()`. Prometheus and OpenTelemetry get the
 * same metrics from it.
 *
 * The number of series must not depend on what clients send: label values are routes of the application and words of closed sets.
 * docs/guides/metrics.md has the bound.
 */
import type { ClosedCount } from '../../connection/route-counters.ts'
import { STATES } from '../../connection/connection.ts'
import type { Refusal } from '../../track/events.ts'
import { DRAIN_PHASES } from '../../track/drain-report.ts'
import type { Histogram } from '../../track/histogram.ts'
import type { FleetStats, RouteStats, TrackerStats } from '../../track/stats.ts'

/** What a sample of a histogram is of; '' for other metrics. */
export type Suffix = '' | '_bucket' | '_sum' | '_count'

/** One number. */
export interface Sample {
  readonly suffix: Suffix
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What metrics are read from. */
export interface Numbers extends TrackerStats {
  /** As in the plan of a drain. */
  readonly capacity: number | null
}

/** One metric. */
export interface Definition {
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly unit: '' | 'seconds' | 'bytes'
  /** Names of the labels; `le` of a histogram is left out, as in every client library. */
  readonly labels: readonly string[]
  readonly help: string
  /** How the processes of a cluster are added up. */
  readonly aggregator: 'sum' | 'max' | 'min'
  read (numbers: Numbers): Sample[]
}

/** Reasons that a handshake can be refused for. Each is a series from the start, so that its first refusal is an increase. */
const REFUSALS: ReadonlyArray<Refusal['reason']> = [
  'draining', 'handshake timeout', 'not a websocket route', 'origin', 'total', 'perOwner', 'perAddress', 'handshakes', 'pressure'
]

/** Where connections are counted that were only opened to be refused: that is the metric of refused handshakes. */
const REFUSED_ROUTE = 'none'

/** Close codes of clients that have a series of their own; all others are one. */
const CLIENT_CODES = ['1000', '1001', '1005']

/** Upper bounds of the buckets, milliseconds: some of those of `stats()`, for each is a series. */
const LIFE = [15_000, 300_000, 3_600_000, 43_200_000]
const LATENCY = [10, 50, 250, 1_000, 5_000]

const gauge = (name: string, help: string, read: (numbers: Numbers) => Sample[], { labels = [] as string[], unit = '' as Definition['unit'], aggregator = 'sum' as Definition['aggregator'] } = {}): Definition =>
  ({ name, type: 'gauge', unit, labels, help, aggregator, read })

const counter = (name: string, help: string, read: (numbers: Numbers) => Sample[], { labels = [] as string[], unit = '' as Definition['unit'] } = {}): Definition =>
  ({ name, type: 'counter', unit, labels, help, aggregator: 'sum', read })

const histogram = (name: string, help: string, bounds: readonly number[], read: (numbers: Numbers) => Histogram): Definition =>
  ({ name, type: 'histogram', unit: 'seconds', labels: [], help, aggregator: 'sum', read: (numbers) => buckets(read(numbers), bounds) })

/** A metric of the fleet is absent without one. */
const ofFleet = (read: (fleet: FleetStats) => Sample[]) => ({ fleet }: Numbers): Sample[] => fleet === null ? [] : read(fleet)

/** All metrics, in the order of a scrape. */
export const DEFINITIONS: readonly Definition[] = [
  gauge('ws_connections', 'Connections that are not closed, by route and state.', ({ routes }) =>
    perRoute(routes, (route, counts) => STATES.filter((state) => state !== 'closed').map((state) => sample(counts[state], { route, state }))), { labels: ['route', 'state'] }),
  gauge('ws_connections_expected', 'Connected clients, and those that were told to come back and whose time has not passed.', ({ expected }) => one(expected)),
  counter('ws_connections_opened_total', 'Connections accepted.', ({ routes }) => one(sum(routes, ({ opened }) => opened))),
  counter('ws_connections_closed_total', 'Connections closed, by route, cause and close code.', ({ routes }) =>
    perRoute(routes, (route, { closed }) => folded(closed).map(({ cause, code, count }) => sample(count, { route, cause, code }))), { labels: ['route', 'cause', 'code'] }),
  histogram('ws_connection_duration_seconds', 'Time from the handshake to the last cleanup of closed connections.', LIFE, ({ durations }) => durations),
  histogram('ws_handshake_duration_seconds', 'Time from the upgrade request to the open socket.', LATENCY, ({ handshakes }) => handshakes),
  counter('ws_handshakes_refused_total', 'Handshakes refused, by reason.', ({ refused }) => byKey('reason', { ...zeros(REFUSALS), ...refused }), { labels: ['reason'] }),
  counter('ws_messages_total', 'Messages, by route and direction.', ({ routes }) =>
    perRoute(routes, (route, { messages }) => byKey('direction', messages, { route })), { labels: ['route', 'direction'] }),
  counter('ws_bytes_total', 'Payload of messages, by direction.', ({ routes }) =>
    byKey('direction', { received: sum(routes, ({ bytes }) => bytes.received), sent: sum(routes, ({ bytes }) => bytes.sent) }), { labels: ['direction'], unit: 'bytes' }),
  counter('ws_broadcast_messages_total', 'Messages of broadcasts, one for each connection, by outcome; and broadcasts suppressed in a drain.', ({ broadcasts }) =>
    byKey('outcome', occurred(broadcasts)), { labels: ['outcome'] }),
  gauge('ws_work_in_flight', 'Connections with work in flight.', ({ working }) => one(working)),
  counter('ws_faults_total', 'Throws and rejections of code that belongs to a connection.', ({ faults }) => one(faults)),
  counter('ws_cleanups_total', 'Cleanups, by outcome.', ({ cleanups }) => byKey('outcome', cleanups), { labels: ['outcome'] }),
  gauge('ws_drain_phase', `Phase of the drain: 0 none, ${DRAIN_PHASES.map((phase, index) => `${index + 1} ${phase}`).join(', ')}.`, ({ drain }) =>
    one(drain === null ? 0 : DRAIN_PHASES.indexOf(drain.phase) + 1), { aggregator: 'max' }),
  gauge('ws_drain_remaining_seconds', 'What is left of the budget of the drain; absent before one.', ({ drain }) =>
    drain === null ? [] : one(drain.remaining / 1000), { unit: 'seconds', aggregator: 'max' }),
  gauge('ws_drain_capacity', 'Connections that a drain can close in their turns; absent without turns.', ({ capacity }) => capacity === null ? [] : one(capacity)),
  histogram('ws_rtt_seconds', 'Round trips, from a ping to its pong.', LATENCY, ({ roundTrips }) => roundTrips),
  counter('ws_observed_total', 'What policies in observe mode would have done, by policy.', ({ observed }) => byKey('policy', observed), { labels: ['policy'] }),
  gauge('ws_owners', 'Distinct owners of connections.', ({ owners }) => one(owners)),
  gauge('ws_fleet_up', 'Whether the engine of the fleet answers this node: 1 or 0.', ofFleet(({ state }) => one(state === 'up' ? 1 : 0)), { aggregator: 'min' }),
  gauge('ws_fleet_nodes', 'Nodes of the fleet that this node sees, itself included, by state.', ofFleet(({ nodes }) => byKey('state', nodes)), { labels: ['state'], aggregator: 'max' }),
  counter('ws_fleet_nodes_lost_total', 'Nodes whose lease has ended; each is counted by one node.', ofFleet(({ lost }) => one(lost))),
  gauge('ws_fleet_capacity', 'Clients a second that this node can take; 0 while it drains.', ofFleet(({ capacity }) => one(capacity))),
  gauge('ws_fleet_arrivals_booked', 'Clients a second that nodes which leave have booked for this moment, as this node sees them.', ofFleet(({ arrivals }) => one(arrivals)), { aggregator: 'max' }),
  counter('ws_fleet_questions_total', 'Questions of this node to others, by outcome.', ofFleet(({ questions }) => byKey('outcome', questions)), { labels: ['outcome'] }),
  counter('ws_fleet_orders_total', 'Orders that this node has carried out.', ofFleet(({ orders }) => one(orders.done))),
  gauge('ws_fleet_orders_waiting', 'Orders of this node that other nodes have not carried out.', ofFleet(({ orders }) => one(orders.waiting))),
  counter('ws_fleet_messages_ignored_total', 'Messages of other versions or other programs that were ignored.', ofFleet(({ ignored }) => one(ignored)))
]

/** The samples of a metric have one of these suffixes each. */
export function suffixesOf ({ type }: Definition): Suffix[] {
  return type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
}

function sample (value: number, labels: Sample['labels'] = {}, suffix: Suffix = ''): Sample { return { suffix, labels, value } }
function one (value: number): Sample[] { return [sample(value)] }
function zeros (keys: readonly string[]): Record<string, number> { return Object.fromEntries(keys.map((key) => [key, 0])) }

/** A sample for each entry of an object; its key is the value of the label. */
function byKey (label: string, counts: object, labels: Sample['labels'] = {}): Sample[] {
  return Object.entries(counts).map(([key, count]) => sample(count as number, { ...labels, [label]: key }))
}

/** Applications without broadcasts need no series for them. */
function occurred <T extends object> (counts: T): Partial<T> {
  return Object.values(counts).every((count) => count === 0) ? {} : counts
}

function routesOf (routes: TrackerStats['routes']): Array<[route: string, counts: RouteStats]> {
  return Object.entries(routes).filter(([route]) => route !== REFUSED_ROUTE)
}

function perRoute (routes: TrackerStats['routes'], read: (route: string, counts: RouteStats) => Sample[]): Sample[] {
  return routesOf(routes).flatMap(([route, counts]) => read(route, counts))
}

function sum (routes: TrackerStats['routes'], read: (counts: RouteStats) => number): number {
  return routesOf(routes).reduce((total, [, counts]) => total + read(counts), 0)
}

/** Adds up the closes whose code is the client's choice, or follows from what it has sent: each code would be a series for each route. */
function folded (closed: readonly ClosedCount[]): ClosedCount[] {
  const counts = new Map<string, ClosedCount>()
  for (const { cause, code, count } of closed) {
    const shown = (cause === 'client' && !CLIENT_CODES.includes(code)) || cause === 'protocol' ? 'other' : code
    const known = counts.get(`${cause} ${shown}`)
    if (known === undefined) counts.set(`${cause} ${shown}`, { cause, code: shown, count })
    else known.count += count
  }
  return [...counts.values()]
}

/** Samples of a histogram; counts are cumulative, bounds in seconds. */
function buckets ({ bounds, counts, sum: total, count }: Histogram, shown: readonly number[]): Sample[] {
  let below = 0
  const samples: Sample[] = []
  for (const [index, bound] of bounds.entries()) {
    below += counts[index]!
    if (shown.includes(bound)) samples.push(sample(below, { le: String(bound / 1000) }, '_bucket'))
  }
  return [...samples, sample(count, { le: '+Inf' }, '_bucket'), sample(total / 1000, {}, '_sum'), sample(count, {}, '_count')]
}
