/**
 * Nodes in processes of their own, their Redis, and the clients of each: two processes of clients, because one may not open enough
 * files. All have ended when the work ends, also after an error.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../../test/helpers/optional.ts'
import { launchRedis } from '../../test/helpers/redis.ts'
import type { RedisServer } from '../../test/helpers/redis.ts'
import type { Dialect, LoadControl } from '../load/control.ts'
import { Child } from '../rpc.ts'
import type { FleetNodeControl } from './control.ts'

const LOADS = 2
/** Handshakes under way at a time, of each process of clients. */
const PARALLEL = 32
/** Time between two looks, milliseconds. */
const STEP = 20
/** Longest time until all nodes know each other, milliseconds. */
const PATIENCE = 60_000

/** The program of the nodes. */
export interface NodeProgram {
  file: 'ours' | 'socketio'
  args: string[]
}

export interface Member {
  process: Child<FleetNodeControl>
  id: string
  port: number
}

export class Cluster {
  readonly redis: RedisServer
  readonly members: Member[]
  readonly loads: Array<Child<LoadControl>>
  readonly #dialect: Dialect
  /** Connections of each node from each process of clients. */
  #each = 0

  private constructor (redis: RedisServer, members: Member[], loads: Array<Child<LoadControl>>, dialect: Dialect) {
    this.redis = redis
    this.members = members
    this.loads = loads
    this.#dialect = dialect
  }

  /** Starts everything, waits until each node knows all, and runs the work. */
  static async run<T> ({ file, args }: NodeProgram, nodes: number, work: (cluster: Cluster) => Promise<T>): Promise<T> {
    const absent = missing('redis')
    if (absent !== false) throw new Error(absent)
    const redis = await launchRedis()
    const processes = Array.from({ length: nodes }, () => new Child<FleetNodeControl>(join(import.meta.dirname, `${file}.ts`), args))
    const loads = Array.from({ length: LOADS }, () => new Child<LoadControl>(join(import.meta.dirname, '../load/main.ts')))
    try {
      const { host, port } = redis.options
      const members = await Promise.all(processes.map(async (process) => ({ process, ...await process.remote.start({ host, port }) })))
      const cluster = new Cluster(redis, members, loads, file === 'socketio' ? 'socketio' : 'plain')
      await cluster.known(nodes)
      return await work(cluster)
    } finally {
      await Promise.all([...processes, ...loads].map((child) => child.stop()))
      await redis.close()
    }
  }

  /** Resolves when each node knows so many. */
  async known (nodes: number): Promise<void> {
    for (const end = performance.now() + PATIENCE; performance.now() < end; await sleep(STEP)) {
      const asked = await Promise.all(this.members.map(({ process }) => process.remote.ask('nodes', '')))
      if (asked.every(({ found }) => found === nodes)) return
    }
    throw new Error(`the nodes do not find each other: not all know ${nodes}`)
  }

  /** Opens so many connections, evenly over the nodes and the processes of clients, each with an owner of its own. */
  async open (connections: number): Promise<void> {
    const count = this.#each = Math.ceil(connections / LOADS / this.members.length)
    await Promise.all(this.loads.map(async ({ remote }, load) => {
      for (const [node, { port }] of this.members.entries()) await remote.open({ ...this.#opening(port, count), owner: `${node}-${load}-` })
    }))
  }

  /** Owners of connections of a node. */
  ownersOf (node: number): string[] {
    return this.loads.flatMap((_, load) => this.#ownersOf(node, load))
  }

  /** Owners of a process of clients, a node in turn, without those of the first node. */
  ownersElsewhere (load: number): string[] {
    const others = this.members.slice(1).map((_, i) => this.#ownersOf(i + 1, load))
    return Array.from({ length: this.#each }, (_, i) => others.map((owners) => owners[i]!)).flat()
  }

  #ownersOf (node: number, load: number): string[] {
    return Array.from({ length: this.#each }, (_, i) => `${node}-${load}-${i}`)
  }

  /** Opens connections with a tag to one node. All of them are of the first process of clients. */
  async openTagged ({ port }: Member, tag: string, count: number): Promise<void> {
    await this.loads[0]!.remote.open({ ...this.#opening(port, count), tag })
  }

  #opening (port: number, count: number) {
    return { port, count, parallel: PARALLEL, dialect: this.#dialect, silent: 0 }
  }
}
