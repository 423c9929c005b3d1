import assert from 'node:assert/strict'
import test from 'node:test'
import type { FleetNode } from '../../lib/track/fleet.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { createFleet, makeNode } from '../helpers/fleet-rig.ts'
import type { FleetRigNode } from '../helpers/fleet-rig.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'

/** Keeps what a node tells of others: `joined a`. */
function listen ({ sockets }: FleetRigNode, nodes: readonly FleetRigNode[]): string[] {
  const heard: string[] = []
  for (const event of ['joined', 'left', 'lost'] as const) {
    sockets.on(event, ({ id }: FleetNode) => { heard.push(`${event} ${nodes.findIndex((node) => node.id === id)}`) })
  }
  return heard
}

const ids = (node: FleetRigNode | undefined) => node!.sockets.nodes.map(({ id }) => id)

test('every node sees all nodes within a beat', async () => {
  const { nodes } = await createFleet(3)
  const all = nodes.map(({ id }) => id).sort()
  for (const node of nodes) {
    assert.deepEqual(ids(node), all)
    assert.deepEqual(node.sockets.nodes.filter(({ self }) => self).map(({ id }) => id), [node.id])
    assert.equal(node.sockets.state, 'up')
  }
})

test('a node says its state, its connections, what it can take and its version', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2, { drain: { reconnect: { rate: 70 } } })
  b!.open()
  b!.open()
  await clock.run(4_000)
  const { id, ...seen } = a!.sockets.nodes.find(({ self }) => !self)!
  assert.deepEqual([id, seen], [b!.id, { state: 'running', connections: 2, expected: 2, capacity: 70, booked: null, version: '0.1.0', self: false, lastSeen: seen.lastSeen }])
  assert.ok(seen.lastSeen >= 0 && seen.lastSeen <= 2_000)
})

test('the time since the last beat of a node grows between beats', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  b!.kill()
  const before = a!.sockets.nodes.find(({ self }) => !self)!.lastSeen
  clock.tick(700)
  assert.equal(a!.sockets.nodes.find(({ self }) => !self)!.lastSeen, before + 700)
  assert.equal(a!.sockets.nodes.find(({ self }) => self)!.lastSeen, 0)
})

test('a node that joins is told to the others, and it is told of none', async () => {
  const { clock, nodes, add } = await createFleet(2)
  const heard = nodes.map((node) => listen(node, nodes))
  const c = await add()
  const own = listen(c, nodes)
  await clock.run(4_000)
  assert.deepEqual([...heard, own], [['joined 2'], ['joined 2'], []])
  assert.equal(nodes[0]!.messages('info').filter((line) => line === 'fleet: nodes have joined').length, 2)
})

test('a node that joins is seen by the others at once', async () => {
  const { clock, nodes, add } = await createFleet(3)
  await clock.run(1_000)
  const start = clock.now()
  const d = await add()
  await clock.run(10)
  for (const node of nodes) assert.deepEqual(ids(node), nodes.map(({ id }) => id).sort())
  d.open()
  const counted = nodes[0]!.sockets.count()
  await clock.flush()
  assert.deepEqual([await counted, clock.now() - start], [{ value: 1, complete: true, missing: [] }, 10])
})

test('nodes join an engine that has lost all it knew together, when the first of them notices', async () => {
  const { clock, memory, nodes } = await createFleet(5)
  memory.clear()
  const before = memory.size
  while (memory.size === before) await clock.run(10)
  await clock.run(260)
  for (const { messages } of nodes) assert.equal(messages('info').filter((line) => line === 'fleet: this node has joined').length, 2)
})

test('a node that closes has left, at once', async () => {
  const { clock, memory, nodes } = await createFleet(3)
  const heard = nodes.map((node) => listen(node, nodes))
  await Promise.all([nodes[2]!.fleet.close(), clock.flush()])
  assert.deepEqual(heard, [['left 2'], ['left 2'], []])
  await clock.run(20_000)
  assert.deepEqual(heard, [['left 2'], ['left 2'], []])
  assert.deepEqual(ids(nodes[0]), [nodes[0]!.id, nodes[1]!.id].sort())
  await Promise.all([nodes[0]!.fleet.close(), nodes[1]!.fleet.close(), clock.flush()])
  assert.deepEqual([memory.size, clock.pendingTimers], [0, 0])
})

test('a node whose last message is lost has left, by its lease', async () => {
  const { clock, nodes } = await createFleet(3)
  const heard = nodes.map((node) => listen(node, nodes))
  Object.assign(nodes[2]!.faulty, { fault: 'refuse', only: ['send'] })
  await clock.run(500)
  await Promise.all([nodes[2]!.fleet.close(), clock.flush()])
  assert.deepEqual(heard.flat(), [])
  await clock.run(2_000)
  assert.deepEqual(heard, [['left 2'], ['left 2'], []])
  await clock.run(20_000)
  assert.deepEqual(heard, [['left 2'], ['left 2'], []])
})

test('a beat that is under way while a node leaves does not bring it back', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  const heard = listen(a!, [a!, b!])
  // The engine answers before b leaves; the answer arrives after that.
  a!.faulty.lag = 100
  const before = a!.faulty.calls.length
  while (a!.faulty.calls.length === before) await clock.run(10)
  await Promise.all([b!.fleet.close(), clock.flush()])
  assert.deepEqual(heard, ['left 1'])
  await clock.run(10_000)
  assert.deepEqual(heard, ['left 1'])
})

test('a killed node is lost within its lease and a beat, once for each node', async () => {
  const { clock, nodes } = await createFleet(4)
  const heard = nodes.map((node) => listen(node, nodes))
  nodes[3]!.kill()
  await clock.run(8_000)
  assert.deepEqual(heard.slice(0, 3), [['lost 3'], ['lost 3'], ['lost 3']])
  assert.deepEqual(ids(nodes[0]).length, 3)
  assert.ok(nodes[0]!.messages('warn').includes('fleet: nodes are lost: their leases have ended'))
  await clock.run(20_000)
  assert.deepEqual(heard[0], ['lost 3'])
})

test('a node that was frozen for longer than its lease joins anew under the same id', async () => {
  const { clock, nodes } = await createFleet(3)
  const [a, , c] = nodes
  const heard = nodes.map((node) => listen(node, nodes))
  c!.faulty.fault = 'hang'
  await clock.run(10_000)
  assert.deepEqual(heard[0], ['lost 2'])
  c!.faulty.fault = 'none'
  await clock.run(6_000)
  assert.deepEqual(heard, [['lost 2', 'joined 2'], ['lost 2', 'joined 2'], []])
  assert.deepEqual(ids(c), ids(a))
  assert.equal(c!.messages('info').filter((line) => line === 'fleet: this node has joined').length, 2)
})

test('an engine that has lost all it knew costs no node its place', async () => {
  const { clock, memory, nodes } = await createFleet(5)
  const heard = nodes.map((node) => listen(node, nodes))
  const before = ids(nodes[0])
  memory.clear()
  for (let time = 0; time < 12_000; time += 250) {
    await clock.run(250)
    for (const node of nodes) assert.deepEqual(ids(node), before, `after ${time} ms`)
  }
  assert.deepEqual(heard.flat(), [])
})

test('after an outage longer than the leases no node is taken for lost that beats again', async () => {
  const { clock, nodes } = await createFleet(5)
  const heard = nodes.map((node) => listen(node, nodes))
  const before = ids(nodes[0])
  for (const { faulty } of nodes) faulty.fault = 'hang'
  await clock.run(30_000)
  assert.deepEqual(nodes.map(({ sockets }) => sockets.state), ['down', 'down', 'down', 'down', 'down'])
  for (const { faulty } of nodes) faulty.fault = 'none'
  await clock.run(12_000)
  assert.deepEqual(nodes.map(({ sockets }) => sockets.state), ['up', 'up', 'up', 'up', 'up'])
  for (const node of nodes) assert.deepEqual(ids(node), before)
  assert.deepEqual(heard.flat(), [])
})

test('a node that was lost in an outage is out of the view within two beats after it', async () => {
  const { clock, nodes } = await createFleet(3)
  const heard = listen(nodes[0]!, nodes)
  for (const { faulty } of nodes) faulty.fault = 'hang'
  await clock.run(30_000)
  for (const { faulty } of nodes.slice(0, 2)) faulty.fault = 'none'
  await clock.run(8_000)
  assert.deepEqual(heard, ['lost 2'])
})

test('a node that no longer hears its own messages listens anew', async () => {
  const { clock, nodes: [a] } = await createFleet(1)
  assert.deepEqual(a!.faulty.calls.filter((call) => call === 'listen'), ['listen'])
  await clock.run(10_000)
  assert.deepEqual(a!.faulty.calls.filter((call) => call === 'listen'), ['listen'])
  a!.faulty.deaf = true
  await clock.run(2_000)
  a!.faulty.deaf = false
  await clock.run(10_000)
  assert.deepEqual(a!.faulty.calls.filter((call) => call === 'listen'), ['listen', 'listen'])
})

test('a node whose engine answers slowly, or refuses its messages, goes on listening as before', async () => {
  for (const how of [{ lag: 500 }, { fault: 'refuse', only: ['send'] }] as const) {
    const { clock, nodes: [a] } = await createFleet(1)
    Object.assign(a!.faulty, how)
    await clock.run(20_000)
    assert.deepEqual(a!.faulty.calls.filter((call) => call === 'listen'), ['listen'])
  }
})

test('listening that has failed is tried with each beat', async () => {
  const clock = new FakeClock()
  const node = makeNode(new MemoryFleet(clock), clock)
  Object.assign(node.faulty, { fault: 'refuse', only: ['listen'] })
  void node.fleet.fleet.start()
  await clock.run(6_100)
  assert.ok(node.faulty.calls.filter((call) => call === 'listen').length >= 3)
  assert.equal(node.sockets.state, 'up')
  node.faulty.fault = 'none'
  await clock.run(2_000)
  node.faulty.calls.length = 0
  await clock.run(10_000)
  assert.ok(!node.faulty.calls.includes('listen'))
})

test('what a node says that cannot be read leaves it in the view', async () => {
  const { clock, memory, nodes: [a] } = await createFleet(1)
  for (const [id, info] of [['text', 'hello'], ['number', '1'], ['long', ' '.repeat(20_000)], ['odd', '{"state":1,"connections":-1,"version":{}}']] as const) {
    memory.beat(id, { info, capacity: 5, lease: 60_000, settled: [], away: 0 })
  }
  await clock.run(2_000)
  const others = a!.sockets.nodes.filter(({ self }) => !self)
  assert.deepEqual(others.map(({ state, connections, capacity, version }) => [state, connections, capacity, version]), others.map(() => ['running', 0, 5, 'unknown']))
  assert.equal(others.length, 4)
})

test('two nodes of one process and one moment have different ids', () => {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const made = Array.from({ length: 100 }, () => makeNode(memory, clock).id)
  assert.equal(new Set(made).size, 100)
  assert.match(made[0]!, new RegExp(`-${process.pid}-[0-9a-f]{8}$`))
})

test('while it drains, a node can take no client, and says so at once', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  b!.open({ peer: 'silent' })
  await clock.run(2_000)
  const drained = b!.tracker.drain()
  await clock.run(300)
  // The view of a is as old as its last beat.
  await clock.run(2_000)
  assert.deepEqual(a!.sockets.nodes.filter(({ self }) => !self).map(({ state, capacity }) => [state, capacity]), [['draining', 0]])
  await clock.run(10_000)
  await drained
})

test('beats that are asked for come at once, and never two within 250 ms', async () => {
  const { clock, nodes: [a] } = await createFleet(1)
  const beats = () => a!.faulty.calls.filter((call) => call === 'beat').length
  await clock.run(1_000)
  const before = beats()
  for (let i = 0; i < 20; i++) {
    a!.fleet.fleet.draining()
    await clock.run(50)
  }
  assert.ok(beats() - before >= 4 && beats() - before <= 5, `${beats() - before}`)
})
