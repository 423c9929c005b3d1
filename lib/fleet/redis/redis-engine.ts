/**
 * The engine of a fleet on Redis 7: one script for each method, and one channel for each node.
 *
 * Commands and messages have a connection each, made by `listen`. The next beat, and the next call of `label`, carry the id of the
 * last answer that this engine has heard: what an answer tells once is told again if it has been lost.
 */
import { Buffer } from 'node:buffer'
import { systemClock } from '../../base/clock.ts'
import type {
  Beat, Booking, FleetEngine, LabelCount, NodeRecord, PlacesAsked, PlacesGiven, PresenceChange, Pulse, Turns, Whereabouts
} from '../engine.ts'
import { prefixOf, TIMEOUTS } from './client.ts'
import type { RedisClient, Timeouts } from './client.ts'
import { Connection } from './connection.ts'
import { RedisHandovers } from './redis-handovers.ts'
import { BEAT, BEING_REMOVED, BOOK, FIND, HELLO, LABEL, LEAVE, ORDER, SEND, TAKE } from './scripts.ts'
import type { Script } from './prelude.ts'

/** Digits that an order in an inbox begins with: when it was put, microseconds. */
const STAMP = 16

/** Of a millisecond: ids of answers are times. */
const MICROSECONDS = 1_000

const LONE_SURROGATE = /\p{Surrogate}/u
/** How JSON writes one; other text may have these characters, too. */
const ESCAPED_SURROGATE = '\\ud'

type Row = [id: string, info: string, capacity: string, at: string]

export class RedisEngine implements FleetEngine {
  readonly handovers: RedisHandovers
  readonly #client: RedisClient
  readonly #timeouts: Timeouts
  readonly #prefix: string
  #commands: Connection | undefined
  #subscriber: Connection | undefined
  /** Call that must be told what its last answer was → id of that answer. */
  readonly #heard = new Map<string, Promise<string>>()
  /** Node → how many of its calls that write were carried out, by the answers: a beat says it. */
  readonly #written = new Map<string, number>()
  /** Number of the last call of `listen`. */
  #lastListen = 0
  #closed = false

  constructor (client: RedisClient, name: string, timeouts = TIMEOUTS) {
    this.#client = client
    this.#timeouts = timeouts
    this.#prefix = `${prefixOf(client)}{${name}}:`
    this.handovers = new RedisHandovers(this.#prefix, async (command, args) => await this.#connection().call(command, args))
  }

  async listen (node: string, hear: (message: string) => void): Promise<void> {
    this.#checkOpen()
    const call = ++this.#lastListen
    if (this.#commands?.ready !== true) {
      const commands = await this.#connect(this.#commands, call, async (connection) => { await connection.run(HELLO, this.#prefix, [node]) })
      this.#commands = commands
    }
    this.#subscriber = await this.#connect(this.#subscriber, call, async (connection) => { await connection.subscribe(`${this.#prefix}to:${node}`, hear) })
  }

  async beat (node: string, beat: Beat): Promise<Pulse> {
    const until = systemClock.now() + this.#timeouts.beatTimeout
    for (;;) {
      try {
        return await this.#beat(node, beat, until)
      } catch (error) {
        // Each call removes a slice. In the time until the next beat, nodes would take this one for lost, and its owners for offline.
        if (!(error as Error).message.includes(BEING_REMOVED)) throw error
      }
    }
  }

  async leave (node: string): Promise<void> { await this.#run(LEAVE, [node]) }

  async send (nodes: readonly string[], message: string): Promise<void> { await this.#run(SEND, [message, ...nodes]) }

  async order (node: string, id: string, order: string, notice: string): Promise<void> { await this.#run(ORDER, [node, id, order, notice]) }

  async label (node: string, counts: readonly LabelCount[]): Promise<PresenceChange> {
    const until = systemClock.now() + this.#timeouts.labelTimeout
    // One argument for all: ioredis takes more time for four of each than Redis does for the whole call. cjson reads no half of a pair
    // of surrogates; as an argument of its own it would become U+FFFD, too.
    const write = (form: (label: string) => string): string => JSON.stringify(counts.map(({ kind, label, count, away }) => [kind, form(label), count, away]))
    const items = write((label) => label)
    const [id, changes, count] = await this.#next<[id: string, changes: string, count: number]>(LABEL, node, until, (heard) => [heard, items.includes(ESCAPED_SURROGATE) ? write(wellFormed) : items])
    this.#wrote(node, count)
    const { online, offline } = JSON.parse(changes) as Record<'online' | 'offline', unknown>
    return { at: Number(id) / MICROSECONDS, online: listOf(online), offline: listOf(offline) }
  }

  async find (kind: LabelCount['kind'], label: string): Promise<Whereabouts> {
    const [nodes, expectedBack] = await this.#run(FIND, [kind, label]) as [Whereabouts['nodes'], number | null]
    return { nodes, expectedBack }
  }

  async take (node: string, asked: readonly PlacesAsked[]): Promise<PlacesGiven[]> {
    const items = asked.flatMap(({ key, have, want, max, oldest }) => [key, have, want, max, oldest ?? ''])
    const [count, answers] = await this.#run(TAKE, [node, ...items]) as [count: number, answers: Array<[given: number, oldestAt: string | null]>]
    this.#wrote(node, count)
    return answers.map(([given, oldestAt]) => ({ given, oldestAt }))
  }

  async book (node: string, { clients, from, share, ceiling, leaves }: Booking): Promise<Turns> {
    const [first, rate, seconds] = await this.#run(BOOK, [node, clients, from, share, ceiling, leaves ? 1 : 0]) as [string, string, string[]]
    return { first: Number(first), seconds: seconds.map(Number), rate: Number(rate) }
  }

  async close (): Promise<void> {
    this.#closed = true
    await Promise.all([this.#commands?.close(), this.#subscriber?.close()])
  }

  async #beat (node: string, { info, capacity, lease, settled, away }: Beat, until: number): Promise<Pulse> {
    type Answer = [id: string, now: number, joined: number, nodes: Row[], lost: Row[], inbox: string[], offline: string[]]
    const [id, , joined, nodes, lost, inbox, offline] = await this.#next<Answer>(BEAT, node, until, (heard) => [info, capacity, lease, away, heard, this.#written.get(node) ?? 0, ...settled])
    const now = Number(id) / MICROSECONDS
    const record = ([id, info, capacity, at]: Row): NodeRecord => ({ id, info, capacity: Number(capacity), silent: Math.floor(now) - Number(at) })
    return { now, joined: joined === 1, nodes: nodes.map(record), lost: lost.map(record), orders: ordersOf(inbox), offline }
  }

  /**
   * Makes a connection in the place of one that is no good. One that cannot be prepared is closed, and `listen` rejects; so is one of
   * a call that was given up, and made again: two connections would hear each message twice.
   */
  async #connect (old: Connection | undefined, call: number, prepare: (connection: Connection) => Promise<void>): Promise<Connection> {
    void old?.close()
    const connection = new Connection(this.#client, this.#timeouts)
    try {
      await connection.open()
      await prepare(connection)
      this.#checkOpen()
      if (call !== this.#lastListen) throw new Error('listen() was called again')
      return connection
    } catch (error) {
      void connection.close()
      throw error
    }
  }

  #checkOpen (): void {
    if (this.#closed) throw new Error('the engine of the fleet is closed')
  }

  #connection (): Connection {
    this.#checkOpen()
    if (this.#commands === undefined) throw new Error('Redis is not connected: the engine does not listen yet')
    return this.#commands
  }

  #wrote (node: string, count: number): void { this.#written.set(node, Math.max(count, this.#written.get(node) ?? 0)) }

  async #run (script: Script, args: ReadonlyArray<string | number>): Promise<unknown> {
    return await this.#connection().run(script, this.#prefix, args)
  }

  /**
   * Runs a script whose answers begin with an id: after the call before it, for it must know what that one was answered. The plugin
   * waits for the answer until then.
   */
  async #next<T extends [id: string, ...unknown[]]> (script: Script, node: string, until: number, args: (heard: string) => Array<string | number>): Promise<T> {
    const key = `${script.sha} ${node}`
    const before = this.#heard.get(key) ?? Promise.resolve('')
    const answer = before.then(async (heard) => await this.#run(script, [node, ...args(heard)]) as T)
    // What comes late the plugin has not heard, and is told again.
    this.#heard.set(key, answer.then(async ([id]) => systemClock.now() > until ? await before : id, async () => await before))
    return await answer
  }
}

/** Returns a list of Lua: cjson writes an empty one as an object. */
function listOf (list: unknown): string[] { return Array.isArray(list) ? list : [] }

function wellFormed (text: string): string { return LONE_SURROGATE.test(text) ? Buffer.from(text).toString() : text }

/** Id → order, oldest first. */
function ordersOf (inbox: readonly string[]): Array<[id: string, order: string]> {
  const stamped = Array.from({ length: inbox.length / 2 }, (_, i) => [inbox[2 * i]!, inbox[2 * i + 1]!] as const)
  const stampOf = ([, text]: readonly [string, string]): string => text.slice(0, STAMP)
  return stamped.sort((a, b) => stampOf(a) < stampOf(b) ? -1 : 1).map(([id, text]) => [id, text.slice(STAMP)])
}
