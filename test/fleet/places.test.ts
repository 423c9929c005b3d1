/**
 * Limits that count the connections of all nodes: nodes on one fake clock over the engine in memory.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Pair } from '../helpers/fake-host.ts'
import { asksOf, MOVED } from '../helpers/mover.ts'
import { createPlaces, perOwner, settle, total } from '../helpers/places-rig.ts'
import type { PlacesFleet, PlacesNode } from '../helpers/places-rig.ts'

const states = (...pairs: Pair[]) => pairs.map(({ connection }) => connection.state)
const evictions = ({ nodes }: PlacesFleet) => nodes.reduce((sum, { tracker }) => sum + (tracker.stats().closed.replaced ?? 0), 0)

/** Closes all connections, and checks that nothing is left of them: on no node, and in the engine no place of any. */
async function end (fleet: PlacesFleet): Promise<void> {
  for (const { tracker } of fleet.nodes) tracker.disconnect('all')
  await fleet.clock.run(5_000)
  for (const { tracker, admission } of fleet.nodes) assert.deepEqual([tracker.size, admission!.size], [0, 0])
  const other = fleet.memory.engine()
  await other.beat('other', { info: '', capacity: 0, lease: 1_000, settled: [], away: 0 })
  const keys = new Set(fleet.nodes.flatMap(({ takes }) => takes.flat().map(({ key }) => key)))
  for (const { given } of await other.take('other', Array.from(keys, (key) => ({ key, have: 0, want: 9, max: 9, oldest: null })))) assert.equal(given, 9)
  for (const node of fleet.nodes) await settle(fleet.clock, node.fleet.close())
}

/** A generator of numbers below `most` from a seed. */
function numbers (seed: number): (most: number) => number {
  let state = seed
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * most)
  }
}

test('10,000 handshakes that race over 8 nodes fill the limits exactly, and never exceed them', async () => {
  const fleet = await createPlaces(8, { limits: { ...total(1_000), ...perOwner(3) } })
  const random = numbers(16)
  const owners = new Map<string, number>()
  let most = 0
  let open = 0
  const results = Array.from({ length: 10_000 }, async () => {
    const owner = `owner ${random(500)}`
    const result = await fleet.nodes[random(8)]!.handshake(owner)
    if (typeof result === 'string') return result
    most = Math.max(most, ++open)
    owners.set(owner, (owners.get(owner) ?? 0) + 1)
    assert.equal(result.connection.state, 'open')
    return 'open'
  })
  // Others go meanwhile, and their places are taken again.
  for (let i = 0; i < 20; i++) {
    await fleet.clock.flush()
    const [connection] = fleet.nodes[i % 8]!.tracker.list()
    if (connection === undefined) continue
    open--
    owners.set(connection.owner!, owners.get(connection.owner!)! - 1)
    void connection.terminate()
  }
  const outcomes = await settle(fleet.clock, Promise.all(results))
  assert.ok(most <= 1_000)
  assert.ok(Math.max(...owners.values()) <= 3)
  assert.deepEqual([...new Set(outcomes)].sort(), ['open', 'perOwner', 'total'])
  // What was given back is free, and no more than that.
  while (fleet.open < 1_000) await fleet.nodes[random(8)]!.connect(`late ${fleet.open}`)
  assert.equal(await settle(fleet.clock, fleet.nodes[0]!.handshake('one more')), 'total')
  await end(fleet)
})

test('a place that a connection gives back on one node is free on another', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  const pair = await one.connect('ann')
  assert.equal(await settle(fleet.clock, two.handshake('ann')), 'perOwner')
  assert.equal((await two.connect('bob')).connection.state, 'open')
  void pair.connection.terminate()
  await fleet.clock.flush()
  assert.equal((await two.connect('ann')).connection.state, 'open')
  await end(fleet)
})

test('a handshake that fails after it has got its places gives them back, and one that is abandoned before it has', async () => {
  const fleet = await createPlaces(2, { limits: { ...total(1), ...perOwner(1) } })
  const [one] = fleet.nodes.map(({ admission }) => admission!)
  const request = {}
  assert.equal(await settle(fleet.clock, one!.claimOnArrival(request, '/')!), null)
  assert.equal(await settle(fleet.clock, one!.claim(request, 'ann', '/')!), null)
  assert.equal(await settle(fleet.clock, fleet.nodes[1]!.handshake('bob')), 'total')
  one!.release(request)
  const abandoned = {}
  void one!.claimOnArrival(abandoned, '/')
  one!.release(abandoned)
  await fleet.clock.flush()
  assert.equal((await fleet.nodes[1]!.connect('ann')).connection.state, 'open')
  await end(fleet)
})

test('handshakes that come while a call is in flight are in the next call, and a connection that takes the place of its handshake makes none', async () => {
  const fleet = await createPlaces(1, { limits: perOwner(10) })
  const [node] = fleet.nodes as [PlacesNode]
  const before = node.takes.length
  const first = node.handshake('ann')
  await Promise.resolve()
  await Promise.resolve()
  const rest = Array.from({ length: 5 }, (_, i) => node.handshake(i < 3 ? 'ann' : 'bob'))
  await settle(fleet.clock, Promise.all([first, ...rest]))
  await fleet.clock.run(1_000)
  assert.deepEqual(node.takes.slice(before).map((asked) => asked.map(({ key, have, want }) => [key, have, want])), [
    [['owner:ann', 0, 1]],
    [['owner:ann', 1, 3], ['owner:bob', 0, 2]]
  ])
  await end(fleet)
})

test('evict-oldest closes the oldest connection of all nodes with 4001, and only that one', async () => {
  for (const limits of [perOwner(3, 'evict-oldest'), total(3, 'evict-oldest')]) {
    const fleet = await createPlaces(3, { limits })
    const pairs: Pair[] = []
    for (const i of [1, 0, 2]) {
      pairs.push(await fleet.nodes[i]!.connect('ann'))
      await fleet.clock.run(1_000)
    }
    const [oldest, second, third] = pairs as [Pair, Pair, Pair]
    const next = await fleet.nodes[2]!.connect('ann')
    assert.deepEqual(oldest.socket.closeFrame, { code: 4001, reason: 'replaced' })
    assert.deepEqual(states(second, third, next), ['open', 'open', 'open'])
    await fleet.clock.run(1_000)
    // The next oldest is on this very node.
    await fleet.nodes[0]!.connect('ann')
    await fleet.clock.run(1_000)
    assert.deepEqual(states(second, third, next), ['closed', 'open', 'open'])
    assert.deepEqual([fleet.open, evictions(fleet)], [3, 2])
    await end(fleet)
  }
})

test('evict-oldest under a race: as many connections are evicted as are admitted above the limit', async () => {
  const fleet = await createPlaces(4, { limits: perOwner(8, 'evict-oldest') })
  for (let i = 0; i < 8; i++) await fleet.nodes[i % 4]!.connect('ann')
  const results = await settle(fleet.clock, Promise.all(Array.from({ length: 6 }, (_, i) => fleet.nodes[i % 4]!.handshake('ann'))))
  await fleet.clock.run(1_000)
  assert.equal(fleet.open, 8)
  assert.equal(evictions(fleet), results.filter((result) => typeof result !== 'string').length)
  await end(fleet)
})

test('clients that evict each other over several nodes are bounded: each node evicts ten times a minute at most', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1, 'evict-oldest') })
  let refused = 0
  for (let i = 0; i < 100; i++) {
    if (await settle(fleet.clock, fleet.nodes[i % 2]!.handshake('ann')) === 'perOwner') refused++
    await fleet.clock.run(100)
  }
  assert.deepEqual([evictions(fleet), refused, fleet.open], [20, 79, 1])
  await end(fleet)
})

test('a node whose oldest connection is not to be evicted any more is passed over', async () => {
  const fleet = await createPlaces(3, { limits: perOwner(2, 'evict-oldest') })
  const [one, two, three] = fleet.nodes as [PlacesNode, PlacesNode, PlacesNode]
  const draining = await one.connect('ann')
  await fleet.clock.run(1_000)
  const second = await two.connect('ann')
  draining.connection.startDraining()
  await three.connect('ann')
  assert.deepEqual(states(draining, second), ['draining', 'closed'])
  await end(fleet)
})

test('where the oldest connection cannot be closed, the handshake is refused within 250 ms', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1, 'evict-oldest') })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  await one.connect('ann')
  one.frozen = true
  const refused: unknown[] = []
  for (let i = 0; i < 2; i++) void two.handshake('ann').then((result) => { refused.push(result) })
  await fleet.clock.run(150)
  assert.deepEqual(refused, [])
  await fleet.clock.run(100)
  assert.deepEqual(refused, ['perOwner', 'perOwner'])
  one.frozen = false
  await fleet.clock.run(10_000)
  await end(fleet)
})

test('after an outage in which each node has counted alone, one handshake evicts three connections at most, and the limit holds again in time', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(4, 'evict-oldest') })
  for (const node of fleet.nodes) node.frozen = true
  await fleet.clock.run(5_000)
  for (const node of fleet.nodes) for (let i = 0; i < 4; i++) await node.connect('ann')
  assert.equal(fleet.open, 8)
  for (const node of fleet.nodes) node.frozen = false
  await fleet.clock.run(10_000)
  assert.equal(await settle(fleet.clock, fleet.nodes[0]!.handshake('ann')), 'perOwner')
  await fleet.clock.run(100)
  assert.deepEqual([fleet.open, evictions(fleet)], [5, 3])
  await fleet.nodes[1]!.connect('ann')
  await fleet.clock.run(100)
  assert.deepEqual([fleet.open, evictions(fleet)], [4, 5])
  await end(fleet)
})

for (const onOutage of ['local', 'refuse'] as const) {
  test(`onOutage '${onOutage}': a handshake waits for a frozen engine for 250 ms at most, and not at all once it is known to be down`, async () => {
    const fleet = await createPlaces(2, { limits: perOwner(1), onOutage })
    const [one] = fleet.nodes as [PlacesNode]
    await fleet.nodes[1]!.connect('ann')
    one.frozen = true
    let first: Pair | string | undefined
    void one.handshake('ann').then((result) => { first = result })
    await fleet.clock.run(150)
    assert.equal(first, undefined)
    await fleet.clock.run(100)
    const now = fleet.clock.now()
    await fleet.clock.run(2_000)
    const second = await settle(fleet.clock, one.handshake('bob'))
    const third = await settle(fleet.clock, one.handshake('bob'))
    assert.equal(fleet.clock.now() - now, 2_000)
    // The limit of this node alone holds all the while.
    if (onOutage === 'local') assert.deepEqual([typeof first, typeof second, third], ['object', 'object', 'perOwner'])
    else assert.deepEqual([first, second, third], ['fleet', 'fleet', 'fleet'])
    one.frozen = false
    await fleet.clock.run(5_000)
    assert.equal(await settle(fleet.clock, one.handshake('ann')), 'perOwner')
    await end(fleet)
  })
}

for (const what of ['does not answer', 'answers late']) {
  test(`owners who come and go while the engine ${what} are not kept for it`, async () => {
    const fleet = await createPlaces(2, { limits: perOwner(9) })
    const [one] = fleet.nodes as [PlacesNode]
    const { connection } = await one.connect('ann')
    await one.connect('bob')
    if (what === 'answers late') one.lag = 500
    else one.frozen = true
    await fleet.clock.run(5_000)
    const before = one.takes.length
    for (let i = 0; i < 600; i++) {
      void (await one.connect(`guest ${i}`)).connection.terminate()
      await fleet.clock.run(10)
    }
    void connection.terminate()
    await one.connect('cat')
    one.frozen = false
    one.lag = 0
    await fleet.clock.run(5_000)
    const written = one.takes.slice(before).flat().map(({ key, have }) => `${key} ${have}`)
    assert.deepEqual([...new Set(written)].sort(), ['owner:ann 0', 'owner:bob 1', 'owner:cat 1'])
    await end(fleet)
  })
}

test('an engine that answers slowly holds no handshake for longer than 250 ms', async () => {
  const fleet = await createPlaces(1, { limits: perOwner(9) })
  const [node] = fleet.nodes as [PlacesNode]
  node.answer = (given) => new Promise((resolve) => { fleet.clock.setTimeout(() => { resolve(given) }, 240) })
  const waits: number[] = []
  for (let i = 0; i < 10; i++) {
    const since = fleet.clock.now()
    void node.handshake('ann').then(() => { waits.push(fleet.clock.now() - since) })
    await fleet.clock.run(50)
  }
  await fleet.clock.run(500)
  assert.equal(waits.length, 10)
  assert.ok(Math.max(...waits) <= 250, String(waits))
  node.answer = null
  await fleet.clock.run(5_000)
  await end(fleet)
})

test('the places of a node that is lost are free when its lease has ended', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  await one.connect('ann')
  one.frozen = true
  await fleet.clock.run(4_000)
  assert.equal(await settle(fleet.clock, two.handshake('ann')), 'perOwner')
  await fleet.clock.run(5_000)
  await two.connect('ann')
  // It comes back, keeps its connection, and says so: there is no room until both have gone.
  one.frozen = false
  await fleet.clock.run(5_000)
  void two.tracker.list()[0]!.terminate()
  await fleet.clock.flush()
  assert.equal(await settle(fleet.clock, two.handshake('ann')), 'perOwner')
  await end(fleet)
})

test('an engine that was emptied is asked again when the node has joined anew, and knows all within two beats', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(2) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  // More keys than one call has.
  for (let i = 0; i < 1_200; i++) void one.handshake(`owner ${i}`)
  await one.connect('ann')
  await two.connect('ann')
  await fleet.clock.run(2_000 - fleet.clock.now() % 2_000 + 500)
  fleet.memory.clear()
  // The node learns of it by this handshake, which waits for the beat that follows.
  const calls = one.takes.length
  const bob = one.handshake('bob')
  await fleet.clock.run(200)
  assert.notEqual(typeof await settle(fleet.clock, bob), 'string')
  assert.deepEqual(one.takes.slice(calls).map((asked) => asked.length).sort((a, b) => a - b).slice(-3), [202, 500, 500])
  await fleet.clock.run(2_000)
  assert.equal(await settle(fleet.clock, one.handshake('ann')), 'perOwner')
  assert.equal(await settle(fleet.clock, two.handshake('owner 7')) === 'perOwner', false)
  assert.equal(await settle(fleet.clock, two.handshake('owner 7')), 'perOwner')
  await end(fleet)
})

test('a call that the engine carries out late takes no place for longer than a beat', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  // The engine carries it out, and its answer is lost.
  one.answer = () => new Promise(() => {})
  const first = one.handshake('ann')
  await fleet.clock.run(500)
  const pair = await first as Pair
  one.answer = null
  void pair.connection.terminate()
  await fleet.clock.run(4_000)
  await two.connect('ann')
  await end(fleet)
})

test('an answer that cannot be read is asked for again', async () => {
  const fleet = await createPlaces(1, { limits: perOwner(1) })
  const [node] = fleet.nodes as [PlacesNode]
  node.answer = () => [{ get given (): number { throw new Error('not to be read') }, oldestAt: null }]
  const first = node.handshake('ann')
  await fleet.clock.run(500)
  assert.notEqual(typeof await first, 'string', 'without an answer a handshake is admitted')
  node.answer = null
  await fleet.clock.run(4_000)
  assert.equal(await settle(fleet.clock, node.handshake('ann')), 'perOwner')
  await end(fleet)
})

test('an answer that makes no sense gives no place', async () => {
  const fleet = await createPlaces(1, { limits: perOwner(1, 'evict-oldest') })
  const [node] = fleet.nodes as [PlacesNode]
  for (const answer of [[undefined], [{ given: 'many', oldestAt: 7 }], [{ given: -3 }], [{ given: 0.5 }]]) {
    node.answer = () => answer
    assert.equal(await settle(fleet.clock, node.handshake('ann')), 'perOwner')
  }
  node.answer = () => [{ given: 1e9, oldestAt: null }]
  assert.notEqual(typeof await settle(fleet.clock, node.handshake('ann')), 'string')
  await end(fleet)
})

test('questions of other nodes that make no sense are answered with null, and close nothing', async () => {
  const fleet = await createPlaces(1, { limits: perOwner(1, 'evict-oldest') })
  const [node] = fleet.nodes as [PlacesNode]
  const { connection } = await node.connect('ann')
  const other = fleet.memory.engine()
  const answers: unknown[] = []
  await other.listen('other', (text) => { answers.push((JSON.parse(text) as { body: { value: unknown } }).body.value) })
  const questions: Array<[type: string, body: object]> = [
    ['evict', {}], ['evict', { key: 7 }], ['evict', { key: 'ann' }], ['evict', { key: 'total' }], ['movesAway', {}], ['movesAway', { move: 'id', owner: 7 }], ['movesAway', { move: 'id' }]
  ]
  for (const [type, body] of questions) await other.send([node.fleet.fleet.node], JSON.stringify({ v: 1, type: 'ask', from: 'other', body: { id: 1, type, body } }))
  await fleet.clock.flush()
  assert.deepEqual([answers, connection.state], [questions.map(() => null), 'open'])
  await end(fleet)
})

// ——— owners that are set later

test('setOwner() asks the other nodes in the background, and closes with 1013 if there is no room', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  await one.connect('ann')
  const [a, b] = [await two.connect(), await two.connect()]
  assert.deepEqual([a.connection.setOwner('ann'), b.connection.setOwner('bob'), a.connection.state], [true, true, 'open'])
  await fleet.clock.flush()
  assert.deepEqual(a.socket.closeFrame, { code: 1013, reason: 'no room; retry=1000' })
  assert.equal(b.connection.state, 'open')
  assert.equal(await settle(fleet.clock, one.handshake('bob')), 'perOwner')
  await end(fleet)
})

test('setOwner() again, or a close, before the nodes have answered: only the last owner counts', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  const [a, b, c] = [await one.connect(), await one.connect(), await one.connect()]
  a.connection.setOwner('ann')
  a.connection.setOwner('bob')
  a.connection.setOwner('ann')
  b.connection.setOwner('cid')
  b.connection.setOwner(undefined)
  c.connection.setOwner('dan')
  void c.connection.terminate()
  await fleet.clock.flush()
  for (const [owner, room] of [['ann', false], ['bob', true], ['cid', true], ['dan', true]] as const) {
    assert.equal(typeof await settle(fleet.clock, two.handshake(owner)) !== 'string', room, owner)
  }
  await end(fleet)
})

test('a connection that closes as the answer arrives does not count', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  const { connection } = await one.connect()
  one.answer = (given) => {
    void connection.close()
    return given
  }
  connection.setOwner('ann')
  await fleet.clock.run(1_000)
  one.answer = null
  assert.equal(connection.state, 'closed')
  await two.connect('ann')
  await end(fleet)
})

// ——— moves

/** Asks a client to move, and returns the id that it will offer. */
function askToMove ({ moves }: PlacesNode, { connection, socket }: Pair): string {
  assert.ok(moves.ask(connection, 0))
  return asksOf(socket).at(-1)!.id
}

for (const limits of [perOwner(1), perOwner(1, 'evict-oldest'), total(1), total(1, 'evict-oldest'), { ...total(1), ...perOwner(1, 'evict-oldest') }]) {
  test(`a client that moves to another node counts once, and loses neither connection: ${JSON.stringify(limits)}`, async () => {
    const fleet = await createPlaces(3, { limits })
    const [one, two, three] = fleet.nodes as [PlacesNode, PlacesNode, PlacesNode]
    const old = await one.connect('ann')
    const id = askToMove(one, old)
    const next = await two.connect('ann', id)
    assert.deepEqual(states(old, next), ['open', 'open'])
    // The id is used up, and the place is taken.
    if (Object.values(limits).every(({ policy }) => policy === 'refuse')) assert.equal(typeof await settle(fleet.clock, three.handshake('ann', id)), 'string')
    old.socket.peerSends(MOVED)
    await fleet.clock.run(1_000)
    assert.deepEqual([states(old, next), one.tracker.history.at(-1)!.cause], [['closed', 'open'], 'moved'])
    assert.equal(evictions(fleet), 0)
    await end(fleet)
  })
}

test('an id that no node has given, or that another owner was given, makes no room', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(1) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  const ann = await one.connect('ann')
  await one.connect('bob')
  assert.equal(await settle(fleet.clock, two.handshake('ann', 'unknown')), 'perOwner')
  assert.equal(await settle(fleet.clock, two.handshake('bob', askToMove(one, ann))), 'perOwner')
  // A node of the fleet that does not answer delays such a handshake, and no more.
  one.frozen = true
  const waits = two.handshake('ann', 'unknown')
  await fleet.clock.run(300)
  assert.equal(await settle(fleet.clock, waits), 'perOwner')
  one.frozen = false
  await fleet.clock.run(5_000)
  await end(fleet)
})

test('a client that was asked to move, has come to another node and stays here all the same counts on both', async () => {
  const fleet = await createPlaces(2, { limits: perOwner(2) })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  const stays = await one.connect('ann')
  await one.connect('ann')
  const moved = stays.connection.move()
  await two.connect('ann', asksOf(stays.socket)[0]!.id)
  await fleet.clock.run(6_000)
  assert.deepEqual([await moved, fleet.open], [false, 3])
  // Three of two: there is room when two of them have gone.
  void two.tracker.list()[0]!.terminate()
  await fleet.clock.flush()
  assert.equal(await settle(fleet.clock, two.handshake('ann')), 'perOwner')
  await end(fleet)
})

test('a connection whose client moves away is not evicted, and its place is not given back twice', async () => {
  const fleet = await createPlaces(2, { limits: total(2, 'evict-oldest') })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  const old = await one.connect('ann')
  const other = await one.connect('bob')
  await two.connect('ann', askToMove(one, old))
  await fleet.clock.run(1_000)
  await two.connect('cid')
  await fleet.clock.run(1_000)
  assert.deepEqual(states(old, other), ['open', 'closed'])
  void old.connection.terminate()
  await fleet.clock.run(1_000)
  await two.connect('dan')
  await fleet.clock.run(1_000)
  assert.equal(fleet.open, 2)
  await end(fleet)
})

for (const room of [true, false]) {
  test(`the new connection of a move on one node that stands alone ${room ? 'takes a place of all nodes' : 'is closed if there is none, and evicts no other'}`, async () => {
    const fleet = await createPlaces(2, { limits: perOwner(room ? 3 : 2, 'evict-oldest') })
    const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
    const other = await two.connect('ann')
    await fleet.clock.run(1_000)
    const old = await one.connect('ann')
    const moved = old.connection.move()
    const next = await one.connect('ann', asksOf(old.socket)[0]!.id)
    await fleet.clock.run(6_000)
    assert.equal(await moved, false)
    assert.deepEqual(states(other, old, next), ['open', 'open', room ? 'open' : 'closed'])
    if (!room) assert.deepEqual(next.socket.closeFrame, { code: 1013, reason: 'no room; retry=1000' })
    await fleet.clock.run(100)
    const third = await two.connect('ann')
    await fleet.clock.run(100)
    assert.deepEqual(states(other, old, third), ['closed', 'open', 'open'])
    await end(fleet)
  })
}

// ——— two limits

test('a handshake that has a place under one limit and none under the other gives the first back', async () => {
  const fleet = await createPlaces(2, { limits: { ...total(2, 'evict-oldest'), ...perOwner(1) } })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  await one.connect('ann')
  for (let i = 0; i < 3; i++) assert.equal(await settle(fleet.clock, two.handshake('ann')), 'perOwner')
  const bob = await two.connect('bob')
  await fleet.clock.run(1_000)
  assert.deepEqual([states(bob), fleet.open, evictions(fleet)], [['open'], 2, 0])
  await end(fleet)
})

test('limits of the node count beside those of the fleet', async () => {
  const fleet = await createPlaces(2, { limits: { ...perOwner(3), total: { max: 3 } } })
  const [one, two] = fleet.nodes as [PlacesNode, PlacesNode]
  for (let i = 0; i < 3; i++) await one.connect(`owner ${i}`)
  assert.equal(await settle(fleet.clock, one.handshake('ann')), 'total')
  await two.connect('ann')
  await end(fleet)
})

// ——— observe

for (const policy of ['refuse', 'evict-oldest'] as const) {
  test(`observe: '${policy}' makes no handshake wait, refuses and evicts none, and reports each case once`, async () => {
    const fleet = await createPlaces(2, { limits: perOwner(1, policy), mode: { perOwner: 'observe' } })
    const told: unknown[] = []
    for (const { tracker } of fleet.nodes) tracker.on('observed', (observation) => { told.push([observation.action, observation.path ?? observation.connection?.id]) })
    const request = {}
    assert.equal(fleet.nodes[0]!.admission!.claim(request, 'ann', '/'), null)
    fleet.nodes[0]!.admission!.release(request)
    await fleet.clock.run(1_000)
    for (let i = 0; i < 4; i++) {
      await fleet.nodes[i % 2]!.connect('ann')
      await fleet.clock.run(100)
    }
    const { connection } = await fleet.nodes[0]!.connect()
    assert.equal(connection.setOwner('ann'), true)
    await fleet.clock.run(100)
    const action = policy === 'refuse' ? 'refuse' : 'evict'
    assert.deepEqual(told, [[action, '/'], [action, '/'], [action, '/'], [action, connection.id]])
    assert.equal(fleet.open, 5)
    // In an outage each node reports for itself.
    for (const node of fleet.nodes) node.frozen = true
    await fleet.clock.run(5_000)
    await fleet.nodes[0]!.connect('ann')
    assert.equal(told.length, 5)
    for (const node of fleet.nodes) node.frozen = false
    await fleet.clock.run(5_000)
    await end(fleet)
  })
}
