/**
 * What each engine of a fleet does: every sentence of lib/fleet/engine.ts as a test.
 *
 * Engines keep time of their own, and some of it is real: what must end is short here and waited for, what must not end is long.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Calendar } from '../../lib/fleet/arrivals-calendar.ts'
import type { Beat, FleetEngine, LabelCount, Turns } from '../../lib/fleet/engine.ts'
import { EngineNode, LONG } from '../helpers/engine-node.ts'
import { generator } from '../helpers/generator.ts'

/** An empty fleet under test. It ends with the test that has made it. */
export interface Ground {
  /** Makes the engine of one node. */
  engine (): FleetEngine
  /** Lets time pass, in the engine too. */
  advance (ms: number): Promise<void>
  /** Empties the engine, as a restart does. */
  clear (): Promise<void>
  /** Number of things the engine keeps for this fleet. */
  size (): Promise<number>
}

/** A time that ends in a test. */
const SHORT = 200

/** Nodes of one fleet that listen and have beaten once. */
async function join (ground: Ground, ids: readonly string[], beat: Partial<Beat> = {}): Promise<EngineNode[]> {
  const nodes = await listeners(ground, ids)
  for (const node of nodes) await node.beat(beat)
  return nodes
}

async function listeners (ground: Ground, ids: readonly string[]): Promise<EngineNode[]> {
  const nodes = ids.map((id) => new EngineNode(id, ground.engine()))
  for (const node of nodes) await node.listen()
  return nodes
}

/** Waits for what comes by itself. */
async function eventually (ground: Ground, check: () => unknown): Promise<void> {
  for (let turns = 0; !(await check()); turns++) {
    assert.ok(turns < 1000, `it never came: ${check}`)
    await ground.advance(10)
  }
}

const NOTHING = { online: [], offline: [] }
/** Texts that engines have to quote, cut or count. */
const TEXTS = ['', ' ', '0', 'a:b', '{a}', '"\\', 'a\nb', '\0', '*', '%s', '__proto__', 'constructor', 'ä€😀', '1e3', 'x'.repeat(5000)]

const ids = (nodes: ReadonlyArray<{ id: string }>): string[] => nodes.map(({ id }) => id).sort()
const close = (actual: number, expected: number): void => { assert.ok(Math.abs(actual - expected) < 1e-3, `${actual}, not ${expected}`) }
const sum = (numbers: readonly number[]): number => numbers.reduce((all, number) => all + number, 0)
const by = (nodes: ReadonlyArray<readonly [string, number]>): Record<string, number> => Object.fromEntries(nodes)

/** Seconds from the first turn until all clients of a booking are placed. */
const length = ({ first, seconds }: Turns): number => first / 1000 + seconds.length - 1

/** One promise of the contract; `keep` rejects if an engine breaks it. */
export interface EnginePromise {
  readonly title: string
  readonly keep: (ground: Ground) => Promise<void>
}

export const promises: EnginePromise[] = []

function promise (title: string, keep: EnginePromise['keep']): void { promises.push({ title, keep }) }

/** Begins one test for each promise. */
export function contract (name: string, makeGround: (t: TestContext) => Promise<Ground> | Ground): void {
  for (const { title, keep } of promises) test(`${name}: ${title}`, async (t) => { await keep(await makeGround(t)) })
}

promise('a node joins with its first beat, and only with that', async (ground) => {
  const [a] = await listeners(ground, ['a'])
  assert.equal((await a!.beat()).joined, true)
  assert.equal((await a!.beat()).joined, false)
})

promise('a beat tells all members with what they say about themselves and how long they are silent', async (ground) => {
  const [a, b] = await listeners(ground, ['a', 'b'])
  await a!.beat({ info: 'old', capacity: 1 })
  await a!.beat({ info: '{"v":1}', capacity: 12.5 })
  await ground.advance(SHORT)
  const { nodes, lost } = await b!.beat({ info: TEXTS.join(), capacity: 0 })
  assert.deepEqual(ids(nodes), ['a', 'b'])
  const of = (id: string) => nodes.find((node) => node.id === id)!
  assert.equal(of('a').info, '{"v":1}')
  assert.equal(of('a').capacity, 12.5)
  assert.ok(of('a').silent >= SHORT - 10, `a is silent for ${of('a').silent} ms`)
  assert.deepEqual(of('b'), { id: 'b', info: TEXTS.join(), capacity: 0, silent: 0 })
  assert.deepEqual(lost, [])
})

promise('time is that of the engine: one clock for all nodes, in milliseconds', async (ground) => {
  const [a, b] = await listeners(ground, ['a', 'b'])
  const first = (await a!.beat()).now
  await ground.advance(SHORT)
  const times = [(await b!.beat()).now, (await a!.beat()).now, (await b!.beat()).now]
  assert.ok(times[0]! >= first + SHORT - 10, `${first} + ${SHORT} → ${times[0]}`)
  assert.deepEqual(times, times.toSorted((x, y) => x - y))
})

promise('a node whose lease has ended is removed by a beat of another, and told as lost to one node, once', async (ground) => {
  const [a, ...others] = await join(ground, ['a', 'b', 'c', 'd'])
  await a!.beat({ lease: SHORT, info: 'last words', capacity: 3 })
  await ground.advance(2 * SHORT)
  const pulses = await Promise.all(others.map((node) => node.beat()))
  const again = await Promise.all(others.map((node) => node.beat()))
  const lost = [...pulses, ...again].flatMap((pulse) => pulse.lost)
  assert.equal(lost.length, 1)
  const { silent, ...rest } = lost[0]!
  assert.deepEqual(rest, { id: 'a', info: 'last words', capacity: 3 })
  assert.ok(silent >= 2 * SHORT - 10)
  for (const { nodes } of again) assert.deepEqual(ids(nodes), ['b', 'c', 'd'])
})

promise('a lease counts from the last beat, and is as long as that one says', async (ground) => {
  const [a] = await join(ground, ['a'], { lease: SHORT })
  const [b] = await join(ground, ['b'])
  await a!.beat({ lease: LONG })
  await ground.advance(2 * SHORT)
  assert.deepEqual((await b!.beat()).lost, [])
})

promise('a node that beats after the end of its lease goes on if no other node has removed it', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.beat({ lease: SHORT })
  await a!.owner('x', 1)
  await ground.advance(2 * SHORT)
  const { joined, lost } = await a!.beat()
  assert.deepEqual({ joined, lost }, { joined: false, lost: [] })
  assert.deepEqual(await b!.find('x'), { nodes: [['a', 1]], expectedBack: null })
  assert.deepEqual((await b!.beat()).lost, [])
})

promise('leases and times away begin once more if no node could beat for as long as a lease', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'], { lease: SHORT })
  await a!.beat({ lease: SHORT })
  await a!.owner('x', 1)
  await a!.owner('x', 0, SHORT)
  await ground.advance(2 * SHORT)
  const { lost, offline, nodes, joined } = await b!.beat({ lease: SHORT })
  assert.deepEqual({ lost, offline, nodes: ids(nodes), joined }, { lost: [], offline: [], nodes: ['a', 'b'], joined: false })
  assert.ok((await b!.find('x')).expectedBack !== null)
  await ground.advance(2 * SHORT)
  const next = await b!.beat({ lease: LONG })
  assert.deepEqual({ lost: ids(next.lost), offline: next.offline }, { lost: ['a'], offline: ['x'] })
})

promise('a node that was removed can write nothing until it joins anew, and has nothing then', async (ground) => {
  const [zombie, b] = await join(ground, ['zombie', 'b'])
  await zombie!.beat({ lease: SHORT, capacity: 5 })
  await zombie!.engine.label('zombie', [{ kind: 'owner', label: 'x', count: 1, away: 0 }, { kind: 'tag', label: 't', count: 1, away: 0 }])
  await zombie!.take(0, 3, 3)
  await b!.engine.order('zombie', 'o', 'order', 'notice')
  await ground.advance(2 * SHORT)
  assert.deepEqual(ids((await b!.beat()).lost), ['zombie'])

  await assert.rejects(zombie!.owner('x', 1))
  await assert.rejects(zombie!.take(3, 1, 10))
  await assert.rejects(zombie!.book(1))
  await b!.engine.order('zombie', 'o2', 'order', 'notice')
  assert.deepEqual((await b!.find('x')).nodes, [])
  assert.deepEqual((await b!.find('t', 'tag')).nodes, [])
  assert.equal((await b!.take(0, 3, 3)).given, 3)

  const { joined, orders, nodes } = await zombie!.beat()
  assert.deepEqual({ joined, orders, nodes: ids(nodes) }, { joined: true, orders: [], nodes: ['b', 'zombie'] })
  await zombie!.owner('x', 1)
  assert.deepEqual((await b!.find('x')).nodes, [['zombie', 1]])
})

promise('a node that leaves is no member, is not lost, and what it has written is gone', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'], { capacity: 10 })
  await a!.count('tag', 't', 2)
  await a!.take(0, 3, 3)
  await b!.engine.order('a', 'o', 'order', 'notice')
  await a!.leave()
  const { nodes, lost } = await b!.beat()
  assert.deepEqual({ nodes: ids(nodes), lost }, { nodes: ['b'], lost: [] })
  assert.deepEqual((await b!.find('t', 'tag')).nodes, [])
  assert.equal((await b!.take(0, 3, 3)).given, 3)
  await assert.rejects(a!.count('tag', 't', 2))
  await a!.leave()
  await b!.engine.leave('never there')
  const { joined, orders } = await a!.beat()
  assert.deepEqual({ joined, orders }, { joined: true, orders: [] })
})

promise('after the engine was emptied each node joins anew, and writes nothing before', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.owner('x', 1)
  await ground.clear()
  await assert.rejects(a!.owner('x', 1))
  await assert.rejects(b!.take(1, 1, 10))
  assert.equal((await a!.beat()).joined, true)
  const pulse = await b!.beat()
  assert.deepEqual({ joined: pulse.joined, nodes: ids(pulse.nodes), lost: pulse.lost }, { joined: true, nodes: ['a', 'b'], lost: [] })
  assert.deepEqual((await b!.find('x')).nodes, [])
  await a!.engine.send(['b'], 'still heard')
  await eventually(ground, () => b!.heard.length === 1)
})

promise('a message reaches the nodes that it is sent to, and no other', async (ground) => {
  const [a, b, c] = await join(ground, ['a', 'b', 'c'])
  await a!.engine.send(['a', 'b', 'never there'], 'to a and b')
  await a!.engine.send([], 'to none')
  await a!.engine.send(['c'], 'to c')
  await eventually(ground, () => sum([a!, b!, c!].map(({ heard }) => heard.length)) === 3)
  await ground.advance(50)
  assert.deepEqual([a!.heard, b!.heard, c!.heard], [['to a and b'], ['to a and b'], ['to c']])
})

promise('messages of one sender come once, in order, and as they were', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const messages = [...TEXTS, ...Array.from({ length: 300 }, (_, index) => `message ${index}`)]
  await Promise.all(messages.map((message) => a!.engine.send(['b'], message)))
  await eventually(ground, () => b!.heard.length >= messages.length)
  await ground.advance(50)
  assert.deepEqual(b!.heard, messages)
})

promise('a node that listens again hears each message once', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const anew: string[] = []
  await b!.engine.listen('b', (message) => { anew.push(message) })
  await a!.engine.send(['b'], 'one')
  await eventually(ground, () => anew.length === 1)
  await ground.advance(50)
  assert.deepEqual([b!.heard, anew], [[], ['one']])
})

promise('an order stays in the inbox until it is settled, once however often it is put, and sends the notice each time', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.engine.order('b', '1', 'close x', 'notice')
  await a!.engine.order('b', '1', 'something else', 'notice')
  await a!.engine.order('b', '2', 'close y', 'notice')
  await eventually(ground, () => b!.heard.length === 3)
  assert.deepEqual(b!.heard, ['notice', 'notice', 'notice'])
  const inbox = [['1', 'close x'], ['2', 'close y']]
  assert.deepEqual((await b!.beat()).orders.toSorted(), inbox)
  assert.deepEqual((await a!.beat()).orders, [])
  assert.deepEqual((await b!.beat({ settled: ['unknown'] })).orders.toSorted(), inbox)
  assert.deepEqual((await b!.beat({ settled: ['1'] })).orders, [['2', 'close y']])
  assert.deepEqual((await b!.beat({ settled: ['1', '2'] })).orders, [])
  await a!.engine.order('b', '1', 'close x', 'notice')
  assert.deepEqual((await b!.beat()).orders, [['1', 'close x']])
})

promise('an order to a node that is no member does nothing', async (ground) => {
  const [a] = await join(ground, ['a'])
  const [b] = await listeners(ground, ['b'])
  await a!.engine.order('b', '1', 'order', 'notice')
  assert.deepEqual((await b!.beat()).orders, [])
  assert.deepEqual(b!.heard, [])
})

promise('an inbox holds thousands of orders, whatever their text', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const orders = [...TEXTS, ...Array.from({ length: 3000 }, (_, index) => `order ${index}`)].map((text, index) => [`id ${index}`, text])
  await Promise.all(orders.map(([id, text]) => a!.engine.order('b', id!, text!, 'notice')))
  assert.deepEqual((await b!.beat()).orders.toSorted(), orders.toSorted())
  assert.deepEqual((await b!.beat({ settled: orders.map(([id]) => id!) })).orders, [])
})

promise('a count is absolute: written twice it is the same, 0 removes it', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  for (const kind of ['owner', 'tag'] as const) {
    await a!.count(kind, 'x', 3)
    await a!.count(kind, 'x', 3)
    await b!.count(kind, 'x', 1)
    assert.deepEqual(by((await b!.find('x', kind)).nodes), { a: 3, b: 1 })
    await a!.count(kind, 'x', 2)
    assert.deepEqual(by((await a!.find('x', kind)).nodes), { a: 2, b: 1 })
    await a!.count(kind, 'x', 0)
    await a!.count(kind, 'x', 0)
    assert.deepEqual(by((await a!.find('x', kind)).nodes), { b: 1 })
  }
})

promise('owners and tags of one name are apart, and tags are never online', async (ground) => {
  const [a] = await join(ground, ['a'])
  assert.deepEqual(await a!.count('tag', 'x', 2), NOTHING)
  assert.deepEqual(await a!.find('x'), { nodes: [], expectedBack: null })
  assert.deepEqual(await a!.owner('x', 1), { online: ['x'], offline: [] })
  assert.deepEqual((await a!.find('x', 'tag')).nodes, [['a', 2]])
  assert.deepEqual(await a!.count('tag', 'x', 0), NOTHING)
  assert.deepEqual((await a!.find('x')).nodes, [['a', 1]])
})

promise('one call writes thousands of counts, whatever the labels', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const labels = [...TEXTS, ...Array.from({ length: 5000 }, (_, index) => `label ${index}`)]
  const counts = (count: number) => labels.flatMap((label): LabelCount[] =>
    [{ kind: 'owner', label, count, away: 0 }, { kind: 'tag', label, count: 2 * count, away: 0 }])
  assert.deepEqual((await a!.engine.label('a', counts(1))).online.toSorted(), labels.toSorted())
  for (const label of [...TEXTS, 'label 4999']) {
    assert.deepEqual(await b!.find(label), { nodes: [['a', 1]], expectedBack: null })
    assert.deepEqual((await b!.find(label, 'tag')).nodes, [['a', 2]])
  }
  assert.deepEqual((await a!.engine.label('a', counts(0))).offline.toSorted(), labels.toSorted())
  assert.deepEqual((await b!.find('')).nodes, [])
})

promise('of two calls that tell changes, the later one has the greater time', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const label = async (node: EngineNode, count: number): Promise<number> => (await node.engine.label(node.id, [{ kind: 'owner', label: 'x', count, away: 0 }])).at
  const times = [await label(a!, 1), await label(b!, 1), (await a!.beat()).now, await label(a!, 0), (await b!.beat()).now, await label(b!, 0)]
  for (const [i, time] of times.slice(1).entries()) assert.ok(time > times[i]!, times.join(', '))
})

promise('an owner comes online with the first connection and goes offline with the last, each told once', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const both = await Promise.all([a!.owner('x', 1), b!.owner('x', 1)])
  assert.deepEqual(both.flatMap(({ online }) => online), ['x'])
  assert.deepEqual(await a!.owner('x', 2), NOTHING)
  assert.deepEqual(await a!.owner('x', 0), NOTHING)
  assert.deepEqual(await b!.owner('x', 0), { online: [], offline: ['x'] })
  assert.deepEqual(await b!.owner('x', 0), NOTHING)
  assert.deepEqual((await a!.beat()).offline, [])
  assert.deepEqual(await b!.owner('x', 1), { online: ['x'], offline: [] })
})

promise('an owner that goes from one node to another does not go offline', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.owner('x', 1)
  assert.deepEqual(await a!.owner('x', 0, LONG), NOTHING)
  const away = await b!.find('x')
  assert.deepEqual(away.nodes, [])
  assert.ok(away.expectedBack! > 0 && away.expectedBack! <= LONG, `expected back in ${away.expectedBack} ms`)
  assert.deepEqual(await b!.owner('x', 1), NOTHING)
  assert.deepEqual(await a!.find('x'), { nodes: [['b', 1]], expectedBack: null })
  await a!.leave()
  assert.deepEqual((await b!.beat()).offline, [])
  assert.deepEqual(await b!.owner('x', 0), { online: [], offline: ['x'] })
})

promise('an owner that is not back in time goes offline, told to one node, once', async (ground) => {
  const nodes = await join(ground, ['a', 'b', 'c'])
  const [a] = nodes
  await a!.owner('x', 1)
  await a!.owner('x', 0, SHORT)
  await ground.advance(2 * SHORT)
  const pulses = [...await Promise.all(nodes.map((node) => node.beat())), ...await Promise.all(nodes.map((node) => node.beat()))]
  assert.deepEqual(pulses.flatMap(({ offline }) => offline), ['x'])
  assert.deepEqual(await a!.find('x'), { nodes: [], expectedBack: null })
})

promise('a time away is lengthened, never shortened, and outlives a count that falls', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.owner('x', 2)
  await a!.owner('x', 1, LONG)
  assert.deepEqual(await b!.find('x'), { nodes: [['a', 1]], expectedBack: null })
  assert.deepEqual(await a!.owner('x', 0, 1), NOTHING)
  await ground.advance(SHORT)
  assert.deepEqual((await b!.beat()).offline, [])
  assert.ok((await b!.find('x')).expectedBack! > SHORT)
  await a!.owner('x', 0, 2 * LONG)
  assert.ok((await b!.find('x')).expectedBack! > LONG)
})

promise('a count that rises ends a time away: the next end is one', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.owner('x', 1)
  await a!.owner('x', 0, LONG)
  assert.deepEqual(await b!.owner('x', 1), NOTHING)
  assert.deepEqual(await b!.owner('x', 0), { online: [], offline: ['x'] })
  assert.deepEqual(await a!.find('x'), { nodes: [], expectedBack: null })
})

promise('a time away that ends while its owner is connected tells nothing', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.owner('x', 1)
  await b!.owner('x', 1)
  await a!.owner('x', 0, SHORT)
  await ground.advance(2 * SHORT)
  assert.deepEqual((await b!.beat()).offline, [])
  assert.deepEqual(await b!.owner('x', 0), { online: [], offline: ['x'] })
})

promise('owners of a lost node are away for as long as the beat says that has removed it', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.engine.label('a', ['x', 'y'].map((label) => ({ kind: 'owner', label, count: 1, away: 0 })))
  await b!.owner('y', 1)
  await a!.beat({ lease: SHORT })
  await ground.advance(2 * SHORT)
  const { lost, offline } = await b!.beat({ away: 4 * SHORT })
  assert.deepEqual({ lost: ids(lost), offline }, { lost: ['a'], offline: [] })
  assert.deepEqual((await b!.find('x')).nodes, [])
  const told: string[] = []
  await eventually(ground, async () => told.push(...(await b!.beat()).offline) > 0)
  await ground.advance(2 * SHORT)
  told.push(...(await b!.beat()).offline)
  assert.deepEqual(told, ['x'])
})

promise('owners of a lost node that are back do not go offline', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.owner('x', 1)
  await a!.beat({ lease: SHORT })
  await ground.advance(2 * SHORT)
  await b!.beat({ away: LONG })
  assert.ok((await b!.find('x')).expectedBack! > 0)
  assert.deepEqual(await b!.owner('x', 1), NOTHING)
  assert.deepEqual((await b!.beat()).offline, [])
  assert.deepEqual(await b!.owner('x', 0), { online: [], offline: ['x'] })
})

promise('owners are away still when their node has left', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.owner('x', 1)
  await a!.owner('x', 0, 2 * SHORT)
  await a!.leave()
  assert.ok((await b!.find('x')).expectedBack !== null)
  const told: string[] = []
  await eventually(ground, async () => told.push(...(await b!.beat()).offline) > 0)
  assert.deepEqual(told, ['x'])
})

promise('connected owners of a node that leaves go offline with the next beat, if they have no others', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.engine.label('a', ['x', 'y'].map((label) => ({ kind: 'owner', label, count: 1, away: 0 })))
  await b!.owner('y', 1)
  await a!.leave()
  assert.deepEqual((await b!.beat()).offline, ['x'])
  assert.deepEqual((await b!.beat()).offline, [])
})

promise('a beat tells 1,000 owners at most, and the others with the next ones', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const labels = Array.from({ length: 2500 }, (_, index) => `owner ${index}`)
  await a!.engine.label('a', labels.map((label) => ({ kind: 'owner', label, count: 1, away: 0 })))
  await a!.leave()
  const told: string[][] = []
  for (let beats = 0; beats < 4; beats++) told.push([...(await b!.beat()).offline])
  assert.deepEqual(told.map(({ length }) => length), [1000, 1000, 500, 0])
  assert.deepEqual(told.flat().toSorted(), labels.toSorted())
})

promise('places are given up to the limit of all nodes', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  assert.deepEqual(await a!.take(0, 7, 10), { given: 7, oldestAt: null })
  assert.equal((await b!.take(0, 7, 10)).given, 3)
  assert.equal((await a!.take(7, 1, 10)).given, 0)
  assert.equal((await b!.take(3, 1, 12)).given, 1)
})

promise('places that a node says it has are absolute: said twice they are the same, fewer are free for others', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.take(5, 0, 10)
  await a!.take(5, 0, 10)
  assert.equal((await b!.take(0, 10, 10)).given, 5)
  assert.deepEqual(await a!.take(2, 0, 10), { given: 0, oldestAt: null })
  assert.equal((await b!.take(5, 10, 10)).given, 3)
  await a!.take(0, 0, 10)
  assert.equal((await b!.take(8, 10, 10)).given, 2)
})

promise('more places than the limit are counted, and none is given', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  assert.equal((await a!.take(20, 5, 10)).given, 0)
  assert.equal((await b!.take(3, 5, 10)).given, 0)
  await a!.take(6, 0, 10)
  assert.equal((await b!.take(3, 5, 10)).given, 1)
})

promise('each key has places of its own, and each one asked for its answer, in order', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const asked = TEXTS.map((key, index) => ({ key, have: index, want: 1, max: index + (index % 2), oldest: null }))
  assert.deepEqual((await a!.engine.take('a', asked)).map(({ given }) => given), TEXTS.map((_, index) => index % 2))
  const rest = TEXTS.map((key) => ({ key, have: 0, want: 100, max: 100, oldest: null }))
  assert.deepEqual((await b!.engine.take('b', rest)).map(({ given }) => given), TEXTS.map((_, index) => 100 - index - (index % 2)))
  assert.deepEqual(await a!.engine.take('a', []), [])
})

promise('a node that gets fewer places than it wants is told which node has the oldest connection', async (ground) => {
  const [a, b, c] = await join(ground, ['a', 'b', 'c'])
  await a!.take(1, 0, 3, { oldest: 1000.5 })
  await b!.take(1, 0, 3, { oldest: 1000.25 })
  assert.deepEqual(await c!.take(0, 1, 3, { oldest: 2000 }), { given: 1, oldestAt: null })
  assert.deepEqual(await c!.take(1, 1, 3, { oldest: 2000 }), { given: 0, oldestAt: 'b' })
  await b!.take(1, 0, 3, { oldest: 3000 })
  assert.equal((await c!.take(1, 1, 3, { oldest: 2000 })).oldestAt, 'a')
  await a!.take(1, 0, 3, { oldest: null })
  assert.equal((await b!.take(1, 1, 3, { oldest: 3000 })).oldestAt, 'c')
  assert.equal((await c!.take(1, 1, 3, { oldest: 500 })).oldestAt, 'c')
  await b!.take(1, 0, 3)
  await c!.take(1, 0, 3)
  assert.deepEqual(await a!.take(1, 1, 3), { given: 0, oldestAt: null })
})

promise('places are exact, however many nodes take and give back at the same time', async (ground) => {
  const MAX = 40
  const random = generator(1)
  const nodes = await join(ground, Array.from({ length: 8 }, (_, index) => `node ${index}`))
  const held = new Map<EngineNode, number>()
  let full = 0
  await Promise.all(nodes.map(async (node) => {
    for (let turn = 0; turn < 40; turn++) {
      // What is given back is free before the engine hears of it: the sum here is never less than the engine's.
      const have = Math.floor((held.get(node) ?? 0) * (random() < 0.3 ? random() : 1))
      held.set(node, have)
      const want = Math.floor(random() * 6)
      const { given } = await node.take(have, want, MAX)
      held.set(node, have + given)
      if (given < want) full++
      assert.ok(sum([...held.values()]) <= MAX, `${sum([...held.values()])} places`)
    }
  }))
  assert.ok(full > 0, 'the limit is never reached')
  const all = sum([...held.values()])
  assert.equal((await nodes[0]!.take(held.get(nodes[0]!)!, MAX, MAX)).given, MAX - all)
})

promise('places of a lost node are free once a beat has removed it', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.take(0, 10, 10, { oldest: 5 })
  await a!.beat({ lease: SHORT })
  await ground.advance(2 * SHORT)
  await b!.beat()
  assert.deepEqual(await b!.take(0, 10, 10), { given: 10, oldestAt: null })
})

promise('a booking gets the share of the capacity of all members, or the ceiling, or one client a second', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b', 'leaving'])
  await a!.beat({ capacity: 10.5 })
  await b!.beat({ capacity: 20 })
  const { first, seconds, rate } = await a!.book(60, { share: 0.8 })
  close(rate, 24.4)
  assert.ok(first > 0 && first <= 1000, `the first second ends in ${first} ms`)
  close(sum(seconds), 60)
  assert.ok(seconds.slice(1, -1).every((turns) => Math.abs(turns - 24.4) < 1e-3), `${seconds}`)
  close((await a!.book(60, { share: 0.8, ceiling: 7.5 })).rate, 7.5)
  close((await a!.book(60, { share: 0.01 })).rate, 1)
})

promise('a booking leaves room for those of other nodes, and comes after them', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'], { capacity: 10 })
  await a!.book(200)
  const { seconds } = await b!.book(200, { from: LONG + 1 })
  close(sum(seconds), 200)
  // The second of the first turn has room before it, which the engine spreads over all of that second.
  assert.ok(sum(seconds.slice(1, 9)) < 1e-3, `${seconds}`)
})

promise('a booking is absolute: repeated it takes no more, replaced it is another, 0 gives it back', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'], { capacity: 5 })
  await a!.book(200)
  await a!.book(200)
  close(sum((await a!.book(200)).seconds), 200)
  assert.ok(length(await b!.book(100)) < 32)
  await a!.book(50)
  assert.ok(length(await b!.book(100)) < 17)
  assert.deepEqual((await a!.book(0)).seconds, [])
  assert.ok(length(await b!.book(100)) < 12)
})

promise('a booking replaces nothing that comes before it', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'], { capacity: 5 })
  await a!.book(200)
  await a!.book(0, { from: LONG + 10_000 })
  assert.ok(length(await b!.book(100)) > 18)
})

promise('a node that leaves has no capacity from its booking on', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'], { capacity: 10 })
  close((await a!.book(10, { leaves: true })).rate, 10)
  close((await b!.book(10)).rate, 10)
  assert.deepEqual((await b!.beat({ capacity: 10 })).nodes.map(({ id, capacity }) => [id, capacity]).toSorted(), [['a', 0], ['b', 10]])
  const { seconds, rate } = await b!.book(10, { leaves: true })
  assert.deepEqual({ seconds, rate }, { seconds: [], rate: 0 })
})

promise('turns stay when their node leaves or is lost, and its capacity does not', async (ground) => {
  const [a, b, c] = await join(ground, ['a', 'b', 'c'], { capacity: 10 })
  await a!.book(150)
  await b!.book(150)
  await a!.leave()
  await b!.beat({ lease: SHORT, capacity: 10 })
  await ground.advance(2 * SHORT)
  assert.deepEqual(ids((await c!.beat({ capacity: 10 })).lost), ['b'])
  const { seconds, rate } = await c!.book(15)
  close(rate, 10)
  assert.ok(sum(seconds.slice(1, 9)) < 1e-3, `${seconds}`)
})

promise('clients without room within an hour are not placed', async (ground) => {
  const [a] = await join(ground, ['a'], { capacity: 0.5 })
  const { seconds } = await a!.book(5000)
  assert.equal(seconds.length, 3600)
  assert.ok(sum(seconds) > 3598 && sum(seconds) <= 3600, `${sum(seconds)}`)
})

promise('bookings of many nodes are those that the arithmetic of the calendar gives', async (ground) => {
  const random = generator(3)
  const pick = (most: number): number => Math.floor(random() * most)
  const capacities = new Map(['a', 'b', 'c', 'd', 'e'].map((id) => [id, 5 + 2 * pick(10)]))
  const nodes = await listeners(ground, [...capacities.keys()])
  for (const node of nodes) await node.beat({ capacity: capacities.get(node.id)! })
  const clock = new EngineNode('clock', nodes[0]!.engine)
  for (let left = 40, model = new Calendar(); left > 0; left--) {
    const node = nodes[pick(nodes.length)]!
    const booking = { clients: pick(4) * pick(100), from: pick(2) * pick(3000), share: 0.8, ceiling: 10 + pick(100), leaves: left < 8 }
    const before = (await clock.beat()).now
    const turns = await node.engine.book(node.id, booking)
    const after = (await clock.beat()).now
    if (booking.leaves) capacities.set(node.id, 0)
    // The end of the second tells the time of the booking, which may have no fraction, unless the machine stood still.
    const now = Math.ceil((before + booking.from + turns.first - 1) / 1000) * 1000 - booking.from - turns.first
    if (after - before < 900) {
      const expected = model.book(node.id, booking, now, sum([...capacities.values()]))
      close(turns.rate, expected.rate)
      close(turns.first, expected.first)
      // A remainder of a rounding may take a second of its own.
      const seconds = Math.max(turns.seconds.length, expected.seconds.length)
      for (let second = 0; second < seconds; second++) close(turns.seconds[second] ?? 0, expected.seconds[second] ?? 0)
    } else {
      for (const node of nodes) await node.book(0, { from: 0 })
      model = new Calendar()
    }
    await ground.advance(pick(60))
  }
})

promise('a state is handed over from one node to another, to one of those that take it', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  for (const [index, text] of TEXTS.entries()) {
    const id = `id ${index}`
    await a!.engine.handovers.put(id, text, LONG)
    const taken = await Promise.all([a, b, b].map(async (node) => await node!.engine.handovers.take(id)))
    assert.deepEqual(taken.filter((record) => typeof record === 'string'), [text])
    assert.equal((await b!.engine.handovers.take(id)) ?? null, null)
  }
})

promise('a state that waits is replaced, one that was taken is not', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.engine.handovers.put('x', 'one', LONG)
  await a!.engine.handovers.replace('x', 'two', LONG)
  assert.equal(await b!.engine.handovers.take('x'), 'two')
  await a!.engine.handovers.replace('x', 'three', LONG)
  assert.equal((await b!.engine.handovers.take('x')) ?? null, null)
})

promise('a state is gone when its time is over', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  await a!.engine.handovers.put('x', 'one', SHORT)
  await a!.engine.handovers.put('y', 'two', LONG)
  await ground.advance(2 * SHORT)
  await a!.engine.handovers.replace('x', 'three', LONG)
  assert.equal((await b!.engine.handovers.take('x')) ?? null, null)
  assert.equal(await b!.engine.handovers.take('y'), 'two')
})

promise('an engine that is closed carries nothing out, and the others go on', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'])
  const pending = Promise.allSettled([a!.beat(), a!.find('x')])
  await a!.engine.close()
  await a!.engine.close()
  await pending
  const calls = [
    () => a!.listen(), () => a!.beat(), () => a!.leave(), () => a!.engine.send(['b'], 'x'), () => a!.engine.order('b', '1', '', ''),
    () => a!.owner('x', 1), () => a!.find('x'), () => a!.take(0, 1, 1), () => a!.book(1)
  ]
  for (const call of calls) await assert.rejects(call)
  await b!.engine.send(['a', 'b'], 'hello')
  await eventually(ground, () => b!.heard.length === 1)
  await ground.advance(50)
  assert.deepEqual(a!.heard, [])
  assert.deepEqual(ids((await b!.beat()).nodes), ['a', 'b'])
})

promise('nothing is left when all have left and all times are over', async (ground) => {
  const [a, b] = await join(ground, ['a', 'b'], { capacity: 10 })
  await a!.engine.label('a', [{ kind: 'owner', label: 'x', count: 1, away: 0 }, { kind: 'tag', label: 't', count: 1, away: 0 }])
  await b!.owner('x', 1)
  await b!.take(0, 3, 10, { key: 'x', oldest: 1 })
  await a!.engine.order('b', '1', 'order', 'notice')
  await a!.engine.handovers.put('x', 'state', SHORT)
  await a!.book(3, { from: 0 })
  await a!.owner('x', 0, SHORT)
  await a!.leave()
  await b!.beat({ lease: SHORT, capacity: 0 })
  await ground.advance(2 * SHORT)
  const [c] = await join(ground, ['c'], { away: SHORT })
  await ground.advance(2 * SHORT)
  assert.deepEqual((await c!.beat()).offline, ['x'])
  // A calendar may forget what is past with the next booking.
  await ground.advance(1000)
  await c!.book(0, { from: 0 })
  await c!.leave()
  await eventually(ground, async () => await ground.size() === 0)
})
