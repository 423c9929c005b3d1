/**
 * The ground of an attack: a server, a healthy client beside the attacker whose messages are answered all the while, and
 * the count of what is left when the attack is over: sockets, handles, entries, timers, log lines and memory.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyServerOptions } from 'fastify'
import type { LifecycleOptions } from '../../lib/index.ts'
import type { ConnectOptions } from '../../lib/testing/connect.ts'
import type { ManagedTracker } from '../../lib/track/managed-tracker.ts'
import { connect, start, timersOfOurs, until } from '../helpers/server.ts'
import type { LogLine, TestApp, TestClient } from '../helpers/server.ts'

/** Memory that an attack may have changed for good, if it says nothing: code that was compiled, caches that were filled. */
const HEAP_SLACK = 24 * 1024 * 1024

/** Lines at warn and above that any attack may cause in a window of the log: five of a kind, and a few kinds. */
const MAX_LINES = 120

/** Milliseconds of a window of the log: an attack lasts for as many as it needs on this machine. */
const LOG_WINDOW = 10_000

/** Milliseconds between two messages of the healthy client. */
const BEAT = 3

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Characters that forge lines or terminal output: the log must hold none of them. */
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
export const FORGERY = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

/** What an attack is told beside the plugin's options. */
export interface GroundOptions {
  /** Routes beside `/echo` and `/quiet`. */
  configure?: (app: TestApp) => unknown
  fastify?: FastifyServerOptions & Record<string, unknown>
  /** How the healthy client connects. */
  healthy?: ConnectOptions
  /** Least level of the log. @default 'warn' */
  level?: string
  /** Lines of the log that there may be in 10 s. */
  maxLines?: number
  /** Bytes by which the heap may grow. */
  slack?: number
}

/** Counts of everything that can be left behind. */
interface Counts {
  connections: number
  clients: number
  tcp: number
  leftovers: number
  timers: number
  handles: number
}

export class Ground {
  readonly app: TestApp
  readonly lines: LogLine[]
  /** Answers the healthy client has had. */
  answered = 0
  readonly #healthy: TestClient
  readonly #maxLines: number
  readonly #slack: number
  readonly #before: Counts
  readonly #heap: number
  #beating = true
  readonly #beats: Promise<void>

  constructor (app: TestApp, healthy: TestClient, lines: LogLine[], maxLines: number, slack: number, before: Counts, heap: number) {
    this.app = app
    this.lines = lines
    this.#healthy = healthy
    this.#maxLines = maxLines
    this.#slack = slack
    this.#before = before
    this.#heap = heap
    this.#beats = this.#beat()
    this.#beats.catch(() => {})
  }

  /** Resolves when the healthy client has had two more answers: at least one was asked for after this call. */
  async echo (): Promise<void> {
    const { answered } = this
    await Promise.race([until(() => this.answered >= answered + 2, 'an echo of the healthy client'), this.#beats])
  }

  /** The attack is over: the healthy client has been answered, and everything is as it was before. */
  async restored (): Promise<void> {
    await this.echo()
    this.#beating = false
    await this.#beats
    assert.equal(this.#healthy.socket.readyState, this.#healthy.socket.OPEN)
    const wanted = JSON.stringify(this.#before)
    await until(() => JSON.stringify(countsOf(this.app)) === wanted, `what was before the attack: ${wanted}`)
      .catch((error: unknown) => { throw new Error(`left: ${JSON.stringify(countsOf(this.app))}`, { cause: error }) })
    const tcp = await new Promise<number>((resolve, reject) => {
      this.app.server.getConnections((error, count) => { if (error) reject(error); else resolve(count) })
    })
    assert.equal(tcp, 1, 'TCP connections beside that of the healthy client')
    const lasted = this.lines.length === 0 ? 0 : this.lines.at(-1)!.time - this.lines[0]!.time
    // The times of lines are rounded.
    const windows = 1 + Math.floor((lasted + 10) / LOG_WINDOW)
    assert.ok(this.lines.length <= windows * this.#maxLines, `${this.lines.length} lines were logged in ${lasted} ms: ${JSON.stringify(this.lines.slice(0, 20))}`)
    assert.deepEqual(this.lines.filter(({ forged }) => forged), [], 'control characters reached the log')
    const heap = await heapUsed()
    assert.ok(heap - this.#heap < this.#slack, `the heap grew by ${Math.round((heap - this.#heap) / 1024)} KiB`)
  }

  async #beat (): Promise<void> {
    for (let n = 0; this.#beating; n++) {
      this.#healthy.send(`beat ${n}`)
      assert.equal(await this.#healthy.next(), `beat ${n}`)
      this.answered++
      await new Promise((resolve) => { setTimeout(resolve, BEAT) })
    }
  }
}

/** Starts a server with `/echo`, which answers, and `/quiet`, which takes everything and says nothing. */
export async function ground (t: TestContext, options: LifecycleOptions = {}, { configure, fastify, healthy, level = 'warn', maxLines = MAX_LINES, slack = HEAP_SLACK }: GroundOptions = {}): Promise<Ground> {
  const lines: LogLine[] = []
  const logger = { level, stream: { write: (line: string) => { lines.push({ ...JSON.parse(line) as LogLine, forged: FORGERY.test(line.trimEnd()) }) } } }
  const app = await start(t, { closeTimeout: 300, ...options }, (app) => {
    app.get('/echo', { websocket: true }, (socket) => {
      socket.on('message', (data: Buffer, isBinary: boolean) => { socket.send(data, { binary: isBinary }) })
    })
    app.get('/quiet', { websocket: true }, (socket) => { socket.on('message', () => {}) })
    app.get('/', async () => 'hello')
    return configure?.(app)
  }, { fastify: { logger, ...fastify } })
  // One of each kind first: code is compiled and caches are filled on the way.
  const client = await connect(t, app, '/echo', healthy)
  return new Ground(app, client, lines, maxLines, slack, await countsAtRest(app), await heapUsed())
}

/** Counts with the healthy client alone: what tests before have closed is gone, and nothing comes or goes for a few looks. */
async function countsAtRest (app: TestApp): Promise<Counts> {
  let before = ''
  let looks = 0
  await until(() => {
    const counts = countsOf(app)
    const text = JSON.stringify(counts)
    looks = text === before ? looks + 1 : 0
    before = text
    return looks > 3 && counts.connections === 1 && counts.tcp === 2
  }, 'the healthy client alone')
  return JSON.parse(before) as Counts
}

function countsOf (app: TestApp): Counts {
  const { sockets, websocketServer } = app
  const handles = process.getActiveResourcesInfo()
  return {
    connections: sockets.size,
    clients: websocketServer.clients.size,
    tcp: handles.filter((name) => name === 'TCPSocketWrap').length,
    leftovers: (sockets as ManagedTracker).leftovers,
    // The gate of the log has one for each kind of line, for 10 s at most.
    timers: timersOfOurs().filter((timer) => !timer.includes('log-limiter')).length,
    handles: handles.filter((name) => !['TCPSocketWrap', 'Timeout', 'Immediate'].includes(name)).length
  }
}

/** Bytes in use, those of buffers too, after garbage collections. */
async function heapUsed (): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => { setImmediate(resolve) })
    collect()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/**
 * Does something `count` times, as `repeat` does, in subtests of `part`: no test may last as long as the watchdog has
 * patience, on a busy machine either, and what is left is still counted once, over all of them.
 */
export async function repeatInParts (t: TestContext, ground: Ground, count: number, width: number, work: (index: number) => Promise<unknown>, part = 1_000): Promise<void> {
  for (let from = 0; from < count; from += part) {
    await t.test(`${from} to ${from + part}`, () => repeat(ground, part, width, (i) => work(from + i), part))
  }
}

/** Does something `count` times, `width` at once; between two blocks of work the healthy client must be answered. */
export async function repeat (ground: Ground, count: number, width: number, work: (index: number) => Promise<unknown>, block = 2_000): Promise<void> {
  let next = 0
  while (next < count) {
    const end = Math.min(count, next + block)
    await Promise.all(Array.from({ length: width }, async () => {
      while (next < end) await work(next++)
    }))
    await ground.echo()
  }
}
