/**
 * What is counted of connections by route, and the durations in histograms: without those that are only opened to be refused,
 * which would drown the others. A reader gets copies; nothing walks the connections.
 */
import { foldCode } from '../base/close-codes.ts'
import type { CloseRecord } from '../connection/connection.ts'
import type { ConnectionHooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { RouteCounters } from '../connection/route-counters.ts'
import type { RouteSettings, Settings } from '../connection/settings.ts'
import { Buckets, LATENCY_BOUNDS, LIFE_BOUNDS } from './histogram.ts'
import type { RouteStats } from './stats.ts'

export class Statistics implements Partial<ConnectionHooks<ManagedConnection>> {
  readonly handshakes = new Buckets(LATENCY_BOUNDS)
  readonly durations = new Buckets(LIFE_BOUNDS)
  readonly roundTrips = new Buckets(LATENCY_BOUNDS)
  /** Settings of connections whose route is not known: those of adopted servers. */
  readonly adopted: RouteSettings
  /** Settings of connections that are only opened to be refused. */
  readonly unrouted: RouteSettings
  /** Routes of one pattern, with different methods or constraints, share their counters. */
  readonly #routes = new Map<string, RouteCounters>()

  /** `settings` are those of the server. */
  constructor (settings: Settings) {
    this.adopted = { ...settings, counters: new RouteCounters() }
    this.unrouted = { ...settings, counters: new RouteCounters() }
  }

  /** Returns the settings of a route with its counters. */
  ofRoute (pattern: string, settings: Settings): RouteSettings {
    let counters = this.#routes.get(pattern)
    if (counters === undefined) this.#routes.set(pattern, counters = new RouteCounters())
    return Object.freeze({ ...settings, counters })
  }

  /** Returns the numbers of each route. */
  get routes (): Record<string, RouteStats> {
    const special = Object.entries({ adopted: this.adopted.counters, none: this.unrouted.counters }).filter(([, { opened }]) => opened > 0)
    return Object.fromEntries([...this.#routes, ...special].map(([route, counters]) => [route, toStats(counters)]))
  }

  // ——— hooks of connections

  accepted ({ settings: { counters } }: ManagedConnection): void { counters.accepted() }

  // The heartbeat keeps it in microseconds.
  roundTripMeasured ({ roundTrip }: ManagedConnection): void { this.roundTrips.add(roundTrip / 1000) }

  closed ({ settings: { counters } }: ManagedConnection, { cause, code, duration }: CloseRecord): void {
    counters.addClose(cause, foldCode(code))
    if (counters !== this.unrouted.counters) this.durations.add(duration)
  }
}

function toStats ({ states: [open = 0, draining = 0, closing = 0], opened, closes, messagesReceived, messagesSent, bytesReceived, bytesSent }: RouteCounters): RouteStats {
  return {
    open,
    draining,
    closing,
    opened,
    closed: closes.map((each) => ({ ...each })),
    messages: { received: messagesReceived, sent: messagesSent },
    bytes: { received: bytesReceived, sent: bytesSent }
  }
}
