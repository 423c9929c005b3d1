/**
 * Numbers of a tracker that has seen something of everything, without a tracker; and the samples of a scrape.
 */
import type { Numbers } from '../../../lib/show/metrics/definitions.ts'
import { LATENCY_BOUNDS, LIFE_BOUNDS } from '../../../lib/track/histogram.ts'

/** A histogram with one value in each bucket. */
function histogram (bounds: readonly number[]): Numbers['durations'] {
  return { bounds, counts: [...bounds, 0].map(() => 1), sum: 1_500, count: bounds.length + 1 }
}

export function fakeStats (changes: Partial<Numbers> = {}): Numbers {
  const none = { open: 0, draining: 0, closing: 0, opened: 0, closed: [], messages: { received: 0, sent: 0 }, bytes: { received: 0, sent: 0 } }
  return {
    connections: 8,
    working: 2,
    state: 'draining',
    opened: 15,
    closed: { client: 4, network: 2, protocol: 2 },
    refused: { total: 3 },
    observed: { idle: 5 },
    faults: 1,
    cleanups: { finished: 9, failed: 1, abandoned: 2 },
    routes: {
      '/chat/:room': {
        ...none,
        open: 3,
        draining: 2,
        closing: 1,
        opened: 12,
        closed: [
          { cause: 'client', code: '1000', count: 1 }, { cause: 'client', code: '1005', count: 1 }, { cause: 'client', code: '1011', count: 1 }, { cause: 'client', code: 'private', count: 1 },
          { cause: 'network', code: '1006', count: 2 }, { cause: 'protocol', code: '1002', count: 1 }, { cause: 'protocol', code: '1009', count: 1 }
        ],
        messages: { received: 40, sent: 50 },
        bytes: { received: 400, sent: 500 }
      },
      '/feed': { ...none, open: 2, opened: 2, messages: { received: 1, sent: 2 }, bytes: { received: 10, sent: 20 } },
      none: { ...none, opened: 1, closed: [{ cause: 'refused', code: '1013', count: 1 }] }
    },
    handshakes: histogram(LATENCY_BOUNDS),
    durations: histogram(LIFE_BOUNDS),
    roundTrips: histogram(LATENCY_BOUNDS),
    broadcasts: { sent: 6, queued: 1, dropped: 2, suppressed: 0 },
    owners: 4,
    expected: 10,
    drain: { phase: 'grace', remaining: 2_500 },
    capacity: 1_000,
    fleet: {
      state: 'up',
      nodes: { running: 7, draining: 1 },
      lost: 1,
      questions: { complete: 30, incomplete: 2, failed: 1 },
      orders: { waiting: 1, done: 5 },
      capacity: 250,
      arrivals: 120.5,
      ignored: 3
    },
    ...changes
  } as Numbers
}

/** Lines of a scrape that are samples, sorted. */
export function samplesIn (text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).toSorted()
}

/** `name{labels}` → value of a scrape. */
export function valuesIn (text: string): Map<string, number> {
  return new Map(samplesIn(text).map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}
