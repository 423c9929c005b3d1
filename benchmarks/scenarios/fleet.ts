/**
 * A fleet: ten nodes on one Redis, each in a process of its own. What one of them asks and does of all, and what becomes of that when a
 * node freezes or is killed.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { launchRedis } from '../../test/helpers/redis.ts'
import type { Candidate } from '../candidates.ts'
import { Cluster } from '../fleet/cluster.ts'
import type { Member, NodeProgram } from '../fleet/cluster.ts'
import type { Asked, Question } from '../fleet/control.ts'
import type { FleetCostsControl } from '../fleet/costs.ts'
import { measureOrders } from '../fleet/orders.ts'
import { libraryFolder } from '../library.ts'
import type { Measurement } from '../results.ts'
import { Child } from '../rpc.ts'
import type { Scenario } from '../scenario.ts'
import { median } from '../statistics.ts'

const NODES = 10
/** Questions that count, and those before, in which code is compiled. */
const TIMES = 200
const WARM_UP = 50
/** Broadcasts, and disconnects. */
const EFFECTS = 50
/** Of all connections: each takes longer with a candidate that has no pages. */
const PAGES = 20
/** Questions to a fleet with a frozen node, within its lease; one for a candidate that waits for seconds. */
const FROZEN = 10
const PATIENT = 1
const TAG = 'room'
/** The nodes that have connections with the tag, how many each, and bytes of a broadcast: more than all else that comes from Redis meanwhile. */
const TAGGED = 2
const MEMBERS = 50
const BYTES = 65_536
/** Time after each broadcast for nodes that get it without need, milliseconds. */
const SETTLE = 200
/** Time for which owners of a killed node are expected back, with some beats, milliseconds. */
const AWAY = 22_000
/** Time until counts of owners and tags have reached the engine, milliseconds. */
const COUNTED = 3_000

const OURS: Candidate = { name: 'ours', server: 'ours' }
const ADAPTERS: Candidate[] = ['redis-adapter', 'redis-streams-adapter'].map((name) => ({ name: `Socket.IO with ${name}`, server: 'socketio' }))

export const fleet: Scenario = {
  title: 'Fleet',
  sizes: [20_000],
  rounds: 3,
  candidates: () => [OURS, ...ADAPTERS],
  peers: ADAPTERS,
  measure: async (candidate, connections) => [
    ...await measureFleet(candidate, connections, NODES),
    ...candidate.server === 'ours' ? [...await measureOrders(programOf(candidate), NODES, connections / 2), ...await measureCosts(libraryFolder(candidate.revision))] : []
  ]
}

/** Runs a candidate once. */
export function measureFleet (candidate: Candidate, connections: number, nodes: number): Promise<Measurement[]> {
  return Cluster.run(programOf(candidate), nodes, async (cluster) => {
    await cluster.open(connections)
    for (const member of cluster.members.slice(0, TAGGED)) await cluster.openTagged(member, TAG, MEMBERS)
    await sleep(COUNTED)
    const isOurs = candidate.server === 'ours'
    return [
      ...await answers(cluster, isOurs),
      ...await reach(cluster),
      ...await disconnects(cluster),
      ...await freeze(cluster, isOurs),
      ...await kill(cluster, isOurs)
    ]
  })
}

/** What a fleet adds to a connection, and what its limits add to a handshake. */
async function measureCosts (library: string): Promise<Measurement[]> {
  const redis = await launchRedis()
  const child = new Child<FleetCostsControl>(join(import.meta.dirname, '../fleet/costs.ts'), [library])
  try {
    const { host, port } = redis.options
    const connects = await child.remote.connects({ host, port }, 0)
    const steady = await child.remote.connects({ host, port }, 1)
    const places = await child.remote.places({ host, port })
    return [
      { metric: 'added to a connection, 2,000 at once', unit: 'µs', value: connects.added },
      { metric: 'added to a connection, one a millisecond', unit: 'µs', value: steady.added },
      { metric: 'added to a connection, in Redis', unit: 'µs', value: connects.redis },
      { metric: 'added to a handshake by a limit of all nodes', unit: 'ms', value: places.added }
    ]
  } finally {
    await child.stop()
    await redis.close()
  }
}

export function programOf ({ name, server, revision }: Candidate): NodeProgram {
  return server === 'ours' ? { file: 'ours', args: [libraryFolder(revision)] } : { file: 'socketio', args: [name.split(' ').at(-1)!] }
}

/** Medians of the questions of one node. */
async function answers (cluster: Cluster, isOurs: boolean): Promise<Measurement[]> {
  const asker = cluster.members[0]!
  const took = async (metric: string, question: Question, times = TIMES): Promise<Measurement[]> => {
    const warmUp = Math.min(WARM_UP, times)
    const asked = (await ask(cluster, asker, question, warmUp + times)).slice(warmUp)
    const answered = asked.filter(({ found }) => found !== null && found > 0)
    return [
      ...answered.length === 0 ? [] : [{ metric, unit: 'ms', value: median(answered.map(({ duration }) => duration)) }],
      ...answered.length === times ? [] : [{ metric: `${metric}, not answered`, unit: '%', value: percent(asked, (each) => !answered.includes(each)) }]
    ]
  }
  return [
    ...await took('connections of an owner', 'count'),
    ...isOurs ? await took('where an owner is', 'presence') : [],
    ...await took('page of connections', 'page', isOurs ? TIMES : PAGES),
    ...await took('number of nodes', 'nodes')
  ]
}

async function ask (cluster: Cluster, { process }: Member, question: Question, times: number): Promise<Asked[]> {
  const asked: Asked[] = []
  const owners = cluster.ownersElsewhere(0)
  for (let i = 0; i < times; i++) asked.push(await process.remote.ask(question, owners[i % owners.length]!))
  return asked
}

/** Broadcasts to a tag that lives on some nodes: how long until the last client has it, and the nodes that have it from Redis. */
async function reach (cluster: Cluster): Promise<Measurement[]> {
  const { members, loads: [load] } = cluster
  const received = () => Promise.all(members.map(async ({ process }) => (await process.remote.sample()).received))
  const times: number[] = []
  const reached: number[] = []
  // From a node that has no such connection.
  const sender = members.at(-1)!
  for (let i = 0; i < EFFECTS; i++) {
    const before = await received()
    await load!.remote.expect(TAGGED * MEMBERS)
    const { startedAt } = await sender.process.remote.broadcast(TAG, BYTES)
    times.push(((await load!.remote.reached()).lastAt - startedAt) / 1000)
    await sleep(SETTLE)
    reached.push((await received()).filter((bytes, node) => bytes - before[node]! >= BYTES).length)
  }
  return [
    { metric: 'broadcast to a tag', unit: 'ms', value: median(times) },
    { metric: 'nodes that a broadcast reaches', unit: `of ${members.length}`, value: Math.max(...reached) }
  ]
}

/** Disconnects owners one after the other, from a node that has none of them: how long until each client is gone. */
async function disconnects (cluster: Cluster): Promise<Measurement[]> {
  const { members: [first], loads } = cluster
  const load = loads[1]!.remote
  const times: number[] = []
  for (const owner of disconnected(cluster)) {
    await load.expectEnds(1)
    const { startedAt } = await first!.process.remote.disconnect(owner)
    times.push(((await load.endsReached()).lastAt - startedAt) / 1000)
  }
  return [{ metric: 'disconnect of an owner', unit: 'ms', value: median(times) }]
}

/** Owners of the second process of clients: those of the first were asked for. */
function disconnected (cluster: Cluster): string[] { return cluster.ownersElsewhere(1).slice(0, EFFECTS) }

/** Freezes a node, asks another for connections of all, and thaws it. */
async function freeze (cluster: Cluster, isOurs: boolean): Promise<Measurement[]> {
  const [first, frozen] = cluster.members as [Member, Member]
  frozen.process.signal('SIGSTOP')
  const asked = await ask(cluster, first, 'page', isOurs ? FROZEN : PATIENT)
  frozen.process.signal('SIGCONT')
  await cluster.known(cluster.members.length)
  return [
    { metric: 'answer with a frozen node', unit: 'ms', value: Math.max(...asked.map(({ duration }) => duration)) },
    { metric: 'answers with a frozen node', unit: '%', value: percent(asked, ({ found }) => found !== null) },
    { metric: 'answers that name it', unit: '%', value: percent(asked, ({ missing }) => missing.includes(frozen.id)) },
    { metric: 'answers that name another', unit: '%', value: percent(asked, ({ missing }) => missing.some((id) => id !== frozen.id)) }
  ]
}

/** Kills a node: when the others no longer know it, and what they are told of its owners. */
async function kill (cluster: Cluster, isOurs: boolean): Promise<Measurement[]> {
  const last = cluster.members.length - 1
  // Those that were disconnected have gone before.
  const gone = new Set(disconnected(cluster))
  const owners = cluster.ownersOf(last).filter((owner) => !gone.has(owner))
  const [killed] = cluster.members.splice(last)
  const startedAt = performance.now()
  await killed!.process.stop()
  await cluster.known(last)
  const time: Measurement = { metric: 'killed node out of the view', unit: 's', value: (performance.now() - startedAt) / 1000 }
  if (!isOurs) return [time]
  await sleep(AWAY)
  const told = await Promise.all(cluster.members.map(({ process }) => process.remote.told()))
  const all = new Set(owners)
  const offline = told.flatMap((each) => each.offline).filter((owner) => all.has(owner))
  return [
    time,
    { metric: 'nodes that were told of it once', unit: `of ${last}`, value: told.filter(({ lost }) => lost.filter((id) => id === killed!.id).length === 1).length },
    { metric: 'its owners told offline', unit: '%', value: new Set(offline).size / owners.length * 100 },
    { metric: 'its owners told offline twice', unit: '%', value: (offline.length - new Set(offline).size) / owners.length * 100 }
  ]
}

function percent<T> (all: T[], is: (each: T) => boolean): number {
  return all.filter(is).length / all.length * 100
}
