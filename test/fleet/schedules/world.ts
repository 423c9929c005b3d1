/**
 * The world of one run: an engine, the nodes of a fleet, and their clients; all on one fake clock.
 */
import type { LifecycleOptions } from '../../../lib/options/options.ts'
import type { Fleet } from '../../../lib/track/fleet.ts'
import { isClosing } from '../../../lib/connection/connection.ts'
import { retryIn } from '../../../lib/base/close-codes.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import type { Pair } from '../../helpers/fake-host.ts'
import { admit } from '../../helpers/places-rig.ts'
import { createTracker } from '../../helpers/tracker-rig.ts'
import type { TrackerRig } from '../../helpers/tracker-rig.ts'
import type { Random } from '../../simulation/random.ts'
import { EngineLink, SharedEngine } from './engine-link.ts'
import { NodeClock } from './node-clock.ts'

/** Lines that a report shows. */
const TRACE = 60

/** What a node is doing. */
type State = 'running' | 'leaving' | 'left' | 'killed'

/** A process with the plugin. */
export class Node {
  readonly name: string
  readonly clock: NodeClock
  readonly link: EngineLink
  readonly rig: TrackerRig
  readonly fleet: Fleet
  state: State = 'running'

  constructor (world: World, name: string, options: LifecycleOptions) {
    this.name = name
    this.clock = new NodeClock(world.clock)
    this.link = new EngineLink(world.engine, this.clock, world.random.between(1, 8))
    this.rig = createTracker({ ...options, fleet: () => this.link.engine }, 'info', { clock: this.clock, engine: this.link.engine })
    this.fleet = this.rig.fleet.fleet
    void this.rig.fleet.fleet.start()
  }

  get id (): string { return this.fleet.node }
  get alive (): boolean { return this.state === 'running' || this.state === 'leaving' }
  /** Whether it takes clients. */
  get serves (): boolean { return this.state === 'running' && !this.clock.frozen }
}

/** A client, connected, or on its way. */
export interface Client {
  readonly name: string
  readonly owner: string
  readonly tag: string
  /** Where it is connected, or shakes hands. */
  node: Node | null
  pair: Pair | null
}

/** A disconnect that was ordered and not refused: which connections it is about. */
export interface Order {
  readonly by: string
  readonly pairs: ReadonlyArray<{ node: Node, pair: Pair }>
  readonly issuer: Node
  /** Whether the fleet has taken it, and whether the issuer still has to deliver it. */
  state: 'open' | 'refused' | 'kept' | 'done'
}

/** Limits that all nodes share. */
export interface FleetLimits {
  total: { max: number, policy: 'refuse', scope: 'fleet' }
  perOwner: { max: number, policy: 'refuse' | 'evict-oldest', scope: 'fleet' }
}

export class World {
  readonly clock = new FakeClock()
  readonly random: Random
  readonly engine: SharedEngine
  readonly nodes: Node[] = []
  readonly clients = new Set<Client>()
  readonly trace: string[] = []
  readonly options: LifecycleOptions
  /** Limits that all nodes share; null: there are none. */
  readonly limits: FleetLimits | null
  /** Owner → what the fleet has told of it, by the node that has found it. */
  readonly told = new Map<string, Array<'online' | 'offline'>>()
  breach: { invariant: string, message: string } | null = null
  readonly orders: Order[] = []
  /** Name of an order and a node → how often the node has carried it out. */
  readonly carriedOut = new Map<string, number>()
  /** Number of clients so far. */
  made = 0
  /** Whether nothing has failed that may lose an event. */
  strict = true

  constructor (random: Random, options: LifecycleOptions) {
    this.random = random
    this.limits = options.limits as FleetLimits | undefined ?? null
    this.options = options
    this.engine = new SharedEngine(this.clock)
  }

  note (what: string): void {
    this.trace.push(`${Math.round(this.clock.now())} ${what}`)
    if (this.trace.length > TRACE) this.trace.shift()
  }

  violate (invariant: string, message: string): void {
    this.breach ??= { invariant, message }
  }

  async advance (ms: number): Promise<void> { await this.clock.run(ms) }

  get running (): Node[] { return this.nodes.filter(({ state }) => state === 'running') }

  start (): Node {
    const node = new Node(this, `node ${this.nodes.length}`, this.options)
    this.nodes.push(node)
    this.note(`${node.name} starts`)
    node.rig.tracker.on('audit', ({ action, from, by, connections }) => {
      // That of the node that orders tells of all.
      if (action !== 'disconnect' || from === undefined) return
      this.note(`${node.name} carries out ${by}: ${connections}`)
      const key = `${by} on ${node.name}`
      this.carriedOut.set(key, (this.carriedOut.get(key) ?? 0) + 1)
    })
    for (const event of ['online', 'offline'] as const) {
      node.fleet.on(event, ({ owner, here }) => {
        if (!here) return
        this.note(`${node.name} tells that ${owner} is ${event}`)
        this.told.set(owner, [...this.told.get(owner) ?? [], event])
      })
    }
    return node
  }

  /** Connects a client to a node, if that has room for it. It comes back when the server says so, or its node is gone. */
  connect (node: Node, client: Client): void {
    client.node = node
    this.clients.add(client)
    if (this.limits === null) {
      this.#connected(client, node, node.rig.open({ peer: 'answers', owner: client.owner }))
      return
    }
    void this.admit(node, client.owner).then((result) => {
      // One that has been given up, or is on its way to another node, is gone.
      const waits = client.node === node && client.pair === null && this.clients.has(client)
      if (typeof result !== 'string') {
        if (waits) this.#connected(client, node, result)
        else result.socket.peerCloses()
      } else if (waits) {
        this.note(`${client.name} (${client.owner}) is refused by ${node.name}: ${result}`)
        client.node = null
        this.comeBack(client, 1_000 + this.random.upTo(2_000))
      }
    })
  }

  /** A handshake of an owner. Resolves with the connection, or with the reason of the refusal. */
  async admit (node: Node, owner: string): Promise<Pair | string> {
    const result = await admit(node.rig, owner)
    // A node that decides alone, because the engine does not answer yet, may exceed them.
    if (this.strict && this.options.onOutage === 'refuse') this.checkLimits()
    return result
  }

  /** No limit is exceeded. */
  checkLimits (): void {
    if (this.limits === null) return
    const { total, perOwner } = this.limits
    const owners = new Map<string, number>()
    let all = 0
    for (const { alive, rig } of this.nodes) {
      for (const { state, owner } of alive ? rig.tracker.list() : []) {
        if (isClosing(state)) continue
        all++
        owners.set(owner!, (owners.get(owner!) ?? 0) + 1)
      }
    }
    if (all > total.max) this.violate('the total stays within its limit', `${all} are open`)
    for (const [owner, count] of owners) if (count > perOwner.max) this.violate('an owner stays within its limit', `${owner} has ${count}`)
  }

  #connected (client: Client, node: Node, pair: Pair): void {
    this.note(`${client.name} (${client.owner}, ${client.tag}) connects to ${node.name}`)
    pair.connection.tag(client.tag)
    client.pair = pair
    void pair.connection.closed.then(({ cause, reason }) => {
      if (client.pair !== pair) return
      this.note(`${client.name} is closed by ${node.name}: ${cause} ${reason}`)
      Object.assign(client, { node: null, pair: null })
      if (cause === 'drain' || cause === 'rebalance') this.comeBack(client, retryIn(reason) + this.random.upTo(2_000))
      else this.clients.delete(client)
    })
  }

  /** A client connects to another node after a delay, or never again. */
  comeBack (client: Client, delay: number): void {
    if (this.random.chance(0.3)) {
      this.clients.delete(client)
      return
    }
    this.clock.setTimeout(() => {
      if (!this.clients.has(client)) return
      const nodes = this.nodes.filter(({ serves }) => serves)
      if (nodes.length > 0) this.connect(this.random.pick(nodes), client)
      else this.clients.delete(client)
    }, delay)
  }

  /** Orders that the connections of an owner be closed, on the nodes that the node knows. */
  order (node: Node, owner: string): void {
    const by = `order ${this.orders.length}`
    const known = new Set(node.fleet.nodes.map(({ id }) => id))
    const pairs = [...this.clients].flatMap(({ owner: of, node, pair }) => of === owner && pair !== null && known.has(node!.id) ? [{ node: node!, pair }] : [])
    this.note(`${node.name} gives ${by}: disconnect ${owner}`)
    const order: Order = { by, pairs, issuer: node, state: 'open' }
    this.orders.push(order)
    node.fleet.disconnect({ owner }, { by }).then(({ value, missing }) => {
      this.note(`${by}: ${value} closed, ${missing.length} nodes are missing`)
      order.state = missing.length > 0 ? 'kept' : 'done'
    }, () => {
      this.note(`${by} is refused`)
      order.state = 'refused'
    })
  }

  leave (node: Node): void {
    this.note(`${node.name} leaves`)
    node.state = 'leaving'
    void node.rig.tracker.startDrain('close').then(async () => {
      await node.rig.fleet.close()
      node.rig.tracker.close()
      if (node.alive) node.state = 'left'
      this.note(`${node.name} has left`)
    })
  }

  kill (node: Node): void {
    this.note(`${node.name} is killed`)
    node.state = 'killed'
    // What the engine has told this node alone is lost with it.
    if (node.link.pending > 0) this.strict = false
    node.clock.kill()
    for (const client of [...this.clients]) {
      if (client.node !== node) continue
      Object.assign(client, { node: null, pair: null })
      this.comeBack(client, this.random.upTo(8_000))
    }
  }

  /** Ends all faults. */
  heal (): void {
    this.note('all faults end')
    if (this.engine.state !== 'up') this.engine.resume(this.random.chance(0.5))
    for (const { clock, link } of this.nodes) {
      Object.assign(link, { cut: false, deaf: false, latency: Math.min(link.latency, 8) })
      clock.thaw()
    }
  }

  /** Node → number of its open connections: all, those of an owner, or those with a tag. */
  where (filter: { owner: string } | { tag: string } | 'all' = 'all'): Map<Node, number> {
    const counts = new Map<Node, number>()
    for (const node of this.nodes) {
      const count = node.alive ? node.rig.tracker.list(filter).filter(({ state }) => !isClosing(state)).length : 0
      if (count > 0) counts.set(node, count)
    }
    return counts
  }
}
