import assert from 'node:assert/strict'
import test from 'node:test'
import type { Turns } from '../../lib/fleet/engine.ts'
import { toBooked } from '../../lib/fleet/turns.ts'
import { createFleet } from '../helpers/fleet-rig.ts'
import type { FleetRig } from '../helpers/fleet-rig.ts'

test('turns begin between the question and its answer', () => {
  assert.deepEqual(toBooked({ first: 250, seconds: [20, 80], rate: 80 }, 300, 1_000, 1_010), { begins: 1_305, first: 250, length: 1_000, turns: [20, 80] })
})

test('where no node stays, or has room, there are no turns', () => {
  assert.equal(toBooked({ first: 250, seconds: [], rate: 0 }, 0, 1_000, 1_010), null)
  assert.equal(toBooked({ first: 250, seconds: [0, 0], rate: 80 }, 0, 1_000, 1_010), null)
})

test('an answer of an engine in another shape is no booking', () => {
  const turns = { first: 250, seconds: [20, 80], rate: 80 }
  for (const wrong of [{ first: 0 }, { first: 1_001 }, { first: NaN }, { seconds: 'x' }, { seconds: [NaN] }, { seconds: [-1, 5] }, { seconds: [Infinity] }, { seconds: [1e15] }, { first: 1e-9 }, { seconds: [5e-324] }, { seconds: new Array<number>(2).concat(5) }, { seconds: Array.from({ length: 4_000 }, () => 1) }]) {
    assert.equal(toBooked({ ...turns, ...wrong } as Turns, 0, 1_000, 1_010), null, JSON.stringify(wrong))
  }
})

const POD = { drain: { terminationGracePeriod: 60_000 } }

/** Keeps when close frames go out, and their reasons. */
function frames (rig: FleetRig): Array<{ at: number, reason: string }> {
  const sent: Array<{ at: number, reason: string }> = []
  for (const { transport } of rig.nodes) {
    const { close } = transport
    transport.close = (socket, code, reason) => {
      sent.push({ at: rig.clock.now(), reason })
      close.call(transport, socket, code, reason)
    }
  }
  return sent
}

/** The largest number of moments within a second. */
function busiest (moments: readonly number[]): number {
  return Math.max(...moments.map((moment) => moments.filter((other) => other > moment - 1_000 && other <= moment).length))
}

test('nodes that leave together send their clients back at 0.8 of what the others take', async () => {
  const rig = await createFleet(5, POD)
  const sent = frames(rig)
  const leaving = rig.nodes.slice(0, 2)
  for (const { open } of leaving) for (let i = 0; i < 300; i++) open()
  const began = rig.clock.now()
  const drains = leaving.map(({ tracker }) => tracker.drain())
  await rig.clock.run(5_000)
  await Promise.all(drains)
  assert.equal(sent.length, 600)
  assert.ok(sent.every(({ reason }) => reason === 'service restart; retry=0'))
  // Three nodes take 200 a second each.
  assert.ok(busiest(sent.map(({ at }) => at)) <= 480 + 2, `${busiest(sent.map(({ at }) => at))}`)
  const last = sent.at(-1)!.at - began
  // 300 ms, then 480 a second; the last second is spread over what is left of it.
  assert.ok(last > 1_300 && last < 2_400, `${last}`)
})

test('drain.reconnect.rate, if it is set, is a ceiling for all of them', async () => {
  const rig = await createFleet(4, { drain: { terminationGracePeriod: 60_000, reconnect: { rate: 50 } } })
  const sent = frames(rig)
  for (const { open } of rig.nodes.slice(0, 2)) for (let i = 0; i < 50; i++) open()
  const drains = rig.nodes.slice(0, 2).map(({ tracker }) => tracker.drain())
  await rig.clock.run(5_000)
  await Promise.all(drains)
  assert.ok(busiest(sent.map(({ at }) => at)) <= 52, `${busiest(sent.map(({ at }) => at))}`)
})

test('a node that leaves has no capacity from its first booking on, also while it settles', async () => {
  const rig = await createFleet(2, { drain: { settleDelay: 5_000 } })
  rig.nodes[0]!.open()
  void rig.nodes[0]!.tracker.drain()
  await rig.clock.run(4_000)
  const seen = rig.nodes[1]!.sockets.nodes.find(({ self }) => !self)!
  assert.deepEqual([seen.capacity, seen.state], [0, 'running'])
  assert.equal(rig.nodes[1]!.tracker.plan().clients.length, 0)
})

test('if the engine does not answer, the drain waits for its deadline and goes on by the last view', async () => {
  const rig = await createFleet(3, POD)
  const sent = frames(rig)
  const [node] = rig.nodes
  for (let i = 0; i < 32; i++) node!.open()
  Object.assign(node!.faulty, { fault: 'hang' })
  const began = rig.clock.now()
  const drained = node!.tracker.drain()
  await rig.clock.run(3_000)
  await drained
  // Two others take 200 a second each.
  assert.ok(Math.abs(sent.at(-1)!.at - began - (300 + 31 / 320 * 1_000)) < 20, `${sent.at(-1)!.at - began}`)
})

test('the log says beforehand that the fleet is too small', async () => {
  const rig = await createFleet(2, { drain: { timeout: 4_000, reconnect: { rate: 10 } } })
  const [node] = rig.nodes
  for (let i = 0; i < 20; i++) node!.open()
  void node!.tracker.drain()
  assert.deepEqual(node!.messages('warn'), [])
  await rig.clock.run(10_000)
  const [other] = rig.nodes.slice(1)
  const third = await rig.add()
  await rig.clock.run(4_000)
  for (let i = 0; i < 200; i++) other!.open()
  void other!.tracker.drain()
  assert.deepEqual([other!.messages('warn'), third.messages('warn')], [['draining sockets: the fleet is too small'], []])
  const { fields } = other!.lines.find(({ level }) => level === 'warn')!
  assert.match(String(fields.clients), /^clients \(now\): 200; told to wait: \d+, .*; the fleet is too small: the other nodes take 8 clients a second; /)
})

test('a part of the connections that leaves has turns in the calendar, with those of a node that drains', async () => {
  const rig = await createFleet(4, POD)
  const { clock, nodes: [node, ...others] } = rig
  const sent = frames(rig)
  for (const { open } of rig.nodes) for (let i = 0; i < 600; i++) open({ peer: 'answers' })
  const drained = others[2]!.tracker.drain()
  await clock.run(20)
  const asked = node!.sockets.drain({ fraction: 1 })
  await clock.run(8_000)
  assert.equal((await asked).value, 1_800)
  await drained
  assert.equal(sent.length, 2_400)
  // Three nodes take 200 a second each.
  assert.ok(busiest(sent.map(({ at }) => at)) <= 480 + 10, `${busiest(sent.map(({ at }) => at))}`)
})

test('without the calendar a part leaves at the part of the rate that the node has', async () => {
  const rig = await createFleet(3, { ...POD, drain: { reconnect: { rate: 30 } } })
  const { clock, nodes: [node] } = rig
  const sent = frames(rig)
  for (let i = 0; i < 20; i++) node!.open({ peer: 'answers' })
  Object.assign(node!.faulty, { fault: 'refuse', only: ['book'] })
  const asked = node!.sockets.drain({ fraction: 1 })
  await clock.run(4_000)
  assert.equal((await asked).value, 20)
  assert.equal(sent.length, 20)
  assert.ok(busiest(sent.map(({ at }) => at)) <= 11, `${busiest(sent.map(({ at }) => at))}`)
})

test('more connections that leave while turns are booked wait for that booking', async (t) => {
  const rig = await createFleet(2, { drain: { reconnect: { rate: 10 } } })
  const { clock, nodes: [node] } = rig
  const sent = frames(rig)
  for (const owner of ['ann', 'bob']) for (let i = 0; i < 5; i++) node!.open({ owner, peer: 'answers' })
  Object.assign(node!.faulty, { fault: 'hang', only: ['book'] })
  const timers = t.mock.method(clock, 'setTimeout')
  const asked = [node!.sockets.drain({ fraction: 0.5 }), node!.sockets.drain({ fraction: 1 })]
  // A timer that is due again and again would never let the time of this clock pass.
  clock.tick(100)
  await clock.run(100)
  assert.ok(timers.mock.callCount() < 50, `${timers.mock.callCount()} timers`)
  await clock.run(4_000)
  await Promise.all(asked)
  assert.equal(sent.length, 10)
})

test('turns of connections that have closed meanwhile are free for other nodes', async () => {
  const rig = await createFleet(2, { drain: { reconnect: { rate: 10 } } })
  const { clock, nodes: [node, other] } = rig
  for (let i = 0; i < 1_000; i++) node!.open({ owner: 'ann', peer: 'answers' })
  void node!.sockets.drain({ fraction: 1 })
  await clock.run(1_000)
  void node!.sockets.disconnect({ owner: 'ann' })
  await clock.run(200)
  const { connection } = other!.open({ peer: 'answers' })
  void node!.sockets.drain({ fraction: 1 })
  await clock.run(1_500)
  assert.equal(connection.state, 'closed')
})
