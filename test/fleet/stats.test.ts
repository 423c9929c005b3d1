/**
 * What a node knows of its fleet: `stats().fleet`, without a question to the engine or to other nodes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createFleet, settle } from '../helpers/fleet-rig.ts'
import type { FleetRigNode } from '../helpers/fleet-rig.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

const statsOf = ({ tracker }: FleetRigNode) => tracker.stats().fleet!

test('without the option there are no numbers, and to read them makes no fleet', async () => {
  const { tracker, clock } = createTracker()
  assert.equal(tracker.stats().fleet, null)
  assert.equal(clock.pendingTimers, 0)
  // That application code uses the fleet of one node changes nothing.
  assert.equal(tracker.fleet.nodes.length, 1)
  assert.equal(tracker.stats().fleet, null)
})

test('a node that has not joined is down, and counts itself', () => {
  const { tracker } = createTracker({ drain: { reconnect: { rate: 70 } } }, 'debug', { engine: { handovers: {} } as never })
  assert.deepEqual(tracker.stats().fleet, {
    state: 'down',
    nodes: { running: 1, draining: 0 },
    lost: 0,
    questions: { complete: 0, incomplete: 0, failed: 0 },
    orders: { waiting: 0, done: 0 },
    capacity: 70,
    arrivals: 0,
    ignored: 0
  })
})

test('reading the numbers asks nothing', async () => {
  const { nodes: [a] } = await createFleet(3)
  a!.faulty.calls.length = 0
  assert.deepEqual([statsOf(a!).state, statsOf(a!).nodes], ['up', { running: 3, draining: 0 }])
  assert.deepEqual(a!.faulty.calls, [])
})

test('questions are counted by whether a node was missing, or the engine did not answer', async () => {
  const { clock, nodes: [a, b] } = await createFleet(3)
  await settle(clock, a!.sockets.count())
  b!.kill()
  await settle(clock, a!.sockets.list())
  a!.faulty.fault = 'refuse'
  await assert.rejects(settle(clock, a!.sockets.count()), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE' })
  assert.deepEqual(statsOf(a!).questions, { complete: 1, incomplete: 1, failed: 1 })
})

test('an order is counted by each node that carries it out, and waits on the node that has given it', async () => {
  const { clock, nodes: [a, b, c] } = await createFleet(3)
  c!.faulty.deaf = true
  c!.faulty.fault = 'hang'
  await settle(clock, a!.sockets.disconnect({ owner: '42' }))
  assert.deepEqual([a, b, c].map((node) => statsOf(node!).orders), [{ waiting: 1, done: 1 }, { waiting: 0, done: 1 }, { waiting: 0, done: 0 }])
  c!.faulty.fault = 'none'
  c!.faulty.deaf = false
  await clock.run(4_000)
  assert.deepEqual([a, b, c].map((node) => statsOf(node!).orders), [{ waiting: 0, done: 1 }, { waiting: 0, done: 1 }, { waiting: 0, done: 1 }])
})

test('a node that is lost is counted by one of the others, and a node that leaves by none', async () => {
  const { clock, nodes } = await createFleet(4)
  const [a, b, c, d] = nodes
  void d!.fleet.close()
  await clock.run(10_000)
  assert.deepEqual([a, b, c].map((node) => statsOf(node!).lost), [0, 0, 0])
  c!.kill()
  await clock.run(10_000)
  assert.equal(statsOf(a!).lost + statsOf(b!).lost, 1)
  assert.deepEqual([statsOf(a!).nodes, statsOf(b!).nodes], [{ running: 2, draining: 0 }, { running: 2, draining: 0 }])
})

test('a node that leaves tells the others what it has booked, until its last client has had its turn', async () => {
  const { clock, nodes: [a, b] } = await createFleet(3, { drain: { terminationGracePeriod: 60_000 } })
  for (let i = 0; i < 1_500; i++) b!.open()
  const capacity = b!.tracker.drainCapacity!
  void b!.tracker.drain()
  await clock.run(2_300)
  assert.deepEqual(statsOf(a!).nodes, { running: 2, draining: 1 })
  // 0.8 of what two nodes take, 200 a second each.
  assert.ok(Math.abs(statsOf(a!).arrivals - 320) < 1, `${statsOf(a!).arrivals}`)
  assert.deepEqual([statsOf(b!).capacity, statsOf(a!).capacity], [0, 200])
  const { clients, rate, within } = a!.sockets.nodes.find(({ state }) => state === 'draining')!.booked!
  assert.ok(clients > 500 && clients < 1_500 && Math.abs(rate - 320) < 1 && within > 1_000 && within < 5_000, JSON.stringify({ clients, rate, within }))
  assert.equal(capacity, b!.tracker.plan().capacity)
  await clock.run(5_000)
  assert.equal(statsOf(a!).arrivals, 0)
  assert.deepEqual(a!.sockets.nodes.map(({ booked }) => booked), [null, null, null])
})

test('what a node says it has booked is checked', async () => {
  const { clock, memory, nodes: [a] } = await createFleet(1)
  for (const [index, booked] of [1, 'x', null, {}, { clients: 1, rate: '2', within: 3 }, { clients: -1, rate: 1, within: 9e9 }, { clients: 1, rate: 1e300, within: 9e9 }].entries()) {
    memory.beat(`n${index}`, { info: JSON.stringify({ booked }), capacity: 1, lease: 60_000, settled: [], away: 0 })
  }
  await clock.run(2_000)
  assert.equal(statsOf(a!).arrivals, 1_000_000)
})

test('messages that were ignored are counted', async () => {
  const { clock, memory, nodes: [a] } = await createFleet(1)
  await memory.engine().send([a!.id], 'hello')
  await clock.run(1)
  assert.equal(statsOf(a!).ignored, 1)
})
