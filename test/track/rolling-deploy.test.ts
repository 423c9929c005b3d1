/**
 * A rolling deploy of three servers on one fake clock, with clients that do as they are told over a network that takes time: the
 * clients that the servers expect together are those that there are.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { retryIn } from '../../lib/base/close-codes.ts'
import type { Connection } from '../../lib/connection/connection.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { seeded } from '../helpers/drain-rig.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import type { Pair } from '../helpers/fake-host.ts'
import { fake } from '../helpers/fake-socket.ts'
import { asked, MOVED } from '../helpers/mover.ts'
import { createTracker } from '../helpers/tracker-rig.ts'
import type { TrackerRig } from '../helpers/tracker-rig.ts'

const SERVERS = 3
const CLIENTS = 600
/** Clients a second that come back. */
const RATE = 100
/** What a frame or a handshake takes, milliseconds. */
const LATENCY = 20
/** How long a connection works when its client has moved, milliseconds. */
const WORK = 2_000
/** Time between two looks at the numbers. */
const SAMPLE = 50

/** Servers with their clients. */
class Deploy {
  readonly clock = new FakeClock()
  readonly #options: LifecycleOptions
  readonly #moves: boolean
  readonly #random = seeded(1)
  /** Servers whose process runs. */
  readonly #servers = new Set<TrackerRig>()
  /** Connections of clients, until they have gone to another one. */
  readonly #connected = new Map<Connection, Pair>()
  /** Clients that have left for good. */
  #left = 0
  /** What all servers say together, less the clients that there are: the least and the most of all looks. */
  readonly expected = { least: Infinity, most: -Infinity }
  readonly connections = { least: Infinity, most: -Infinity }

  constructor (options: LifecycleOptions, moves = false) {
    this.#options = { heartbeat: false, backpressure: false, ...options, drain: { reconnect: { rate: RATE }, ...options.drain } }
    this.#moves = moves
    for (let i = 0; i < SERVERS; i++) this.start()
    for (let i = 0; i < CLIENTS; i++) this.#connect()
  }

  start (): void {
    const server = createTracker(this.#options, 'none', { clock: this.clock })
    this.#servers.add(server)
    server.tracker.on('closing', (connection) => {
      const pair = this.#connected.get(connection)
      if (!this.#connected.delete(connection)) return
      this.#later(LATENCY, () => { this.#later(retryIn(pair!.socket.closeFrame!.reason) + LATENCY, () => { this.#connect() }) })
    })
    const { writeText } = server.transport
    server.transport.writeText = (socket, text) => {
      const sent = writeText.call(server.transport, socket, text)
      const pair = this.#connected.get(fake(socket).connection!)
      if (sent && pair !== undefined) this.#later(LATENCY + asked(text).in, () => { this.#move(pair) })
      return sent
    }
  }

  /** Replaces every server: a new one starts, and the process of the old one ends when `until` resolves. */
  async roll (until: (server: TrackerRig) => Promise<unknown>): Promise<void> {
    for (const old of [...this.#servers]) {
      this.start()
      void until(old).then(() => { this.#servers.delete(old) })
      while (this.#servers.has(old)) await this.pass(SAMPLE)
    }
    await this.pass(1_000)
  }

  /** Lets time pass, in which now and then a client leaves, and looks at the numbers. */
  async pass (time: number): Promise<void> {
    for (const end = this.clock.now() + time; this.clock.now() < end;) {
      if (this.#random() < 0.1) this.#leave()
      await this.clock.run(SAMPLE)
      const there = CLIENTS - this.#left
      for (const name of ['expected', 'connections'] as const) {
        const sum = [...this.#servers].reduce((sum, { tracker }) => sum + tracker.stats()[name], 0)
        this[name].least = Math.min(this[name].least, sum - there)
        this[name].most = Math.max(this[name].most, sum - there)
      }
    }
  }

  #later (delay: number, callback: () => void): void { this.clock.setTimeout(callback, delay) }

  /** Connects to the server with the fewest connections. */
  #connect (): void {
    const [server] = [...this.#servers].filter(({ tracker }) => tracker.accepting).toSorted((a, b) => a.tracker.size - b.tracker.size)
    const pair = server!.accept({ peer: 'answers' })
    if (this.#moves) {
      server!.moves.offered(pair.connection)
      // Its old connection stays for a while when the client has moved.
      void pair.connection.track(new Promise<void>((resolve) => { pair.connection.drainSignal.onabort = () => { this.#later(WORK, resolve) } }))
    }
    this.#connected.set(pair.connection, pair)
    server!.tracker.opened(pair.connection)
  }

  /** A client that was asked opens its new connection, then says so on the old one. */
  #move ({ connection, socket }: Pair): void {
    this.#later(LATENCY, () => {
      if (!this.#connected.delete(connection)) return
      this.#connect()
      this.#later(LATENCY, () => { socket.peerSends(MOVED) })
    })
  }

  #leave (): void {
    const all = [...this.#connected.values()].filter(({ connection }) => connection.state === 'open')
    // At the end of their lifetimes all may be closed at once.
    if (all.length === 0) return
    const { connection, socket } = all[Math.floor(this.#random() * all.length)]!
    this.#connected.delete(connection)
    this.#left++
    socket.peerCloses(1000)
  }
}

/** Twice the clients that are between two connections, for two frames' time, if as many a second come back. */
function inTransit (rate: number): number { return 2 * rate * 2 * LATENCY / 1_000 }

test('clients that come back in their turns are expected all the time, but for those in transit', async () => {
  const deploy = new Deploy({ drain: { terminationGracePeriod: 30_000 } })
  await deploy.roll(({ tracker }) => tracker.drain())
  const { least, most } = deploy.expected
  assert.ok(least >= -inTransit(RATE) && most <= 0, `${least} to ${most}`)
})

test('clients that move are expected once, but for those of whose move the old server has not heard', async () => {
  const deploy = new Deploy({ drain: { terminationGracePeriod: 30_000 } }, true)
  await deploy.roll(({ tracker }) => tracker.drain())
  const { least, most } = deploy.expected
  assert.ok(deploy.connections.most >= RATE, `${deploy.connections.most} connections`)
  assert.ok(least >= 0 && most <= inTransit(RATE), `${least} to ${most}`)
})

test('clients that were told a delay are expected until it has passed, where a third of the connections is gone', async () => {
  const deploy = new Deploy({ drain: { spread: false, settleDelay: 500 } })
  await deploy.roll(async ({ tracker, clock }) => {
    await tracker.drain()
    await new Promise<void>((resolve) => { clock.setTimeout(resolve, CLIENTS / SERVERS / RATE * 1_000) })
  })
  assert.ok(deploy.connections.least <= -150, `${deploy.connections.least} connections`)
  const { least, most } = deploy.expected
  assert.ok(least >= -inTransit(RATE) && most <= 0, `${least} to ${most}`)
})

test('clients whose connections reach their lifetime are expected back', async () => {
  const deploy = new Deploy({ maxLifetime: 5_000 })
  await deploy.pass(6_500)
  assert.ok(deploy.connections.least <= -CLIENTS / 2, `${deploy.connections.least} connections`)
  // All of them within the second by which their lifetimes differ.
  const { least, most } = deploy.expected
  assert.ok(least >= -inTransit(CLIENTS) && most <= 0, `${least} to ${most}`)
})
