/**
 * A scrape of the metrics: the time that it takes of the main thread, with few connections and with many.
 */
import { OURS } from '../candidates.ts'
import type { Scenario } from '../scenario.ts'
import { Session } from '../session.ts'
import { spread } from '../statistics.ts'

/** Scrapes before the measurement: Prometheus scrapes for days. */
const WARM_UP = 200
const SCRAPES = 100
/** Connections that were closed before, so that all metrics have something to say. */
const CLOSED = 1_000

export const scrape: Scenario = {
  title: 'Scrape',
  sizes: [10, 18_500],
  rounds: 3,
  candidates: () => [OURS],
  peers: [],

  measure: (candidate, connections) => Session.run(candidate, { handler: 'sync', metrics: true }, async (session) => {
    await session.open(CLOSED)
    await session.drop()
    await session.open(connections)
    const { durations: [first] } = await session.server.scrape(1)
    await session.server.scrape(WARM_UP)
    const { durations, bytes } = await session.server.scrape(SCRAPES)
    const { median, max } = spread(durations)
    return [
      { metric: 'first scrape', unit: 'ms', value: first! },
      { metric: 'scrape', unit: 'ms', value: median },
      { metric: 'longest scrape', unit: 'ms', value: max },
      { metric: 'text', unit: 'B', value: bytes }
    ]
  })
}
