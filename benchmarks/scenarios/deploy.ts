/**
 * A deploy under traffic: three servers behind nginx, restarted one after the other, and what the applications of the clients
 * see of it.
 *
 * Every room gets 5 messages a second, which a publisher hands to all servers, as the channel of a message broker does. The
 * clients send questions meanwhile. All of them use partysocket: over the client class of this library, or by itself.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Candidate } from '../candidates.ts'
import type { Counts, CrowdControl, RoomServerControl } from '../deploy/control.ts'
import { startNginx } from '../deploy/nginx.ts'
import { Publisher } from '../deploy/publisher.ts'
import { libraryFolder } from '../library.ts'
import type { Measurement } from '../results.ts'
import { Child } from '../rpc.ts'
import type { Scenario } from '../scenario.ts'

const SERVERS = 3
/** Clients of a room; one process has a fifth of all clients. */
const ROOM = 50
const CROWDS = 5
/** Milliseconds between two questions of a client. */
const ASK = 10_000
/** From the moment a server listens to the next restart, as orchestrators wait until a server has proven itself, milliseconds. */
const READY = 5_000
/** Traffic before the first restart and after the last client is back, and time for what is under way at the end, milliseconds. */
const CALM = 3_000

const WITH_CLASS: Candidate = { name: 'ours with the class', server: 'ours' }
const ALONE: Candidate = { name: 'ours with partysocket', server: 'ours' }
const BARE_ALONE: Candidate = { name: 'bare with partysocket', server: 'fastify-websocket' }
/** A fifth of the clients of the first candidate is without the class. */
const BESIDE = 'ours with partysocket, beside the class'

export const deploy: Scenario = {
  title: 'Deploy',
  sizes: [1_000],
  rounds: 3,
  candidates: () => [WITH_CLASS, ALONE, BARE_ALONE],
  peers: [],

  async measure (candidate, connections) {
    const lifecycle = candidate === WITH_CLASS ? join(libraryFolder(), 'client/index.js') : null
    const { duration, published, crowds } = await rollOut(candidate, connections, (crowd) => crowd === 0 ? null : lifecycle)
    const found = [
      ...seen(lifecycle === null ? crowds : crowds.slice(1)),
      ...lifecycle === null ? [] : seen(crowds.slice(0, 1)).map((measurement) => ({ ...measurement, row: BESIDE }))
    ]
    return [
      ...found,
      { metric: 'messages published', unit: 'per client', value: published },
      { metric: 'time of all restarts', unit: 's', value: duration / 1000 }
    ]
  }
}

/** What happened: milliseconds of all restarts, messages published to each room, and the counts of each crowd. */
interface Outcome { duration: number, published: number, crowds: Counts[] }

/** Runs the servers and the crowds, and restarts each server. `lifecycle` names the class of a crowd. */
async function rollOut (candidate: Candidate, connections: number, lifecycle: (crowd: number) => string | null): Promise<Outcome> {
  const launch = () => candidate.server === 'ours'
    ? new Child<RoomServerControl>(file('ours'), [libraryFolder(candidate.revision)])
    : new Child<RoomServerControl>(file('bare'))
  const servers = Array.from({ length: SERVERS }, launch)
  const crowds = Array.from({ length: CROWDS }, () => new Child<CrowdControl>(file('crowd')))
  const rooms = Array.from({ length: Math.ceil(connections / ROOM) }, (_, i) => `room-${i}`)
  const publisher = new Publisher(rooms, servers)
  let nginx: Awaited<ReturnType<typeof startNginx>> | null = null
  try {
    const ports = await Promise.all(servers.map(async ({ remote }) => (await remote.start(0)).port))
    nginx = await startNginx(ports)
    const url = `ws://127.0.0.1:${nginx.port}`
    await Promise.all(crowds.map(({ remote }, i) => remote.open({ url, count: connections / CROWDS, rooms, lifecycle: lifecycle(i) })))

    publisher.start()
    await Promise.all(crowds.map(({ remote }) => remote.ask(ASK)))
    await sleep(CALM)
    const startedAt = performance.now()
    for (let i = 0; i < SERVERS; i++) {
      if (i > 0) await sleep(READY)
      await servers[i]!.terminate()
      servers[i] = launch()
      await servers[i]!.remote.start(ports[i]!)
    }
    const duration = performance.now() - startedAt - (SERVERS - 1) * READY
    await Promise.all(crowds.map(({ remote }) => remote.connected()))
    await sleep(CALM)
    await Promise.all(crowds.map(({ remote }) => remote.ask(0)))
    const published = await publisher.stop()
    await sleep(CALM)
    return { duration, published, crowds: await Promise.all(crowds.map(({ remote }) => remote.counts(published))) }
  } finally {
    await publisher.stop()
    await Promise.all([...servers, ...crowds].map((child) => child.stop()))
    await nginx?.stop()
  }
}

/** Measurements of some crowds. */
function seen (crowds: Counts[]): Measurement[] {
  const sum = (of: (counts: Counts) => number) => crowds.reduce((total, counts) => total + of(counts), 0)
  const clients = sum((counts) => counts.clients)
  return [
    { metric: 'without a connection, at most', unit: 'ms', value: Math.max(...crowds.map(({ longest }) => longest)) },
    { metric: 'without a connection, on average', unit: 'ms', value: sum(({ total }) => total) / clients },
    { metric: 'longest pause between messages', unit: 'ms', value: Math.max(...crowds.map(({ pause }) => pause)) },
    { metric: 'messages lost', unit: 'per client', value: sum(({ lost }) => lost) / clients },
    { metric: 'messages twice', unit: 'per client', value: sum(({ twice }) => twice) / clients },
    { metric: 'questions without an answer', unit: '% of those sent', value: sum(({ unanswered }) => unanswered) / sum(({ asked }) => asked) * 100 },
    { metric: 'close events', unit: 'per client', value: sum(({ closes }) => closes) / clients }
  ]
}

function file (name: string): string {
  return join(import.meta.dirname, '../deploy', `${name}.ts`)
}
