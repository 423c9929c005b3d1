/**
 * One run of one candidate: a fresh server, a fresh load client, and the connections between them. Both processes have ended
 * when it ends, also after an error.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dialectOf, launch } from './candidates.ts'
import type { Candidate } from './candidates.ts'
import type { LoadControl } from './load/control.ts'
import { PARTS } from './results.ts'
import type { Measurement } from './results.ts'
import { Child } from './rpc.ts'
import type { Remote } from './rpc.ts'
import type { ServerControl, ServerOptions } from './servers/control.ts'

/** Handshakes under way at a time. */
const PARALLEL = 64
/** Handshakes before the measurement. */
const WARM_UP = 1_000
/** Servers closed before the measurement, and the connections of each. */
const CLOSED_BEFORE = 10
/** Time for late work after a handshake or a close, milliseconds. */
const SETTLE = 300

export class Session {
  readonly server: Remote<ServerControl>
  readonly load: Remote<LoadControl>
  readonly candidate: Candidate
  readonly #options: ServerOptions
  #port = 0

  private constructor (candidate: Candidate, server: Remote<ServerControl>, load: Remote<LoadControl>, options: ServerOptions) {
    this.candidate = candidate
    this.server = server
    this.load = load
    this.#options = { ...options, ...candidate.options }
  }

  /** Starts both processes, warms up, and runs the work. */
  static async run<T> (candidate: Candidate, options: ServerOptions, measure: (session: Session) => Promise<T>): Promise<T> {
    const server = launch(candidate)
    const load = new Child<LoadControl>(join(import.meta.dirname, 'load/main.ts'))
    try {
      const session = new Session(candidate, server.remote, load.remote, options)
      await session.#start()
      await session.warmUp()
      return await measure(session)
    } finally {
      await Promise.all([load.stop(), server.stop()])
    }
  }

  async #start (): Promise<void> {
    this.#port = (await this.server.start(this.#options)).port
  }

  /** Opens connections and drops them again, so that code is compiled and pools are filled. */
  async warmUp (times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.open(WARM_UP)
      await this.drop()
    }
  }

  /** Closes the server with connections open, and starts another one in its process: its code is compiled then. */
  async warmUpClosing (): Promise<void> {
    for (let i = 0; i < CLOSED_BEFORE; i++) {
      await this.open(WARM_UP)
      await this.close()
      await this.drop()
      await this.#start()
    }
  }

  /** Opens `count` more connections. Resolves with the time it took, in microseconds. */
  async open (count: number, silent = 0): Promise<number> {
    const { startedAt, endedAt } = await this.load.open({ port: this.#port, count, parallel: PARALLEL, dialect: dialectOf(this.candidate), silent })
    return endedAt - startedAt
  }

  /** Ends all connections, and waits until the server has seen it. */
  async drop (): Promise<void> {
    await this.load.drop()
    while ((await this.server.sample()).connections > 0) await sleep(20)
    await sleep(SETTLE)
  }

  /** Runs broadcasts one after the other. Resolves with the microseconds from each start to its last arrival, added up. */
  async broadcast (bytes: number, connections: number, times: number): Promise<number> {
    let wall = 0
    for (let i = 0; i < times; i++) {
      await this.load.expect(connections)
      const { startedAt } = await this.server.broadcast(bytes)
      const { lastAt } = await this.load.reached()
      wall += lastAt - startedAt
    }
    return wall
  }

  /** Closes the server: milliseconds until its `close` has resolved and until the last client has ended; clients by close code. */
  async close (): Promise<{ closed: number, total: number, codes: Record<number, number> }> {
    const [{ startedAt, endedAt }, { lastAt, codes }] = await Promise.all([this.server.close(), this.load.ended()])
    return { closed: (endedAt - startedAt) / 1000, total: (lastAt - startedAt) / 1000, codes }
  }

  /** The longest stall of the server while `work` runs; undefined for a server without an event loop of Node. */
  async stallOf (metric: string, work: () => Promise<unknown>): Promise<Measurement[]> {
    if (this.candidate.server === 'floor') {
      await work()
      return []
    }
    await this.server.watch()
    await work()
    const { apart, own, collection } = await this.server.stalls()
    return [
      { metric, unit: 'ms', value: apart },
      { metric: `${metric}, ${PARTS.own}`, unit: 'ms', value: own },
      { metric: `${metric}, ${PARTS.collection}`, unit: 'ms', value: collection }
    ]
  }

  /** CPU microseconds of the server while `work` runs. */
  async cpuOf (work: () => Promise<unknown>): Promise<number> {
    const before = await this.server.sample()
    await work()
    return (await this.server.sample()).cpu - before.cpu
  }
}
