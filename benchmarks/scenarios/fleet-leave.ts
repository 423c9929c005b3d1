/**
 * Nodes that leave at once: eight servers behind HAProxy, three of which get SIGTERM at the same moment. Half of the clients have the
 * client class of this library below partysocket, the others partysocket alone.
 *
 * A client of the class comes in its turn. One of partysocket alone is closed in its turn, and comes back when it likes.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../../test/helpers/optional.ts'
import { launchRedis } from '../../test/helpers/redis.ts'
import type { Candidate } from '../candidates.ts'
import type { Counts, CrowdControl } from '../deploy/control.ts'
import type { LeavingServerControl } from '../fleet/control.ts'
import { CHECK, startHaproxy } from '../fleet/haproxy.ts'
import { libraryFolder } from '../library.ts'
import { monotonicMicros } from '../monotonic.ts'
import type { Measurement } from '../results.ts'
import { Child } from '../rpc.ts'
import type { Scenario } from '../scenario.ts'

const SERVERS = 8
const LEAVING = 3
const CROWDS = 4
/** Time in which those that leave may have their clients back, by the option `drain.reconnect.rate`, milliseconds. */
const RETURN = 30_000
/** Longer than HAProxy takes to notice that a server is not ready, milliseconds. */
const SETTLE_DELAY = 3 * CHECK
/** Time before the nodes leave, and for what is under way at the end, milliseconds. */
const CALM = 3_000
const SECOND = 1e6
/** Rooms of the clients with the class and without it. */
const CLASS = 'class'
const ALONE_ROOM = 'alone'

const FLEET: Candidate = { name: 'ours with a fleet', server: 'ours' }
const ALONE: Candidate = { name: 'ours', server: 'ours' }

/** Numbers of servers, of those that leave, and of processes of clients. */
export interface Departure { servers: number, leaving: number, crowds: number }

export const fleetLeave: Scenario = {
  title: 'Three nodes of eight leave at once',
  sizes: [8_000],
  rounds: 3,
  candidates: () => [FLEET, ALONE],
  peers: [],
  measure: (candidate, connections) => measureLeaving(candidate === FLEET, connections, { servers: SERVERS, leaving: LEAVING, crowds: CROWDS })
}

/** Runs it once. */
export async function measureLeaving (isFleet: boolean, connections: number, { servers: count, leaving, crowds: crowdCount }: Departure): Promise<Measurement[]> {
  const absent = missing('redis')
  if (absent !== false) throw new Error(absent)
  const folder = libraryFolder()
  const redis = await launchRedis()
  const servers = Array.from({ length: count }, () => new Child<LeavingServerControl>(join(import.meta.dirname, '../fleet/leaving-server.ts'), [folder]))
  const crowds = Array.from({ length: crowdCount }, () => new Child<CrowdControl>(join(import.meta.dirname, '../deploy/crowd.ts')))
  const hasClass = (crowd: number) => crowd % 2 === 0
  let haproxy: Awaited<ReturnType<typeof startHaproxy>> | null = null
  try {
    const rate = Math.ceil(connections * leaving / count / RETURN * 1_000)
    const { host, port } = redis.options
    const ports = await Promise.all(servers.map(async ({ remote }) => (await remote.start({ redis: isFleet ? { host, port } : null, rate, settleDelay: SETTLE_DELAY })).port))
    if (isFleet) while (!(await Promise.all(servers.map(({ remote }) => remote.nodes()))).every((nodes) => nodes === count)) await sleep(CHECK)
    haproxy = await startHaproxy(ports)
    const url = `ws://127.0.0.1:${haproxy.port}`
    await Promise.all(crowds.map(({ remote }, i) => remote.open({ url, count: Math.ceil(connections / crowdCount), rooms: [hasClass(i) ? CLASS : ALONE_ROOM], lifecycle: hasClass(i) ? join(folder, 'client/index.js') : null })))
    await sleep(CALM)

    const since = monotonicMicros()
    await Promise.all(servers.slice(0, leaving).map((server) => server.terminate()))
    const duration = (monotonicMicros() - since) / SECOND
    await Promise.all(crowds.map(({ remote }) => remote.connected()))
    await sleep(CALM)

    const opened = async (room: string) => (await Promise.all(servers.slice(leaving).map(({ remote }) => remote.opened(since, room)))).flat()
    const [withClass, alone] = [await opened(CLASS), await opened(ALONE_ROOM)]
    const closed = (await Promise.all(crowds.filter((_, i) => !hasClass(i)).map(({ remote }) => remote.closed()))).flat()
    const seen = await Promise.all(crowds.map(({ remote }) => remote.counts(0)))
    const busiest = (what: string, times: number[]): Measurement[] => [
      { metric: `${what} in the busiest second`, unit: 'clients', value: busiestSecond(times) },
      { metric: `${what} in the busiest second, of the rate`, unit: '%', value: busiestSecond(times) / rate * 100 }
    ]
    return [
      ...busiest('turns', [...withClass, ...closed]),
      ...busiest('arrivals', [...withClass, ...alone]),
      { metric: 'arrivals, clients of the class', unit: 'clients', value: withClass.length },
      { metric: 'arrivals, clients of partysocket alone', unit: 'clients', value: alone.length },
      { metric: 'until the last node has ended', unit: 's', value: duration },
      ...without('clients of the class', seen.filter((_, i) => hasClass(i))),
      ...without('clients of partysocket alone', seen.filter((_, i) => !hasClass(i)))
    ]
  } finally {
    await Promise.all([...servers, ...crowds].map((child) => child.stop()))
    await haproxy?.stop()
    await redis.close()
  }
}

function without (who: string, crowds: Counts[]): Measurement[] {
  const sum = (of: (counts: Counts) => number) => crowds.reduce((total, counts) => total + of(counts), 0)
  const clients = sum((counts) => counts.clients)
  return [
    { metric: `without a connection, at most, ${who}`, unit: 'ms', value: Math.max(...crowds.map(({ longest }) => longest)) },
    { metric: `without a connection, on average, ${who}`, unit: 'ms', value: sum(({ total }) => total) / clients },
    { metric: `close events, ${who}`, unit: 'per client', value: sum(({ closes }) => closes) / clients }
  ]
}

/** The most of these times, in microseconds, within any second. */
export function busiestSecond (times: number[]): number {
  const sorted = [...times].sort((a, b) => a - b)
  let first = 0
  let most = 0
  for (const [i, at] of sorted.entries()) {
    while (at - sorted[first]! >= SECOND) first++
    most = Math.max(most, i - first + 1)
  }
  return most
}
