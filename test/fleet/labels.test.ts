/**
 * Counts of owners and tags: what a node writes in the engine, when, and what it says about owners who come back.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { CloseCause } from '../../lib/base/close-codes.ts'
import type { FleetCore } from '../../lib/fleet/core.ts'
import type { LabelCount, PresenceChange } from '../../lib/fleet/engine.ts'
import { FleetLabels } from '../../lib/fleet/labels.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import type { Registry } from '../../lib/track/registry.ts'
import type { Pair } from '../helpers/fake-host.ts'
import { createFleet } from '../helpers/fleet-rig.ts'
import type { FleetRig, FleetRigNode } from '../helpers/fleet-rig.ts'
import { MOVED } from '../helpers/mover.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

/** A fleet of two nodes without heartbeat; the first has recorded what it writes. */
async function setup (): Promise<FleetRig & { node: FleetRigNode, other: FleetRigNode, written: LabelCount[][] }> {
  const fleet = await createFleet(2, { heartbeat: false, backpressure: false })
  const [node, other] = fleet.nodes as [FleetRigNode, FleetRigNode]
  const written: LabelCount[][] = []
  const { label } = fleet.memory
  fleet.memory.label = (of, counts) => {
    if (of === node.id) written.push([...counts])
    return label.call(fleet.memory, of, counts)
  }
  return { ...fleet, node, other, written }
}

/** Where an owner or a tag is: node → count, and when it is expected back. */
function find ({ memory }: FleetRig, label: string, kind: LabelCount['kind'] = 'owner') {
  const { nodes, expectedBack } = memory.find(kind, label)
  return { counts: nodes.map(([, count]) => count), expectedBack }
}

/** A connection whose client has offered to move. */
function movable ({ accept, moves, tracker }: FleetRigNode, owner: string): Pair {
  const pair = accept({ owner })
  moves.offered(pair.connection)
  tracker.opened(pair.connection)
  return pair
}

test('owners and tags are counted on every node, until their connections close', async () => {
  const fleet = await setup()
  const { node, other, clock } = fleet
  const first = node.open({ owner: 'ann' })
  const second = node.open({ owner: 'ann' })
  other.open({ owner: 'ann' }).connection.tag('lobby')
  first.connection.tag('lobby', 'vip')
  first.connection.untag('vip')
  second.connection.setOwner('bob')
  await clock.flush()
  assert.deepEqual(find(fleet, 'ann').counts.sort(), [1, 1])
  assert.deepEqual(find(fleet, 'bob').counts, [1])
  assert.deepEqual(find(fleet, 'lobby', 'tag').counts, [1, 1])
  assert.deepEqual(find(fleet, 'vip', 'tag').counts, [])

  first.connection.end('disconnected', 3003, '')
  second.connection.setOwner(undefined)
  // Silent peers: both are still open below.
  await clock.run(100)
  assert.deepEqual(find(fleet, 'ann').counts, [1])
  assert.deepEqual(find(fleet, 'bob').counts, [])
  assert.deepEqual(find(fleet, 'lobby', 'tag').counts, [1])
  first.connection.tag('late')
  first.connection.setOwner('late')
  await clock.run(100)
  assert.deepEqual([find(fleet, 'late', 'tag').counts, find(fleet, 'late').counts], [[], []])
})

test('a client that has moved counts once, and its owner is away if the new connection is not known yet', async () => {
  const fleet = await setup()
  const { node, other, clock } = fleet
  const { connection, socket } = movable(node, 'ann')
  void connection.track(new Promise(() => {}))
  void connection.move()
  socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(connection.state, 'draining')
  assert.deepEqual(find(fleet, 'ann'), { counts: [], expectedBack: 15_000 })
  other.open({ owner: 'ann' })
  await clock.flush()
  connection.end('moved', 1012, 'moved')
  await clock.flush()
  assert.deepEqual(find(fleet, 'ann'), { counts: [1], expectedBack: null })
})

for (const [cause, code, reason, away] of [
  ['drain', 1012, 'service restart; retry=4210', 19_210],
  ['drain', 1012, 'service restart', 15_000],
  ['leave', 1001, 'bye', 15_000],
  ['lifetime', 1012, 'maximum lifetime; retry=1000', 16_000],
  ['rebalance', 1012, 'rebalance', 15_000],
  ['disconnected', 3003, 'retry=4210', null],
  ['expired', 3000, '', null],
  ['application', 1000, 'bye; retry=4210', null]
] as Array<[CloseCause, number, string, number | null]>) {
  test(`the owner of a connection closed with ${code} "${reason}", cause ${cause}, is ${away === null ? 'not expected back' : `expected back within ${away} ms`}`, async () => {
    const fleet = await setup()
    const { connection } = fleet.node.open({ owner: 'ann' })
    await fleet.clock.run(100)
    connection.end(cause, code, reason)
    await fleet.clock.flush()
    assert.deepEqual(find(fleet, 'ann'), { counts: [], expectedBack: away })
  })
}

test('a client that leaves a draining connection is expected back; no longer than that, whatever its reason says', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  for (const [owner, draining] of [['ann', true], ['bob', false]] as const) {
    const { connection, socket } = node.open({ owner })
    if (draining) connection.startDraining()
    socket.peerCloses(1000, 'retry=999999999')
  }
  const gone = node.open({ owner: 'eve' })
  gone.connection.startDraining()
  gone.socket.rawGone()
  const kicked = node.open({ owner: 'mal' })
  kicked.connection.startDraining()
  kicked.connection.end('disconnected', 3003, '')
  await clock.flush()
  assert.equal(find(fleet, 'ann').expectedBack, 15_000)
  assert.equal(find(fleet, 'bob').expectedBack, null)
  assert.equal(find(fleet, 'mal').expectedBack, null)
  await clock.run(1_000)
  assert.ok(find(fleet, 'eve').expectedBack! > 0)
})

test('the longest of several delays counts, and an owner who is back is not away', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  const connections = ['60000', '1000'].map(() => node.open({ owner: 'ann' }).connection)
  await clock.run(100)
  connections[0]!.end('drain', 1012, 'service restart; retry=60000')
  await clock.run(500)
  connections[1]!.end('drain', 1012, 'service restart; retry=1000')
  await clock.flush()
  assert.equal(find(fleet, 'ann').expectedBack, 74_500)
  const { connection } = node.open({ owner: 'ann' })
  await clock.run(100)
  connection.end('application', 1000, '')
  await clock.run(100)
  assert.deepEqual(find(fleet, 'ann'), { counts: [], expectedBack: null })
})

test('the first change is written at once, and those of the next 100 milliseconds together', async () => {
  const { node, clock, written } = await setup()
  node.open({ owner: 'ann' })
  await clock.flush()
  assert.equal(written.length, 1)
  for (let i = 0; i < 9; i++) {
    node.open({ owner: `owner ${i}` })
    await clock.run(10)
  }
  assert.equal(written.length, 1)
  await clock.run(10)
  assert.deepEqual(written.map((counts) => counts.length), [1, 9])
})

test('one call is under way at a time; what changes meanwhile goes out together', async () => {
  const { node, clock, written } = await setup()
  node.faulty.delay = 100
  node.open({ owner: 'a' })
  await clock.flush()
  for (const owner of ['b', 'c', 'b']) node.open({ owner }).connection.tag('lobby')
  await clock.flush()
  assert.equal(node.faulty.calls.filter((name) => name === 'label').length, 1)
  await clock.run(200)
  assert.deepEqual(written, [
    [{ kind: 'owner', label: 'a', count: 1, away: 0 }],
    [{ kind: 'owner', label: 'b', count: 2, away: 0 }, { kind: 'owner', label: 'c', count: 1, away: 0 }, { kind: 'tag', label: 'lobby', count: 3, away: 0 }]
  ])
})

test('a call has 1,000 counts at most', async () => {
  const { node, clock, written } = await setup()
  for (let i = 0; i < 2_300; i++) node.open({ owner: `owner ${i}` })
  await clock.flush()
  assert.deepEqual(written.map((counts) => counts.length), [1_000, 1_000, 300])
})

test('a call that fails is made again after the next beat, and not before', async () => {
  const fleet = await setup()
  const { node, clock, written } = fleet
  const { length } = node.faulty.calls
  while (!node.faulty.calls.includes('beat', length)) await clock.run(1)
  node.faulty.fault = 'refuse'
  node.faulty.only = ['label']
  node.open({ owner: 'ann' })
  await clock.flush()
  const { connection } = node.open({ owner: 'bob' })
  await clock.flush()
  assert.equal(node.faulty.calls.filter((name) => name === 'label').length, 1)
  node.faulty.fault = 'none'
  connection.end('drain', 1012, 'service restart; retry=5000')
  await clock.run(2_000)
  // A node beats 250 ms after a refused call; the time away is that from the close.
  assert.deepEqual(written, [[{ kind: 'owner', label: 'ann', count: 1, away: 0 }, { kind: 'owner', label: 'bob', count: 0, away: 19_750 }]])
})

test('what the engine has lost is written again within two beats, a part in each turn of the event loop', async () => {
  const fleet = await setup()
  const { node, clock, memory, written } = fleet
  for (let i = 0; i < 1_500; i++) node.open({ owner: `owner ${i}` }).connection.tag(`tag ${i % 500}`)
  await clock.flush()
  memory.clear()
  written.length = 0
  await clock.run(4_000)
  assert.deepEqual(written.map((counts) => counts.length), [1_000, 1_000])
  assert.deepEqual(find(fleet, 'owner 1499').counts, [1])
  assert.deepEqual(find(fleet, 'tag 499', 'tag').counts, [3])
})

test('writing all again begins anew after a failed call', async () => {
  const fleet = await setup()
  const { node, clock, memory } = fleet
  for (let i = 0; i < 1_500; i++) node.open({ owner: `owner ${i}` })
  await clock.flush()
  memory.clear()
  let calls = 0
  const { label } = memory
  memory.label = (...args) => {
    // The second call of the rewrite.
    if (args[0] === node.id && ++calls === 2) throw new Error('refused')
    return label.apply(memory, args)
  }
  await clock.run(6_000)
  assert.deepEqual([find(fleet, 'owner 0').counts, find(fleet, 'owner 1499').counts], [[1], [1]])
})

test('owners who are away are so after the engine has lost its data, too', async () => {
  const fleet = await setup()
  const { node, clock, memory } = fleet
  const { connection } = node.open({ owner: 'ann' })
  await clock.flush()
  connection.end('drain', 1012, 'service restart; retry=60000')
  await clock.flush()
  memory.clear()
  await clock.run(4_000)
  assert.equal(find(fleet, 'ann').expectedBack, 71_000)
})

test('a node that drains writes its last counts before it leaves', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  const { connection } = node.open({ owner: 'ann' })
  await clock.flush()
  node.faulty.delay = 50
  connection.end('drain', 1012, 'service restart')
  const closed = node.fleet.close()
  await clock.run(1_000)
  await closed
  assert.deepEqual([...fleet.nodes[1]!.sockets.nodes].map(({ id }) => id), [fleet.nodes[1]!.id])
  assert.deepEqual(find(fleet, 'ann'), { counts: [], expectedBack: 14_050 })
})

test('a node that leaves writes its last counts at once, though the call before was a moment ago', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  const [{ connection }] = [node.open({ owner: 'ann' }), node.open({ owner: 'ben' })]
  await clock.flush()
  connection.end('drain', 1012, 'service restart')
  const before = clock.now()
  const closed = node.fleet.close()
  await clock.flush()
  await closed
  assert.equal(clock.now(), before)
  assert.deepEqual(find(fleet, 'ann'), { counts: [], expectedBack: 15_000 })
  // Offline with the next beat.
  assert.deepEqual(find(fleet, 'ben'), { counts: [], expectedBack: 0 })
})

test('a node that cannot write its last counts does not leave: its owners are away when its lease ends', async () => {
  const fleet = await setup()
  const { node, other, clock } = fleet
  const offline: string[] = []
  other.sockets.on('offline', ({ owner }) => { offline.push(owner) })
  const { connection } = node.open({ owner: 'ann' })
  await clock.flush()
  node.faulty.fault = 'refuse'
  node.faulty.only = ['label']
  connection.end('drain', 1012, 'service restart')
  const closed = node.fleet.close()
  await clock.run(1_000)
  await closed
  assert.ok(!node.faulty.calls.includes('leave'))
  await clock.run(9_000)
  assert.deepEqual(offline, [])
  assert.ok(find(fleet, 'ann').expectedBack! > 10_000)
})

test('without the fleet no connection is counted; one that begins later counts those that are open', async () => {
  const { open, accept, moves, tracker, clock } = createTracker({ heartbeat: false, backpressure: false })
  const { hooks, mover } = open({ owner: 'ann' }).connection.host
  const before = [hooks.ownerSet.length, hooks.closing.length, hooks.moved.length]
  const { connection, socket } = accept({ owner: 'cat' })
  moves.offered(connection)
  tracker.opened(connection)
  void connection.track(new Promise(() => {}))
  void connection.move()
  socket.peerSends(MOVED)
  open({ owner: 'dan', peer: 'stuck' }).connection.end('application', 1000, '')
  open({ owner: 'ann' }).connection.tag('lobby')
  await clock.flush()

  const memory = new MemoryFleet(clock)
  const { registry } = connection.host as unknown as { registry: Registry }
  const core = { node: 'n', clock, registry, hooks, mover, up: true, engine: memory.engine() } as unknown as FleetCore
  memory.beat('n', { info: '', capacity: 1, lease: 6_000, settled: [], away: 0 })
  const told: PresenceChange[] = []
  const labels = new FleetLabels(core, (change) => { told.push(change) })
  assert.deepEqual([hooks.ownerSet.length, hooks.closing.length, hooks.moved.length], before.map((count) => count + 1))
  // One owner, one tag and one connection that has moved; and both counts are to be written.
  assert.equal(labels.size, 5)
  await clock.flush()
  assert.deepEqual(memory.find('owner', 'ann').nodes, [])
  labels.joined()
  await clock.flush()
  assert.deepEqual(told.map(({ online, offline }) => [online, offline]), [[['ann'], []]])
  assert.deepEqual(['ann', 'cat', 'dan'].map((owner) => memory.find('owner', owner).nodes), [[['n', 2]], [], []])
  assert.deepEqual(memory.find('tag', 'lobby').nodes, [['n', 1]])

  for (const each of registry.snapshot()) each.kill('application')
  await clock.run(100)
  assert.equal(labels.size, 0)
  assert.deepEqual([told.at(-1)!.online, told.at(-1)!.offline], [[], ['ann']])
  labels.close()
  assert.deepEqual([hooks.ownerSet.length, hooks.closing.length, hooks.moved.length], before)
})

test('owners and tags that come and go while the engine is away are not kept for it', async () => {
  const { clock, nodes: [node] } = await createFleet(1, { heartbeat: false, backpressure: false })
  node!.faulty.fault = 'refuse'
  await clock.run(4_000)
  for (let i = 0; i < 2_000; i++) {
    const { connection } = node!.open({ owner: `guest-${i}` })
    connection.tag(`tag-${i}`)
    connection.end('application', 1000, '')
  }
  const before = node!.faulty.calls.length
  node!.faulty.fault = 'none'
  await clock.run(6_000)
  assert.deepEqual(node!.faulty.calls.slice(before).filter((name) => name === 'label'), [])
})

test('owners who are away in an outage are forgotten when they are no longer expected', () => {
  const { open, tracker, clock } = createTracker({ heartbeat: false, backpressure: false })
  const { connection } = open({ peer: 'answers' })
  const { hooks, registry } = connection.host as unknown as { hooks: FleetCore['hooks'], registry: Registry }
  const labels = new FleetLabels({ clock, hooks, registry } as unknown as FleetCore, () => {})
  for (let i = 0; i < 4_000; i++) {
    open({ owner: `guest-${i}` }).connection.end('drain', 1012, 'service restart; retry=5000')
    clock.pass(100)
  }
  // 200 of them are expected: what is over is looked for when there are 1,000.
  assert.ok(labels.size <= 2_000, `${labels.size}`)
  assert.equal(tracker.size, 4_001)
})
