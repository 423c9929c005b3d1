/**
 * One run from its seed: nodes start, leave, freeze, are killed and are cut off, the engine fails and comes back, clients come and go.
 * Then all faults end, and the fleet must know itself again; then all nodes leave, and nothing may remain.
 */
import { isClosing } from '../../../lib/connection/connection.ts'
import type { Connection } from '../../../lib/connection/connection.ts'
import { Random } from '../../simulation/random.ts'
import { World } from './world.ts'
import type { Client, FleetLimits, Node } from './world.ts'
import type { EngineLink } from './engine-link.ts'

const OWNERS = ['ann', 'bob', 'cid', 'dan', 'eve']
const TAGS = ['lobby', 'news']
/** Beat, lease, and the time for which owners of a lost node are expected back (lib/fleet), milliseconds. */
const BEAT = 2_000
const LEASE = 6_000
const AWAY = 15_000

export interface RunResult {
  seed: number
  /** Simulated milliseconds. */
  time: number
  connections: number
  breach: { invariant: string, message: string } | null
  trace: string[]
}

function limitsOf (random: Random): FleetLimits {
  return {
    total: { max: random.pick([6, 12]), policy: 'refuse', scope: 'fleet' },
    perOwner: { max: random.pick([1, 2, 4]), policy: random.pick(['refuse', 'evict-oldest']), scope: 'fleet' }
  }
}

/** Runs the schedule of a seed. `sabotage` breaks something first. */
export async function run (seed: number, sabotage?: (world: World) => void): Promise<RunResult> {
  const random = new Random(seed)
  const { random: chance } = Math
  Math.random = random.next
  const options = { heartbeat: false, backpressure: false, drain: { timeout: 4_000 }, closeTimeout: 500 } as const
  const world = new World(random, random.chance(0.5) ? options : { ...options, limits: limitsOf(random), onOutage: random.pick(['local', 'refuse']) })
  sabotage?.(world)
  try {
    for (const phase of [live, checkView, checkKnowledge, checkOrders, checkLimits, end]) {
      if (world.breach === null) await phase(world)
    }
  } catch (error) {
    world.violate('nothing throws', (error as Error).stack ?? String(error))
  } finally {
    Math.random = chance
  }
  return { seed, time: world.clock.now(), connections: world.made, breach: world.breach, trace: world.trace }
}

interface Action {
  readonly weight: number
  /** Whether it may lose what the engine knows, or what it tells. */
  readonly fault?: true
  act (world: World, node: Node): void
}

const ACTIONS: Action[] = [
  { weight: 12, act: (world, node) => { if (node.serves) world.connect(node, newClient(world)) } },
  { weight: 5, act: closeOne },
  { weight: 2, act: (world, node) => { if (node.serves) world.order(node, world.random.pick(OWNERS)) } },
  { weight: 2, act: (world) => { if (world.nodes.filter(({ alive }) => alive).length < 6) world.start() } },
  { weight: 2, act: (world, node) => { if (node.serves && world.running.length > 1) world.leave(node) } },
  { weight: 1, act: (world, node) => { if (world.running.length > 1) world.kill(node) } },
  { weight: 1, act: (world, node) => { freeze(world, node, world.random.pick([100, 500, 1_500])) } },
  { weight: 1, fault: true, act: (world, node) => { freeze(world, node, world.random.pick([3_000, 5_000, 9_000, 40_000])) } },
  { weight: 1, fault: true, act: (world, node) => { change(world, node, 'cut', true, false) } },
  { weight: 1, fault: true, act: (world, node) => { change(world, node, 'deaf', true, false) } },
  { weight: 1, fault: true, act: (world, node) => { change(world, node, 'latency', world.random.pick([20, 130, 600, 1_000]), world.random.between(1, 8)) } },
  { weight: 2, fault: true, act: failEngine }
]

async function live (world: World): Promise<void> {
  const { random } = world
  world.strict = random.chance(0.4)
  const actions = world.strict ? ACTIONS.filter(({ fault }) => !fault) : ACTIONS
  for (let nodes = random.between(1, 4); nodes > 0; nodes--) {
    world.start()
    await world.advance(random.upTo(500))
  }
  for (let steps = random.between(20, 80); steps > 0 && world.breach === null; steps--) {
    if (random.chance(0.7)) random.weighted(actions).act(world, random.pick(world.running))
    else await world.advance(random.chance(0.8) ? random.upTo(800) : random.upTo(10_000))
  }
  world.heal()
}

function newClient (world: World): Client {
  const { random } = world
  return { name: `client ${world.made++}`, owner: random.pick(OWNERS), tag: random.pick(TAGS), node: null, pair: null }
}

function closeOne (world: World): void {
  const { random, clients } = world
  const connected = [...clients].filter(({ pair }) => pair !== null)
  if (connected.length === 0) return
  const { name, pair } = random.pick(connected)
  world.note(`${name} closes`)
  pair!.socket.peerCloses()
}

/** Changes what is true of the way to the engine, for a while. */
function change<K extends 'cut' | 'deaf' | 'latency'> (world: World, { name, link }: Node, what: K, now: EngineLink[K], then: EngineLink[K]): void {
  const ms = world.random.pick([100, 3_000, 10_000])
  world.note(`${name}: ${what} is ${now} for ${ms} ms`)
  link[what] = now
  world.clock.setTimeout(() => { link[what] = then }, ms)
}

function freeze (world: World, { name, clock }: Node, ms: number): void {
  if (clock.frozen) return
  world.note(`${name} is frozen for ${ms} ms`)
  clock.freeze()
  world.clock.setTimeout(() => { clock.thaw() }, ms)
}

function failEngine (world: World): void {
  const { engine, random, clock } = world
  if (engine.state !== 'up') return
  const ms = random.pick([300, 3_000, 30_000])
  const how = random.pick(['frozen', 'frozen and emptied', 'restarted', 'emptied', 'flushed'] as const)
  world.note(`the engine is ${how}, ${ms} ms`)
  if (how === 'flushed') return engine.clear()
  if (how.startsWith('frozen')) engine.freeze()
  else engine.stop()
  clock.setTimeout(() => { if (engine.state !== 'up') engine.resume(how.endsWith('emptied')) }, ms)
}

/** Every node sees every other within two beats, and no other when leases have ended. */
async function checkView (world: World): Promise<void> {
  const names = (nodes: Iterable<{ id: string }>): string => {
    const ids = new Set([...nodes].map(({ id }) => id))
    return world.nodes.filter(({ id }) => ids.has(id)).map(({ name }) => name).join(', ')
  }
  const look = (exact: boolean): void => {
    for (const { name, fleet, state } of world.nodes) {
      if (state === 'leaving' && exact) world.violate('a node that leaves has left', name)
      if (state !== 'running') continue
      const running = names(world.running)
      const seen = names(exact ? fleet.nodes : fleet.nodes.filter(({ id }) => world.running.some((node) => node.id === id)))
      if (seen !== running) world.violate(exact ? 'the view is right' : 'a node is seen within two beats', `${name} sees ${seen}; ${running} run`)
      if (fleet.state !== 'up') world.violate('an engine that answers is up', name)
    }
  }
  await world.advance(2 * BEAT + 500)
  look(false)
  await world.advance(LEASE + BEAT + 3_000)
  look(true)
}

/** What the fleet knows of its connections is what its nodes have. */
async function checkKnowledge (world: World): Promise<void> {
  // All clients that come back are back, and all times away are over.
  await world.advance(2 * AWAY + LEASE)
  for (const { name, fleet } of world.running) {
    const asked = [['all', 'all'] as const, ...OWNERS.map((owner) => [owner, { owner }] as const), ...TAGS.map((tag) => [tag, { tag }] as const)]
    for (const [what, filter] of asked) {
      const answer = settled(fleet.count(filter))
      await world.advance(300)
      const expected = sum(world.where(filter))
      if (answer.value?.value !== expected || !answer.value.complete) world.violate('counts are right', `${name} counts ${JSON.stringify(answer)} of ${what}, not ${expected}`)
    }
  }
  for (const owner of OWNERS) {
    const { nodes, expectedBack } = world.engine.memory.find('owner', owner)
    const where = [...world.where({ owner })].map(([{ id }, count]) => [id, count])
    if (JSON.stringify(nodes.toSorted()) !== JSON.stringify(where.toSorted())) world.violate('the engine knows where owners are', `${owner}: ${JSON.stringify(nodes)}, not ${JSON.stringify(where)}`)
    if (expectedBack !== null) world.violate('owners are not away for ever', `${owner} for ${expectedBack} ms`)
    checkTold(world, owner, where.length > 0)
  }
}

/** What the fleet has taken is carried out by every node that is still there, and nothing twice. */
async function checkOrders (world: World): Promise<void> {
  for (const [order, times] of world.carriedOut) if (times > 1) world.violate('an order is carried out once', `${order}: ${times} times`)
  for (const { by, issuer, state, pairs } of world.orders) {
    const taken = state === 'done' || (state === 'kept' && issuer.state === 'running')
    if (state === 'open' && issuer.state === 'running') world.violate('an order is answered', by)
    for (const { node, pair } of pairs) {
      if (taken && node.state === 'running' && !isClosing(pair.connection.state)) world.violate('an order is carried out', `${by} on ${node.name}`)
    }
  }
}

/** A handshake opens if no limit is reached on all nodes together, and only then; or the oldest connection makes room. */
async function checkLimits (world: World): Promise<void> {
  const { limits, random } = world
  if (limits === null) return
  for (let i = 0; i < 10; i++) {
    const owner = random.pick(OWNERS)
    const [ofOwner, all] = [{ owner }, 'all' as const].map((filter) => sum(world.where(filter))) as [number, number]
    const evicts = limits.perOwner.policy === 'evict-oldest'
    const isFull = ofOwner >= limits.perOwner.max
    const expected = all >= limits.total.max ? 'total' : isFull && !evicts ? 'perOwner' : 'open'
    const node = random.pick(world.running)
    const oldest = oldestOf(world, owner)
    world.note(`${owner} shakes hands with ${node.name}: ${ofOwner} of its connections are open, ${all} in all`)
    const answer = settled(world.admit(node, owner).then((result) => typeof result === 'string' ? result : 'open'))
    await world.advance(1_500)
    // After a fault there may be more than the limit, and one handshake evicts a few only.
    if (evicts && ofOwner > limits.perOwner.max) continue
    if (answer.value !== expected) world.violate('limits are exact', `${owner} on ${node.name}: ${JSON.stringify(answer)}, not ${expected}`)
    if (isFull && expected === 'open' && oldest !== null && !isClosing(oldest.state)) world.violate('the oldest makes room', owner)
  }
}

/** The oldest connection of an owner; null: the clocks of nodes do not tell which it is. */
function oldestOf (world: World, owner: string): Connection | null {
  const [first, second] = world.running.flatMap(({ rig }) => rig.tracker.list({ owner })).filter(({ state }) => !isClosing(state)).sort((a, b) => a.openedAt - b.openedAt)
  return first === undefined || (second !== undefined && second.openedAt - first.openedAt < 100) ? null : first
}

/** Each change of an owner is told once. Two nodes tell two changes within milliseconds in any order. */
function checkTold (world: World, owner: string, online: boolean): void {
  if (!world.strict) return
  const told = world.told.get(owner) ?? []
  const open = told.reduce((sum, event) => sum + (event === 'online' ? 1 : -1), 0)
  if (open !== Number(online)) world.violate('each change of an owner is told once', `${owner}, ${online ? 'online' : 'offline'}: ${told.join(', ')}`)
}

/** All nodes leave, and nothing remains. */
async function end (world: World): Promise<void> {
  const { engine: { memory }, random } = world
  for (const client of world.clients) if (client.node === null) world.clients.delete(client)
  for (const node of world.running) {
    world.leave(node)
    await world.advance(random.upTo(1_000))
  }
  world.clients.clear()
  await world.advance(20_000)
  for (const { name, state, clock, rig } of world.nodes) {
    if (state === 'killed') continue
    if (state !== 'left') world.violate('a node that leaves has left', name)
    if (clock.pendingTimers > 0) world.violate('a node that has left has no timer', `${name}: ${clock.pendingTimers}`)
    if (rig.tracker.leftovers > 0) world.violate('a node that has left has nothing left', `${name}: ${rig.tracker.leftovers}`)
  }
  const probe = memory.engine()
  for (let beats = 0; beats < 2 * AWAY / BEAT; beats++) {
    await probe.beat('probe', { info: '', capacity: 0, lease: LEASE, settled: [], away: 0 })
    await world.advance(BEAT)
  }
  await probe.book('probe', { clients: 0, from: 0, share: 1, ceiling: 1, leaves: true })
  await probe.leave('probe')
  if (memory.size > 0) world.violate('nothing is left in the engine', `${memory.size}`)
}

/** What a promise has settled with, so far. */
function settled<T> (promise: Promise<T>): { value?: T, error?: unknown } {
  const result: { value?: T, error?: unknown } = {}
  promise.then((value) => { result.value = value }, (error: unknown) => { result.error = String(error) })
  return result
}

function sum (counts: Map<unknown, number>): number { return [...counts.values()].reduce((all, count) => all + count, 0) }
