/**
 * Presence: who is online, where, and the events; across deploys, crashes and losses of the engine.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { retryIn } from '../../lib/base/close-codes.ts'
import type { Connection } from '../../lib/connection/connection.ts'
import { seeded } from '../helpers/drain-rig.ts'
import type { Pair } from '../helpers/fake-host.ts'
import { fake } from '../helpers/fake-socket.ts'
import { createFleet } from '../helpers/fleet-rig.ts'
import type { FleetRig, FleetRigNode } from '../helpers/fleet-rig.ts'
import { asked, MOVED } from '../helpers/mover.ts'

/** What a frame or a handshake takes, milliseconds. */
const LATENCY = 20

/** Events of all nodes: `online ann here`, with the node's place in the fleet. */
function listen ({ nodes }: Pick<FleetRig, 'nodes'>): Array<[node: number, event: string]> {
  const heard: Array<[number, string]> = []
  nodes.forEach(({ sockets }, i) => {
    for (const event of ['online', 'offline'] as const) sockets.on(event, ({ owner, here }) => { heard.push([i, `${event} ${owner}${here ? ' here' : ''}`]) })
  })
  return heard
}

async function setup (size = 2): Promise<FleetRig & { node: FleetRigNode, other: FleetRigNode }> {
  const fleet = await createFleet(size, { heartbeat: false, backpressure: false })
  return { ...fleet, node: fleet.nodes[0]!, other: fleet.nodes[1]! }
}

test('presence says where an owner is, with what this node knows at once', async () => {
  const { node, other, clock } = await setup()
  node.open({ owner: 'ann' })
  assert.deepEqual(await node.sockets.presence('ann'), { online: true, connections: 1, nodes: [{ node: node.id, connections: 1 }], complete: true })
  other.open({ owner: 'ann' })
  const { connection } = other.open({ owner: 'ann' })
  await clock.flush()
  assert.deepEqual(await node.sockets.presence('ann'), {
    online: true, connections: 3, nodes: [{ node: node.id, connections: 1 }, { node: other.id, connections: 2 }], complete: true
  })
  connection.end('application', 1000, '')
  assert.equal((await other.sockets.presence('ann')).connections, 2)
  assert.deepEqual(await node.sockets.presence('bob'), { online: false, connections: 0, nodes: [], complete: true })
  await assert.rejects(node.sockets.presence(42 as never), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
})

test('an owner whose connection was closed with a delay is expected back', async () => {
  const { node, other, clock } = await setup()
  const { connection } = node.open({ owner: 'ann' })
  await clock.flush()
  connection.end('drain', 1012, 'service restart; retry=5000')
  await clock.run(1_000)
  assert.deepEqual(await other.sockets.presence('ann'), { online: true, connections: 0, nodes: [], expectedBack: 19_000, complete: true })
  // Back on this node, which has not written it yet.
  other.open({ owner: 'ann' })
  assert.deepEqual(await other.sockets.presence('ann'), { online: true, connections: 1, nodes: [{ node: other.id, connections: 1 }], complete: true })
})

test('an owner who has come and gone between two calls, and is expected back, is online before it is offline', async () => {
  const fleet = await setup()
  const heard = listen(fleet)
  await fleet.clock.run(4_000)
  const { connection, socket } = fleet.node.open({ owner: 'ann' })
  connection.startDraining()
  socket.peerCloses(1000, '')
  await fleet.clock.run(1_000)
  assert.deepEqual(heard, [[0, 'online ann here'], [1, 'online ann']])
  await fleet.clock.run(20_000)
  assert.deepEqual(heard.slice(2).map(([, event]) => event), ['offline ann here', 'offline ann'])
})

test('so is one who has come and gone before the engine answers in time', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  const heard = listen(fleet)
  // Two beats are late; the one after them is not.
  node.faulty.lag = 300
  await clock.run(4_000)
  const { connection } = node.open({ owner: 'ann' })
  await clock.run(100)
  connection.end('drain', 1012, 'service restart; retry=0')
  node.faulty.lag = 0
  await clock.run(3_000)
  assert.deepEqual(heard, [[0, 'online ann here'], [1, 'online ann']])
  await clock.run(20_000)
  assert.deepEqual(heard.slice(2).map(([, event]) => event), ['offline ann here', 'offline ann'])
})

test('the last event is right, however late the messages of one of two nodes arrive', async () => {
  const fleet = await setup(3)
  const { node, other, memory, clock } = fleet
  const third: string[] = []
  for (const event of ['online', 'offline'] as const) fleet.nodes[2]!.sockets.on(event, () => { third.push(event) })
  await clock.run(4_000)
  const { connection } = node.open({ owner: 'ann', peer: 'answers' })
  await clock.run(500)
  const { send } = memory
  memory.send = (nodes, message) => {
    const isLate = (JSON.parse(message) as { from: string }).from === node.id
    clock.setTimeout(() => { send.call(memory, nodes, message) }, isLate ? 100 : 1)
  }
  connection.end('application', 1000, '')
  await clock.flush()
  const back = other.open({ owner: 'ann', peer: 'answers' })
  await clock.run(500)
  assert.deepEqual(third, ['online', 'online'])
  back.connection.end('application', 1000, '')
  await clock.run(500)
  assert.equal(third.at(-1), 'offline')
})

test('an owner who comes back at the end of its time away is offline, then online, although both are told in one turn', async () => {
  const fleet = await setup(1)
  const { node, memory, clock } = fleet
  await clock.run(1_000)
  node.open({ owner: 'ann' }).connection.end('drain', 1012, 'service restart; retry=0')
  await clock.flush()
  const heard = listen(fleet)
  const { beat } = memory
  memory.beat = (id, said) => {
    const pulse = beat.call(memory, id, said)
    // The answers of both calls have arrived, and that of the second is taken first.
    if (pulse.offline.length > 0) node.open({ owner: 'ann' })
    return pulse
  }
  await clock.run(20_000)
  assert.deepEqual(heard, [[0, 'offline ann here'], [0, 'online ann here']])
})

test('without the engine, presence is what this node knows, or unknown', async () => {
  const { node, clock } = await setup()
  node.open({ owner: 'ann' })
  await clock.flush()
  node.faulty.fault = 'refuse'
  await clock.run(4_000)
  assert.deepEqual(await node.sockets.presence('ann'), { online: true, connections: 1, nodes: [{ node: node.id, connections: 1 }], complete: false })
  assert.deepEqual(await node.sockets.presence('bob'), { online: 'unknown', connections: 0, nodes: [], complete: false })
})

test('every node that listens is told once, one of them `here`', async () => {
  const fleet = await setup(3)
  const { node, other, clock } = fleet
  const heard = listen(fleet)
  await clock.run(4_000)
  const first = node.open({ owner: 'ann' })
  const second = other.open({ owner: 'ann' })
  await clock.flush()
  assert.deepEqual(heard.splice(0), [[0, 'online ann here'], [1, 'online ann'], [2, 'online ann']])
  first.connection.end('application', 1000, '')
  await clock.run(100)
  assert.deepEqual(heard, [])
  second.connection.end('application', 1000, '')
  await clock.run(100)
  assert.deepEqual(heard, [[1, 'offline ann here'], [0, 'offline ann'], [2, 'offline ann']])
})

test('nodes without listeners are told nothing; many owners go in several messages', async () => {
  const { node, other, memory, clock } = await setup(3)
  const online: string[] = []
  other.sockets.on('online', ({ owner }) => { online.push(owner) })
  await clock.run(4_000)
  const told: Array<readonly string[]> = []
  const { send } = memory
  memory.send = (nodes, message) => {
    if (message.includes('"presence"')) told.push(nodes)
    send.call(memory, nodes, message)
  }
  for (let i = 0; i < 600; i++) node.open({ owner: `owner ${i}` })
  await clock.flush()
  assert.equal(new Set(online).size, 600)
  assert.deepEqual(told, [[other.id], [other.id], [other.id]])
})

test('messages that are no changes of presence are ignored, in part or as a whole', async () => {
  const fleet = await setup()
  const { node, memory, clock } = fleet
  const heard = listen(fleet)
  const { ignored } = node.sockets
  for (const body of [null, {}, { at: 1, online: 'ann', offline: [1, 'bob'] }, { at: 2, online: Array.from({ length: 2_000 }, (_, i) => `owner ${i}`) }]) {
    memory.send([node.id], JSON.stringify({ v: 1, type: 'presence', from: 'x', body }))
  }
  await clock.flush()
  assert.equal(node.sockets.ignored, ignored + 2)
  assert.deepEqual(heard.map(([, event]) => event), ['offline bob', ...Array.from({ length: 250 }, (_, i) => `online owner ${i}`)])
})

test('an engine that has lost its data makes no owner online again, and owners that have left meanwhile offline', async () => {
  const fleet = await setup()
  const { node, memory, clock } = fleet
  const stays = node.open({ owner: 'ann' })
  const leaves = node.open({ owner: 'bob' })
  await clock.run(4_000)
  const heard = listen(fleet)
  await clock.run(4_000)
  for (const { faulty } of fleet.nodes) faulty.fault = 'hang'
  await clock.run(3_000)
  leaves.connection.end('application', 1000, '')
  node.open({ owner: 'eve' })
  memory.clear()
  for (const { faulty } of fleet.nodes) faulty.fault = 'none'
  await clock.run(6_000)
  assert.deepEqual(heard, [[0, 'online eve here'], [1, 'online eve']])
  assert.equal((await fleet.other.sockets.presence('ann')).connections, 1)
  heard.length = 0
  await clock.run(20_000)
  assert.deepEqual(heard.map(([, event]) => event).sort(), ['offline bob', 'offline bob here'])
  heard.length = 0
  stays.connection.end('application', 1000, '')
  await clock.run(30_000)
  assert.deepEqual(heard, [[0, 'offline ann here'], [1, 'offline ann']])
})

test('changes are told by an engine whose clock has gone back, too', async () => {
  const fleet = await setup()
  const { node, memory, clock } = fleet
  const heard = listen(fleet)
  await clock.run(4_000)
  const { connection } = node.open({ owner: 'ann', peer: 'answers' })
  await clock.flush()
  const { beat, label } = memory
  memory.beat = (id, given) => {
    const pulse = beat.call(memory, id, given)
    return { ...pulse, now: pulse.now - 60_000 }
  }
  memory.label = (id, counts) => {
    const change = label.call(memory, id, counts)
    return { ...change, at: change.at - 60_000 }
  }
  // Before the next beat: the first call after the failover may be another one.
  await clock.run(200)
  connection.end('application', 1000, '')
  await clock.run(500)
  assert.deepEqual(heard.filter(([, event]) => event.startsWith('offline')), [[0, 'offline ann here'], [1, 'offline ann']])
})

test('what an engine tells again, because its answer was lost, is told', async () => {
  const fleet = await setup()
  const { node, memory, clock } = fleet
  const heard = listen(fleet)
  const { label } = memory
  memory.label = (id, counts) => {
    const { online, ...rest } = label.call(memory, id, counts)
    return { ...rest, online: ['before', ...online] }
  }
  node.open({ owner: 'ann' })
  await clock.flush()
  assert.deepEqual(heard, [[0, 'online before here'], [0, 'online ann here']])
})

test('what the last beat of a node that leaves is told of owners, it tells the others', async () => {
  const fleet = await setup()
  const { node, other, memory, clock } = fleet
  await clock.run(4_000)
  node.open({ owner: 'ann' }).connection.end('drain', 1012, 'service restart')
  await clock.flush()
  const heard = listen(fleet)
  await clock.run(10_000)
  // The engine tells it now; the answer arrives later.
  other.faulty.lag = 100
  while (memory.find('owner', 'ann').expectedBack !== null) await clock.run(10)
  const closed = other.fleet.close()
  await clock.run(1_000)
  await closed
  assert.deepEqual(heard, [[1, 'offline ann here'], [0, 'offline ann']])
})

test('owners of a node that was frozen for long are offline once, and online when it is back', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  node.open({ owner: 'ann' })
  await clock.flush()
  const heard = listen(fleet)
  node.kill()
  await clock.run(30_000)
  assert.deepEqual(heard.splice(0), [[1, 'offline ann here']])
  node.thaw()
  await clock.run(10_000)
  assert.deepEqual(heard.map(([, event]) => event).sort(), ['online ann', 'online ann here'])
})

test('a node that was frozen for a short time changes nothing', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  node.open({ owner: 'ann' })
  await clock.flush()
  const heard = listen(fleet)
  node.kill()
  await clock.run(9_000)
  assert.ok((await fleet.other.sockets.presence('ann')).expectedBack! > 0)
  node.thaw()
  await clock.run(60_000)
  assert.deepEqual(heard, [])
})

// ——— deploys and crashes

/** Clients that do as their server says, over a network that takes time; each is an owner. */
class Clients {
  readonly #fleet: FleetRig
  readonly #moves: (owner: string) => boolean
  readonly #random = seeded(7)
  readonly #connected = new Map<Connection, { readonly pair: Pair, readonly owner: string }>()
  /** Nodes that accept connections. */
  readonly running = new Set<FleetRigNode>()

  constructor (fleet: FleetRig, moves: (owner: string) => boolean = () => false) {
    this.#fleet = fleet
    this.#moves = moves
  }

  /** Uses a node from now on. */
  use (node: FleetRigNode): void {
    this.running.add(node)
    node.tracker.on('closing', (connection) => {
      const client = this.#connected.get(connection)
      if (!this.#connected.delete(connection)) return
      this.#later(2 * LATENCY + retryIn(client!.pair.socket.closeFrame!.reason), () => { this.connect(client!.owner) })
    })
    const { writeText } = node.transport
    node.transport.writeText = (socket, text) => {
      const sent = writeText.call(node.transport, socket, text)
      const client = this.#connected.get(fake(socket).connection!)
      if (sent && client !== undefined) this.#later(LATENCY + asked(text).in, () => { this.#move(client.pair, client.owner) })
      return sent
    }
  }

  /** Connects to any node. */
  connect (owner: string): void {
    const open = [...this.running].filter(({ tracker }) => tracker.accepting)
    const node = open[Math.floor(this.#random() * open.length)]!
    const pair = node.accept({ owner, peer: 'answers' })
    if (this.#moves(owner)) node.moves.offered(pair.connection)
    this.#connected.set(pair.connection, { pair, owner })
    node.tracker.opened(pair.connection)
  }

  /** The clients of a node that has ended without a word. */
  lost (node: FleetRigNode): string[] {
    this.running.delete(node)
    const owners: string[] = []
    for (const [connection, { owner }] of this.#connected) {
      if (node.tracker.get(connection.id) !== connection) continue
      this.#connected.delete(connection)
      owners.push(owner)
    }
    return owners
  }

  #move ({ connection, socket }: Pair, owner: string): void {
    if (!this.#connected.delete(connection)) return
    this.connect(owner)
    this.#later(LATENCY, () => { socket.peerSends(MOVED) })
  }

  #later (delay: number, callback: () => void): void { this.#fleet.clock.setTimeout(callback, delay) }
}

/** Replaces nodes one after another: a new one starts, the old one drains and leaves. */
async function roll (fleet: FleetRig, clients: Clients, old: readonly FleetRigNode[]): Promise<void> {
  for (const node of old) {
    clients.use(await fleet.add())
    void node.tracker.drain().then(() => node.fleet.close()).then(() => { clients.running.delete(node) })
    while (clients.running.has(node)) await fleet.clock.run(100)
  }
}

for (const [what, owners, options, moves] of [
  ['who come back in turns', 1_000, { drain: { terminationGracePeriod: 30_000, reconnect: { rate: 500 } } }, () => false],
  ['who come back after delays', 200, { drain: { terminationGracePeriod: 12_000, spread: false, reconnect: { rate: 8 } } }, () => false],
  ['some of whom move', 200, { drain: { terminationGracePeriod: 30_000, reconnect: { rate: 100 } } }, (owner: string) => owner.endsWith('5') || owner.endsWith('6')]
] as const) {
  test(`a rolling deploy of 10 nodes with ${owners} owners each, ${what}, makes none offline`, async () => {
    const fleet = await createFleet(10, { heartbeat: false, backpressure: false, ...options })
    const { clock } = fleet
    const old = [...fleet.nodes]
    const clients = new Clients(fleet, moves)
    for (const node of old) clients.use(node)
    for (let i = 0; i < 10 * owners; i++) clients.connect(`owner ${i}`)
    await clock.run(100)
    const watcher = await fleet.add()
    const heard: string[] = []
    watcher.sockets.on('offline', ({ owner }) => { heard.push(`offline ${owner}`) }).on('online', ({ owner }) => { heard.push(`online ${owner}`) })
    await clock.run(4_000)
    // Each node's engine is as slow as a network is.
    for (const { faulty } of fleet.nodes) faulty.delay = 5
    await roll(fleet, clients, old)
    await clock.run(120_000)
    assert.deepEqual(heard, [])
    const sizes = fleet.nodes.slice(11).map(({ tracker }) => tracker.size)
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), 10 * owners)
    watcher.faulty.delay = 0
    assert.deepEqual(await watcher.sockets.presence('owner 1471').then(({ online, connections }) => ({ online, connections })), { online: true, connections: 1 })
  })
}

test('after the crash of a node each owner that does not come back is offline once, and no other', async () => {
  const fleet = await createFleet(5, { heartbeat: false, backpressure: false })
  const { clock, nodes } = fleet
  const clients = new Clients(fleet)
  for (const node of nodes) clients.use(node)
  for (let i = 0; i < 5_000; i++) clients.connect(`owner ${i}`)
  await clock.run(100)
  const heard = listen(fleet)
  await clock.run(4_000)
  nodes[0]!.kill()
  const lost = clients.lost(nodes[0]!)
  // Half of them come back within 10 seconds, most before the node is taken for lost.
  const gone = lost.filter((_, i) => i % 2 === 1)
  lost.forEach((owner, i) => { if (i % 2 === 0) clock.setTimeout(() => { clients.connect(owner) }, 10 * i) })
  await clock.run(60_000)
  const told = heard.filter(([node]) => node !== 0).map(([, event]) => event)
  assert.deepEqual(told.filter((event) => event.endsWith(' here')).sort(), gone.map((owner) => `offline ${owner} here`).sort())
  for (const node of [1, 2, 3, 4]) {
    const events = heard.filter(([at]) => at === node).map(([, event]) => event.replace(' here', ''))
    assert.deepEqual(events.sort(), gone.map((owner) => `offline ${owner}`).sort())
  }
})

test('after the engine has lost its data, an owner that leaves one node before the other has joined anew is not offline', async () => {
  const { node, other, memory, clock } = await setup()
  const sockets = [node, other]
  const heard: string[] = []
  for (const { sockets: fleet } of sockets) fleet.on('offline', ({ owner }) => { heard.push(owner) })
  const open = [node, other].map((each) => each.open({ owner: 'ann' }).connection)
  await clock.run(3_000)
  // One of them beats, and the other cannot.
  other.faulty.fault = 'refuse'
  memory.clear()
  await clock.run(2_100)
  open[0]!.end('application', 1000, '')
  await clock.run(300)
  other.faulty.fault = 'none'
  await clock.run(30_000)
  assert.deepEqual(heard, [])
  assert.equal((await node.sockets.presence('ann')).online, true)
  open[1]!.end('application', 1000, '')
  await clock.run(3_000)
  assert.deepEqual(heard, ['ann', 'ann'])
})
