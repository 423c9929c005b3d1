/**
 * Orders to all nodes: carried out once on each, by nodes that are slow, frozen or cut off too, and told as they are.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Answer, FleetCore } from '../../lib/fleet/core.ts'
import type { Pulse } from '../../lib/fleet/engine.ts'
import { writeMessage } from '../../lib/fleet/messages.ts'
import { FleetOrders } from '../../lib/fleet/orders.ts'
import type { AuditRecord, LifecycleOptions } from '../../lib/index.ts'
import { seeded } from '../helpers/drain-rig.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import type { Pair } from '../helpers/fake-host.ts'
import { createFleet } from '../helpers/fleet-rig.ts'
import type { FleetRig, FleetRigNode } from '../helpers/fleet-rig.ts'
import { asksOf, MOVED } from '../helpers/mover.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

interface Setup extends FleetRig {
  node: FleetRigNode
  other: FleetRigNode
  third: FleetRigNode
  /** Acts of each node, without their time. */
  acts: Array<Array<Omit<AuditRecord, 'at'>>>
  /** Takes what was told so far. */
  told (): Setup['acts']
}

async function setup (options: LifecycleOptions = {}): Promise<Setup> {
  const fleet = await createFleet(3, { heartbeat: false, backpressure: false, ...options })
  const [node, other, third] = fleet.nodes as [FleetRigNode, FleetRigNode, FleetRigNode]
  const acts = fleet.nodes.map(({ tracker }) => {
    const told: Array<Omit<AuditRecord, 'at'>> = []
    tracker.on('audit', ({ at: _at, ...act }) => { told.push(act) })
    return told
  })
  return { ...fleet, node, other, third, acts, told: () => acts.map((told) => told.splice(0)) }
}

/** Starts a call, lets time pass, and returns its result. */
async function after<T> ({ clock }: FleetRig, time: number, promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  await clock.run(time)
  return await promise
}

/** A connection whose client can move. */
function movable ({ accept, moves, tracker }: FleetRigNode, owner?: string): Pair {
  const pair = accept({ peer: 'answers', ...owner !== undefined && { owner } })
  moves.offered(pair.connection)
  tracker.opened(pair.connection)
  return pair
}

test('a disconnect closes the connections that match on every node, and tells who has asked', async () => {
  const fleet = await setup()
  const { node, other, third } = fleet
  const pairs = [node.open({ owner: 'ann' }), other.open({ owner: 'ann' }), other.open({ owner: 'ann' }), third.open({ owner: 'bob' })]
  const answer = await after(fleet, 0, node.sockets.disconnect({ owner: 'ann' }, { code: 4003, reason: 'banned', by: 'eve', why: 'spam' }))
  assert.deepEqual(answer, { value: 3, complete: true, missing: [] })
  assert.deepEqual(pairs.map(({ socket }) => socket.closeFrame), [{ code: 4003, reason: 'banned' }, { code: 4003, reason: 'banned' }, { code: 4003, reason: 'banned' }, undefined])
  const act = { action: 'disconnect', by: 'eve', why: 'spam', target: { owner: 'ann' }, outcome: 'done' }
  // The node that has no such connection tells nothing.
  assert.deepEqual(fleet.told(), [[{ ...act, connections: 3 }], [{ ...act, connections: 2, from: node.id }], []])
  const [record] = other.tracker.history
  assert.deepEqual([record!.cause, record!.by, record!.why], ['disconnected', 'eve', 'spam'])
  assert.equal(record!.reason, 'banned')
})

test('one connection of another node is closed by its node and its id, and no other node is asked', async () => {
  const fleet = await setup()
  const { node, other, third } = fleet
  const { connection, socket } = other.open()
  const same = third.open()
  third.kill()
  const target = { node: other.id, id: connection.id }
  assert.deepEqual(await after(fleet, 0, node.sockets.disconnect(target, { by: 'eve' })), { value: 1, complete: true, missing: [] })
  assert.deepEqual([socket.closeFrame?.code, same.connection.state], [3003, 'open'])
  const act = { action: 'disconnect', by: 'eve', target, outcome: 'done', connections: 1 }
  assert.deepEqual(fleet.told(), [[act], [{ ...act, from: node.id }], []])
  assert.equal((await after(fleet, 0, node.sockets.move(target))).value, 0)
})

test('an order to one node that is frozen waits for it alone', async () => {
  const fleet = await setup()
  const { node, other, third } = fleet
  const { connection, socket } = other.open()
  Object.assign(other.faulty, { fault: 'hang', deaf: true })
  const { value, missing } = await after(fleet, 300, node.sockets.disconnect({ node: other.id, id: connection.id }))
  assert.deepEqual([value, missing.map(({ node: id }) => id)], [0, [other.id]])
  Object.assign(other.faulty, { fault: 'none', deaf: false })
  await fleet.clock.run(4_000)
  assert.equal(socket.closeFrame?.code, 3003)
  assert.deepEqual([node, other, third].map(({ tracker }) => tracker.stats().fleet!.orders), [{ waiting: 0, done: 0 }, { waiting: 0, done: 1 }, { waiting: 0, done: 0 }])
})

test('by default a disconnect is 3003, and connections that close already do not count', async () => {
  const fleet = await setup()
  const { node, other } = fleet
  const { socket } = other.open({ peer: 'stuck' })
  const closing = other.open({ peer: 'stuck' })
  closing.connection.end('application', 1000, '')
  assert.equal((await after(fleet, 0, node.sockets.disconnect('all'))).value, 1)
  assert.deepEqual(socket.closeFrame, { code: 3003, reason: '' })
  assert.deepEqual(fleet.told()[0], [{ action: 'disconnect', target: 'all', outcome: 'done', connections: 1 }])
})

for (const [what, call, code, act] of [
  ['an empty filter', ({ sockets }) => sockets.disconnect({}), 'SOCKETS_ERR_INVALID_FILTER', { action: 'disconnect', target: {} }],
  ['a function', ({ sockets }) => sockets.disconnect({ where: () => true } as never, { by: 'eve' }), 'SOCKETS_ERR_INVALID_FILTER', { action: 'disconnect', by: 'eve', target: { where: 'a function' } }],
  ['a code that must not be sent', ({ sockets }) => sockets.disconnect('all', { code: 1006 }), 'SOCKETS_ERR_INVALID_CLOSE_CODE', { action: 'disconnect', target: 'all' }],
  ['a reason that is no text', ({ sockets }) => sockets.disconnect('all', { reason: 1 as never }), 'SOCKETS_ERR_INVALID_ARGUMENT', { action: 'disconnect', target: 'all' }],
  ['a bare code', ({ sockets }) => sockets.disconnect('all', 3003 as never), 'SOCKETS_ERR_INVALID_ARGUMENT', { action: 'disconnect', target: 'all' }],
  ['a name that is no text', ({ sockets }) => sockets.move('all', { by: 1 as never }), 'SOCKETS_ERR_INVALID_ARGUMENT', { action: 'move', target: 'all' }],
  ['an id', ({ sockets }) => sockets.move({ id: 1 } as never), 'SOCKETS_ERR_INVALID_FILTER', { action: 'move', target: { id: 1 } }],
  ['no fraction', ({ sockets }) => sockets.drain({} as never), 'SOCKETS_ERR_INVALID_ARGUMENT', { action: 'drain', target: { fraction: 'undefined' } }],
  ['nothing', ({ sockets }) => sockets.drain(undefined as never), 'SOCKETS_ERR_INVALID_ARGUMENT', { action: 'drain', target: 'undefined' }],
  ['a fraction of 0', ({ sockets }) => sockets.drain({ fraction: 0 }), 'SOCKETS_ERR_INVALID_ARGUMENT', { action: 'drain', target: { fraction: 0 } }],
  ['a percentage', ({ sockets }) => sockets.drain({ fraction: 10, why: 'x' }), 'SOCKETS_ERR_INVALID_ARGUMENT', { action: 'drain', why: 'x', target: { fraction: 10 } }]
] as Array<[string, (node: FleetRigNode) => Promise<unknown>, string, object]>) {
  test(`a wrong order is given to no node, and told: ${what}`, async () => {
    const fleet = await setup()
    const { node, other } = fleet
    const { connection } = node.open()
    other.faulty.calls.length = 0
    await assert.rejects(call(node), { code })
    assert.deepEqual(fleet.told(), [[{ ...act, outcome: 'failed', connections: 0, error: code }], [], []])
    assert.equal(connection.state, 'open')
  })
}

test('while the engine does not answer, an order is refused, and carried out nowhere', async () => {
  const fleet = await setup()
  const { node, other } = fleet
  const connections = [node.open(), other.open()].map(({ connection }) => connection)
  node.faulty.fault = 'refuse'
  await fleet.clock.run(3_000)
  await assert.rejects(after(fleet, 1_000, node.sockets.disconnect('all')), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE' })
  node.faulty.fault = 'none'
  await fleet.clock.run(10_000)
  assert.deepEqual(connections.map(({ state }) => state), ['open', 'open'])
  assert.deepEqual(fleet.told()[0], [{ action: 'disconnect', target: 'all', outcome: 'failed', connections: 0, error: 'SOCKETS_ERR_FLEET_UNAVAILABLE' }])
})

test('a node that does not answer is named, and carries the order out when it is heard again', async () => {
  const fleet = await setup()
  const { node, other, clock } = fleet
  const mine = node.open({ owner: 'ann', peer: 'answers' })
  const { connection } = other.open({ owner: 'ann', peer: 'answers' })
  other.faulty.deaf = true
  other.faulty.fault = 'hang'
  const answer = await after(fleet, 300, node.sockets.disconnect({ owner: 'ann' }))
  assert.equal(answer.value, 1)
  assert.deepEqual(answer.missing.map(({ node: id, state }) => [id, state]), [[other.id, 'silent']])
  assert.equal(answer.complete, false)
  assert.deepEqual(fleet.told()[0], [{ action: 'disconnect', target: { owner: 'ann' }, outcome: 'done', connections: 1, missing: 1 }])
  assert.equal(mine.connection.state, 'closed')
  await clock.run(5_000)
  assert.equal(connection.state, 'open')
  other.faulty.deaf = false
  other.faulty.fault = 'none'
  // A call that hangs is given up after 2 seconds.
  await clock.run(4_000)
  assert.equal(connection.state, 'closed')
  assert.deepEqual(fleet.told()[1], [{ action: 'disconnect', target: { owner: 'ann' }, outcome: 'done', connections: 1, from: node.id }])
  // Once: a client that has come back stays.
  const back = other.open({ owner: 'ann' })
  await clock.run(30_000)
  assert.equal(back.connection.state, 'open')
})

test('a node that is back after its lease has ended carries the order out', async () => {
  const fleet = await setup()
  const { node, other, clock } = fleet
  const { connection } = other.open({ owner: 'ann', peer: 'answers' })
  other.kill()
  const { missing } = await after(fleet, 300, node.sockets.disconnect({ owner: 'ann' }))
  assert.deepEqual(missing.map((each) => each.node), [other.id])
  await clock.run(60_000)
  assert.equal(node.sockets.nodes.length, 2)
  assert.equal(connection.state, 'open')
  other.thaw()
  await clock.run(10_000)
  assert.equal(connection.state, 'closed')
  assert.equal(await putWithin(fleet, 4_000), 0)
})

test('an order is kept for 10 minutes', async () => {
  const fleet = await setup()
  const { node, other, clock } = fleet
  const { connection } = other.open({ owner: 'ann', peer: 'answers' })
  other.kill()
  await after(fleet, 300, node.sockets.disconnect({ owner: 'ann' }))
  await clock.run(603_000)
  other.thaw()
  await clock.run(10_000)
  assert.equal(node.sockets.nodes.length, 3)
  assert.equal(connection.state, 'open')
  assert.equal(await putWithin(fleet, 4_000), 0)
})

test('a node that leaves is not waited for any longer', async () => {
  const fleet = await setup()
  const { node, other } = fleet
  other.faulty.fault = 'hang'
  other.faulty.only = ['beat']
  await fleet.clock.run(1_900)
  other.faulty.deaf = true
  await after(fleet, 300, node.sockets.disconnect({ owner: 'ann' }))
  assert.ok(await putWithin(fleet, 3_000) > 0)
  await after(fleet, 1_000, other.fleet.close())
  assert.equal(await putWithin(fleet, 4_000), 0)
})

test('a node that the engine does not know for a moment gets the order all the same', async () => {
  const fleet = await setup()
  const { node, other, memory, clock } = fleet
  const heard: string[] = []
  for (const event of ['left', 'joined'] as const) node.sockets.on(event, ({ id }) => { if (id === other.id) heard.push(event) })
  const pairs = [1, 2].map(() => other.open({ peer: 'answers' }))
  const [first, second] = pairs.map(({ connection }) => ({ node: other.id, id: connection.id }))
  await clock.run(4_000)
  // A beat does not show it, while one order is kept for it and another one under way.
  other.faulty.fault = 'hang'
  await after(fleet, 600, node.sockets.disconnect(first!))
  const answer = node.sockets.disconnect(second!)
  memory.leave(other.id)
  node.fleet.fleet.draining()
  await clock.run(100)
  assert.deepEqual(heard, ['left'])
  assert.deepEqual((await after(fleet, 300, answer)).missing.map(({ node: id }) => id), [other.id])
  other.faulty.fault = 'none'
  await clock.run(6_000)
  assert.deepEqual(heard, ['left', 'joined'])
  assert.deepEqual(pairs.map(({ connection }) => connection.state), ['closed', 'closed'])
  assert.equal(await putWithin(fleet, 4_000), 0)
})

test('an engine that fails while the nodes are asked: the order is kept, and all others are missing', async () => {
  const fleet = await setup()
  const { node, other, third, clock } = fleet
  const pairs = [node, other, third].map((each) => each.open({ owner: 'ann', peer: 'answers' }))
  node.faulty.fault = 'hang'
  const { value, complete, missing } = await after(fleet, 300, node.sockets.disconnect({ owner: 'ann' }))
  assert.deepEqual([value, complete, missing.map(({ state }) => state)], [1, false, ['silent', 'silent']])
  assert.deepEqual(pairs.map(({ connection }) => connection.state), ['closed', 'open', 'open'])
  node.faulty.fault = 'none'
  await clock.run(6_000)
  assert.deepEqual(pairs.map(({ connection }) => connection.state), ['closed', 'closed', 'closed'])
  assert.equal(await putWithin(fleet, 4_000), 0)
})

test('an engine that fails while another node is asked: that node may have heard; the order is kept for it, and carried out once', async () => {
  const fleet = await setup()
  const { node, other, clock } = fleet
  const { connection } = other.open({ owner: 'ann', peer: 'answers' })
  node.faulty.fault = 'hang'
  const { value, complete, missing } = await after(fleet, 300, node.sockets.disconnect({ node: other.id }))
  assert.deepEqual([value, complete, missing.map((each) => [each.node, each.state])], [0, false, [[other.id, 'silent']]])
  assert.equal(connection.state, 'open')
  // Known to be down, it is asked no more.
  await assert.rejects(node.sockets.disconnect({ node: other.id }), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE' })
  node.faulty.fault = 'none'
  await clock.run(6_000)
  assert.equal(connection.state, 'closed')
  assert.equal(await putWithin(fleet, 4_000), 0)
})

test('an engine that fails in the turn of the call: the order is kept for this node, too, and carried out once', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  const { connection } = node.open({ owner: 'ann', peer: 'answers' })
  node.faulty.fault = 'refuse'
  let answer: Promise<Answer<number>> | undefined
  // The beat is refused after the order was given, and before the nodes are asked.
  node.faulty.calls.push = (name) => {
    if (name === 'beat') queueMicrotask(() => { answer ??= node.sockets.disconnect({ owner: 'ann' }) })
    return 0
  }
  await clock.run(2_300)
  const { value, complete, missing } = await after(fleet, 300, answer!)
  assert.deepEqual([value, complete, missing.length, connection.state], [0, false, 3, 'open'])
  node.faulty.fault = 'none'
  await clock.run(6_000)
  assert.equal(connection.state, 'closed')
  const back = node.open({ owner: 'ann' })
  await clock.run(30_000)
  assert.equal(back.connection.state, 'open')
})

test('an order that was carried out before an outage of 15 minutes, and still is in the inbox after it, is not carried out again', async () => {
  const fleet = await setup()
  const { node, other, third, clock } = fleet
  for (let i = 0; i < 8; i++) other.open()
  await clock.run(2_000)
  // The order arrives; its answer does not.
  other.faulty.fault = 'refuse'
  other.faulty.only = ['send', 'beat']
  const { value, missing } = await after(fleet, 1_000, node.sockets.drain({ fraction: 0.5 }))
  assert.deepEqual([value, missing.map((each) => each.node)], [0, [other.id]])
  await clock.run(1_000)
  other.faulty.only = null
  for (const { faulty } of [node, third]) faulty.fault = 'refuse'
  await clock.run(1_000_000)
  assert.deepEqual([fleet.told()[1]!.length, other.tracker.size], [1, 4])
  for (const { faulty } of fleet.nodes) faulty.fault = 'none'
  await clock.run(10_000)
  assert.deepEqual([fleet.told()[1], other.tracker.size], [[], 4])
})

/** Counts the orders that nodes put into inboxes within a time. */
async function putWithin ({ nodes, clock }: FleetRig, time: number): Promise<number> {
  for (const { faulty } of nodes) faulty.calls.length = 0
  await clock.run(time)
  return nodes.flatMap(({ faulty }) => faulty.calls).filter((name) => name === 'order').length
}

test('10,000 of 10,000 orders are carried out once, although messages get lost and the engine is emptied and gone in between', async () => {
  const fleet = await setup()
  const { node, other, third, memory, clock } = fleet
  const random = seeded(3)
  const closed = new Map<string, number>()
  const open = (at: FleetRigNode, owner: string): void => {
    const { connection } = at.open({ owner, peer: 'answers' })
    connection.defer(() => {
      closed.set(owner, (closed.get(owner) ?? 0) + 1)
      // The client comes back: an order that is carried out twice closes this connection.
      open(at, owner)
    })
  }
  const owners = Array.from({ length: 10_000 }, (_, i) => `owner ${i}`)
  owners.forEach((owner, i) => { open(i % 2 === 0 ? other : third, owner) })
  await clock.run(4_000)
  const { send } = memory
  let lost = 0
  memory.send = (nodes, message) => {
    if (/"type":"(ask|answer|orders|done)"/.test(message) && random() < 0.1) lost++
    else send.call(memory, nodes, message)
  }
  const results = { complete: 0, uncertain: 0, refused: 0 }
  const give = async (owner: string, i: number): Promise<void> => {
    const at = i % 2 === 0 ? other : third
    try {
      const { value, complete, missing } = await node.sockets.disconnect({ owner })
      results[complete ? 'complete' : 'uncertain']++
      // What is told is true: it is closed, or the node that has it is missing.
      if (value === 1) assert.equal(closed.get(owner), 1)
      else assert.ok(value === 0 && missing.some((each) => each.node === at.id))
    } catch (error) {
      assert.equal((error as { code: string }).code, 'SOCKETS_ERR_FLEET_UNAVAILABLE')
      results.refused++
      clock.setTimeout(() => { void give(owner, i) }, 1_000)
    }
  }
  for (let i = 0; i < owners.length; i += 200) {
    for (let j = i; j < i + 200; j++) void give(owners[j]!, j)
    if (i % 2_600 === 0) memory.clear()
    if (i === 5_000) for (const { faulty } of fleet.nodes) faulty.fault = 'refuse'
    if (i === 6_000) for (const { faulty } of fleet.nodes) faulty.fault = 'none'
    await clock.run(400)
  }
  await clock.run(60_000)
  assert.deepEqual([closed.size, [...closed.values()].filter((times) => times !== 1)], [10_000, []])
  assert.ok(lost > 1_000 && results.uncertain > 100 && results.refused > 100, JSON.stringify({ lost, ...results }))
  assert.equal(results.complete + results.uncertain, 10_000)
  assert.equal(await putWithin(fleet, 4_000), 0)
})

test('what is no order is ignored and counted, wherever it comes from', async () => {
  const fleet = await setup()
  const { node, memory, clock } = fleet
  const { connection } = node.open({ owner: 'ann' })
  const order = { act: 'disconnect', filter: { owner: 'ann' }, code: 3003, reason: '' }
  const bad = [null, {}, { id: 'x', from: 'y' }, { id: 1, from: 'y', order }, { id: 'x', from: 'y'.repeat(300), order }, { id: 'x', from: 'y', order: { ...order, act: 'format' } },
    { id: 'x', from: 'y', order: { ...order, filter: { id: connection.id } } }, { id: 'x', from: 'y', order: { ...order, code: 1006 } }, { id: 'x', from: 'y', order: { act: 'drain', fraction: 7 } },
    { id: 'x', from: 'y', order: { ...order, reason: 1 } }, { id: 'other', from: 'y', order }]
  const { ignored } = node.sockets
  for (const body of bad) memory.send([node.id], JSON.stringify({ v: 1, type: 'ask', from: 'y', body: { id: 1, type: 'order', body: body?.id === 'other' ? null : body } }))
  await clock.flush()
  assert.equal(node.sockets.ignored, ignored + bad.length)
  bad.forEach((body, i) => { memory.order(node.id, body?.id === 'other' ? 'x' : `${i}`, JSON.stringify({ v: 1, type: 'order', from: 'y', body }), '') })
  memory.order(node.id, 'text', 'no JSON', '')
  memory.order(node.id, 'version', JSON.stringify({ v: 2, type: 'order', from: 'y', body: { id: 'version', from: 'y', order } }), '')
  await clock.run(4_000)
  assert.equal(connection.state, 'open')
  // The notices were no messages either.
  assert.equal(node.sockets.ignored, ignored + 3 * bad.length + 4)
  // And they leave the inbox.
  await clock.run(4_000)
  assert.equal(node.sockets.ignored, ignored + 3 * bad.length + 4)
})

test('the orders that are kept, and the ids of those that were carried out, are bounded; both are forgotten in time', async () => {
  const clock = new FakeClock()
  let carriedOut = 0
  const missing = [{ node: 'x', state: 'silent', lastSeen: 0 }]
  const core = {
    node: 'n',
    clock,
    nodes: new Map([['x', {}]]),
    up: true,
    engine: { order: () => Promise.resolve() },
    registry: {
      select: () => {
        carriedOut++
        return []
      }
    },
    ready: () => Promise.resolve(),
    ask: () => Promise.resolve({ answers: new Map([['n', { connections: 0 }]]), missing }),
    send: () => Promise.resolve(),
    audit: () => {}
  }
  const orders = new FleetOrders(core as unknown as FleetCore, { reconnectCeiling: Infinity })
  for (let i = 0; i < 16_384; i++) await orders.move('all')
  assert.equal(orders.waiting, 16_384)
  await assert.rejects(orders.move('all'), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE', message: /16384 orders wait/ })
  // Those for a node that has crashed make room for others.
  core.nodes.delete('x')
  await orders.move('all')
  assert.equal(orders.waiting, 16_384)

  const pulse = (from: number, to: number): Pulse => ({
    now: 0,
    joined: false,
    nodes: [],
    lost: [],
    offline: [],
    orders: Array.from({ length: to - from }, (_, i) => {
      const id = `${from + i}`
      return [id, writeMessage('order', 'x', { id, from: 'x', order: { act: 'move', filter: 'all' } })] as const
    })
  })
  /** Number of orders that are carried out with a beat: those whose ids are not kept. */
  const carriesOut = async (from: number, to: number): Promise<number> => {
    const before = carriedOut
    orders.beaten(pulse(from, to))
    await clock.flush()
    return carriedOut - before
  }
  assert.equal(await carriesOut(0, 65_536 + 10), 65_536 + 10)
  assert.deepEqual([await carriesOut(10, 20), orders.settled().length], [0, 4_096])
  while (orders.settled().length > 0) await carriesOut(0, 0)
  clock.pass(600_000)
  assert.deepEqual([await carriesOut(10, 20), orders.waiting], [0, 0])
  assert.equal(await carriesOut(0, 10), 10, 'the oldest ids are not kept')
  clock.pass(300_000)
  assert.equal(await carriesOut(30, 40), 0, 'ids are forgotten after the inbox was read')
  assert.equal(await carriesOut(30, 40), 10)
})

// ——— moving and leaving

test('clients that can are asked to move, at the rate of the fleet; nothing is closed', async () => {
  const fleet = await setup({ drain: { reconnect: { rate: 3 } } })
  const { node, other, clock } = fleet
  const here = Array.from({ length: 3 }, () => movable(node, 'ann'))
  const there = [movable(other, 'ann'), movable(other, 'bob'), other.open({ owner: 'ann' })] as const
  const answer = await after(fleet, 0, node.sockets.move({ owner: 'ann' }, { by: 'eve' }))
  assert.deepEqual(answer, { value: 4, complete: true, missing: [] })
  const asked = () => [...here, ...there].map(({ socket }) => asksOf(socket).length)
  // Three clients a second on all nodes together, and no client that cannot move.
  const sum = () => asked().reduce((sum, count) => sum + count, 0)
  let before = 0
  for (let second = 0; second < 3; second++) {
    await clock.run(1_000)
    assert.ok(sum() - before <= 4, `${sum()}`)
    before = sum()
  }
  assert.deepEqual(asked(), [1, 1, 1, 1, 0, 0])
  here[0]!.socket.peerSends(MOVED)
  await clock.run(30_000)
  assert.deepEqual([...here, ...there].map(({ connection }) => connection.state), ['closed', 'open', 'open', 'open', 'open', 'open'])
  const act = { action: 'move', by: 'eve', target: { owner: 'ann' }, outcome: 'done' }
  assert.deepEqual(fleet.told(), [[{ ...act, connections: 4 }], [{ ...act, connections: 1, from: node.id }], []])
})

test('a part of the connections of every node leaves, in turns: moved, else closed with 1012', async () => {
  const fleet = await setup({ drain: { reconnect: { rate: 300 } } })
  const { node, nodes, clock } = fleet
  for (const each of nodes) for (let i = 0; i < 1_000; i++) each.open({ peer: 'answers' })
  const causes: string[] = []
  for (const { tracker } of nodes) tracker.on('closed', (_connection, { cause, code, reason, by }) => { causes.push(`${cause} ${code} ${reason} ${by}`) })
  const { value, complete } = await after(fleet, 0, node.sockets.drain({ fraction: 0.3, by: 'eve', why: 'too full' }))
  assert.deepEqual([value, complete], [900, true])
  await clock.run(1_000)
  assert.ok(Math.abs(causes.length - 300) <= 9, `${causes.length} in the first second`)
  await clock.run(3_000)
  assert.deepEqual(nodes.map(({ tracker }) => tracker.size), [700, 700, 700])
  assert.deepEqual(new Set(causes), new Set(['rebalance 1012 rebalance eve']))
  const act = { action: 'drain', by: 'eve', why: 'too full', target: { fraction: 0.3 }, outcome: 'done' }
  assert.deepEqual(fleet.told(), [[{ ...act, connections: 900 }], [{ ...act, connections: 300, from: node.id }], [{ ...act, connections: 300, from: node.id }]])
})

test('of few connections as many leave on average', async () => {
  const fleet = await setup({ drain: { reconnect: { rate: 3_000 } } })
  const { node, nodes } = fleet
  let left = 0
  for (let round = 0; round < 200; round++) {
    for (const each of nodes) if (each.tracker.size === 0) each.open({ peer: 'answers' })
    left += (await after(fleet, 1_050, node.sockets.drain({ fraction: 0.25 }))).value
  }
  // 600 connections were asked for a quarter; 6 standard deviations.
  assert.ok(Math.abs(left - 150) < 64, `${left}`)
})

test('a client that has moved in time is not closed; one that has not, or whose work goes on, is after 5 seconds', async () => {
  const fleet = await setup()
  const { node, clock } = fleet
  const [moves, stays] = [movable(node), movable(node)]
  const works = node.open({ peer: 'answers' })
  void works.connection.track(new Promise(() => {}))
  const idle = node.open({ peer: 'answers' })
  await after(fleet, 1_000, node.sockets.drain({ fraction: 1 }))
  assert.deepEqual([moves, stays].map(({ socket }) => asksOf(socket).length), [1, 1])
  moves.socket.peerSends(MOVED)
  await clock.run(3_000)
  assert.deepEqual([moves, stays, works, idle].map(({ connection }) => connection.state), ['closed', 'open', 'open', 'closed'])
  await clock.run(2_000)
  assert.deepEqual([stays, works].map(({ connection }) => connection.state), ['closed', 'closed'])
  const causes = new Map(node.tracker.history.map(({ id, cause }) => [id, cause]))
  assert.deepEqual([moves, stays, works, idle].map(({ connection }) => causes.get(connection.id)), ['moved', 'rebalance', 'rebalance', 'rebalance'])
})

test('connections that leave already are not taken twice, and those that have closed are not kept', async () => {
  const fleet = await setup({ drain: { reconnect: { rate: 3 } } })
  const { node, clock } = fleet
  const { hooks } = node.open({ owner: 'ann' }).connection.host
  node.open({ owner: 'ann' })
  const before = hooks.closing.length
  assert.equal((await after(fleet, 0, node.sockets.drain({ fraction: 1 }))).value, 2)
  assert.equal((await after(fleet, 0, node.sockets.drain({ fraction: 1 }))).value, 0)
  assert.equal(hooks.closing.length, before + 1)
  await after(fleet, 0, node.sockets.disconnect({ owner: 'ann' }))
  assert.equal(hooks.closing.length, before)
  await clock.run(10_000)
  assert.deepEqual(node.tracker.history.map(({ cause }) => cause), ['disconnected', 'disconnected'])
})

test('a node that drains, or whose fleet closes, goes on with its drain alone', async () => {
  const fleet = await setup({ drain: { reconnect: { rate: 3 }, terminationGracePeriod: 30_000 } })
  const { node, other, clock } = fleet
  for (const each of [node, other]) for (let i = 0; i < 5; i++) each.open({ peer: 'answers' })
  await after(fleet, 100, node.sockets.drain({ fraction: 1 }))
  const drained = other.tracker.drain()
  const { connections: { causes } } = await after(fleet, 30_000, drained)
  assert.ok((causes['rebalance'] ?? 0) <= 3 && causes['drain']! >= 2, JSON.stringify(causes))
  await after(fleet, 1_000, node.fleet.close())
  const left = node.tracker.size
  await clock.run(10_000)
  assert.equal(node.tracker.size, left)
})

test('one node alone is a fleet, too', async () => {
  const { open, fleet, clock } = createTracker({ heartbeat: false, backpressure: false })
  const { socket } = open({ owner: 'ann' })
  const answer = fleet.fleet.disconnect({ owner: 'ann' })
  await clock.flush()
  assert.deepEqual(await answer, { value: 1, complete: true, missing: [] })
  assert.deepEqual(socket.closeFrame, { code: 3003, reason: '' })
})

test('a node that has just joined gets orders', async () => {
  const { clock, nodes: [a], add } = await createFleet(1, { heartbeat: false, backpressure: false })
  const b = await add()
  const { connection } = b.open({ owner: 'ann' })
  await clock.run(250)
  const answer = a!.sockets.disconnect({ owner: 'ann' })
  await clock.run(300)
  assert.deepEqual(await answer, { value: 1, complete: true, missing: [] })
  assert.notEqual(connection.state, 'open')
})
