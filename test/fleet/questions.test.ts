import assert from 'node:assert/strict'
import test from 'node:test'
import { writeMessage } from '../../lib/fleet/messages.ts'
import { createFleet, settle } from '../helpers/fleet-rig.ts'
import type { FleetRigNode } from '../helpers/fleet-rig.ts'
import type { FleetFilter } from '../../lib/track/fleet.ts'

function open (node: FleetRigNode, count: number, owner?: string, ...tags: string[]) {
  return Array.from({ length: count }, () => {
    const pair = node.open({ route: '/chat', ip: '10.0.0.1', requestId: 'req-7' })
    if (owner !== undefined) pair.connection.setOwner(owner)
    pair.connection.tag(...tags)
    return pair
  })
}

const code = (expected: string) => (error: unknown) => (error as { code: string }).code === expected

// ——— count

test('count() asks all nodes', async () => {
  const { clock, nodes: [a, b, c] } = await createFleet(3)
  open(a!, 2)
  open(b!, 3)
  open(c!, 4, '42')
  for (const filter of [undefined, 'all', { route: '/chat' }, { state: 'open' }] as const) {
    const { value, after } = await settle(clock, a!.sockets.count(filter))
    assert.deepEqual([value, after], [{ value: 9, complete: true, missing: [] }, 0])
  }
  assert.equal((await settle(clock, a!.sockets.count({ owner: '42', route: '/chat' }))).value.value, 4)
})

test('count() of an owner or a tag asks the engine, and counts this node by what it has now', async () => {
  const { clock, memory, nodes: [a, b] } = await createFleet(2)
  for (const kind of ['owner', 'tag'] as const) {
    memory.label(b!.id, [{ kind, label: '42', count: 3, away: 0 }])
    memory.label(a!.id, [{ kind, label: '42', count: 99, away: 0 }])
  }
  open(a!, 2, '42', '42')
  const sent = a!.faulty.calls.length
  assert.deepEqual((await settle(clock, a!.sockets.count({ owner: '42' }))).value, { value: 5, complete: true, missing: [] })
  assert.deepEqual((await settle(clock, a!.sockets.count({ tag: '42' }))).value, { value: 5, complete: true, missing: [] })
  assert.deepEqual(a!.faulty.calls.slice(sent).filter((call) => call !== 'label'), ['find', 'find'])
})

test('count() of an owner has one rule for all nodes: a connection counts until its close begins', async () => {
  const { clock, nodes } = await createFleet(2)
  for (const { open } of nodes) {
    open({ owner: '42' })
    open({ owner: '42', peer: 'stuck' }).connection.end('application', 1000, '')
  }
  await clock.flush()
  for (const { sockets, tracker } of nodes) {
    assert.equal((await settle(clock, sockets.count({ owner: '42' }))).value.value, 2)
    assert.equal(tracker.count({ owner: '42' }), 2)
  }
})

test('a node that does not answer is named after 250 ms, and does not make the answer fail', async () => {
  const { clock, nodes: [a, b, c] } = await createFleet(3)
  open(a!, 2)
  open(b!, 3)
  open(c!, 4)
  c!.kill()
  await clock.run(500)
  const { value, after } = await settle(clock, a!.sockets.count())
  assert.deepEqual([value.value, value.complete, after], [5, false, 250])
  const [missing, ...more] = value.missing
  assert.deepEqual([missing!.node, missing!.state, more], [c!.id, 'silent', []])
  assert.ok(missing!.lastSeen! >= 500 && missing!.lastSeen! <= 3_000)
})

test('a node that is lost while it is asked is named at once', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  b!.kill()
  // Ask just before the beat that finds it gone.
  while (a!.sockets.nodes.length === 2 && clock.now() < 20_000) {
    const { value } = await settle(clock, a!.sockets.count())
    if (value.missing[0]?.state === 'lost') return assert.deepEqual([value.missing[0].node, value.complete], [b!.id, false])
  }
  assert.fail('it was never asked when it was lost')
})

test('a node that leaves while it is asked is not missing', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  open(b!, 1)
  b!.faulty.only = ['send']
  b!.faulty.fault = 'hang'
  const asked = a!.sockets.count()
  await clock.run(20)
  b!.faulty.fault = 'none'
  await Promise.all([b!.fleet.close(), clock.flush()])
  assert.deepEqual((await settle(clock, asked)).value, { value: 0, complete: true, missing: [] })
})

test('while the engine does not answer, questions reject with a code, within 250 ms and then at once', async () => {
  const { clock, nodes: [a] } = await createFleet(2)
  a!.faulty.fault = 'hang'
  const ask: Array<() => Promise<unknown>> = [() => a!.sockets.count(), () => a!.sockets.count({ owner: '42' }), () => a!.sockets.list(), () => a!.sockets.explain({ owner: '42' })]
  const start = clock.now()
  await assert.rejects(settle(clock, ask[0]!()), code('SOCKETS_ERR_FLEET_UNAVAILABLE'))
  assert.ok(clock.now() - start <= 260)
  for (const call of ask) {
    const before = clock.now()
    // The beat that may find the engine alive is waited for.
    await assert.rejects(settle(clock, call()), code('SOCKETS_ERR_FLEET_UNAVAILABLE'))
    assert.ok(clock.now() - before <= 260)
  }
  assert.equal(a!.sockets.state, 'down')
})

test('a filter with a node selects connections of that node, and no other node is asked', async () => {
  const { clock, nodes: [a, b, c] } = await createFleet(3)
  open(a!, 2)
  const [pair] = open(b!, 3, '42')
  open(c!, 4, '42')
  c!.kill()
  const { sockets } = a!
  const count = async (filter: FleetFilter) => (await settle(clock, sockets.count(filter))).value
  assert.deepEqual(await count({ node: b!.id }), { value: 3, complete: true, missing: [] })
  assert.deepEqual(await count({ node: a!.id }), { value: 2, complete: true, missing: [] })
  assert.equal((await count({ node: b!.id, owner: '42' })).value, 3)
  assert.equal((await count({ node: a!.id, owner: '42' })).value, 0)
  assert.equal((await count({ node: b!.id, id: pair!.connection.id })).value, 1)
  assert.equal((await count({ node: a!.id, id: pair!.connection.id })).value, 0)
  assert.deepEqual((await count({ node: c!.id })).missing.map(({ node }) => node), [c!.id])
  assert.deepEqual((await count({ node: 'unknown' })), { value: 0, complete: false, missing: [{ node: 'unknown', state: 'lost', lastSeen: null }] })
  const { value: page } = await settle(clock, sockets.list({ node: b!.id }, { limit: 2 }))
  assert.deepEqual([page.complete, page.value.map(({ node }) => node)], [true, [b!.id, b!.id]])
  const { value: last } = await settle(clock, sockets.list({ node: b!.id }, { limit: 2, after: page.next! }))
  assert.deepEqual([last.value.length, last.next], [1, null])
  assert.deepEqual((await settle(clock, sockets.broadcast('x', { node: b!.id }))).value, { value: { sent: 3, queued: 0, dropped: 0 }, complete: true, missing: [] })
  assert.deepEqual((await settle(clock, sockets.broadcast('x', { node: a!.id }))).value, { value: { sent: 2, queued: 0, dropped: 0 }, complete: true, missing: [] })
})

test('filters that do not travel are refused', async () => {
  const { nodes: [a] } = await createFleet(1)
  const wrong: unknown[] = [{ where: () => true }, { id: 1 }, { node: 7 }, { node: undefined }, { node: 'a', id: '1' }, { node: 'a', id: NaN }, { node: 'a', owner: undefined }, { node: 'a', where: () => true }, { node: 'x'.repeat(5_000) }, {}, { owner: undefined }, { owner: 7 }, { nope: 1 }, null, 'everyone', { owner: 'x'.repeat(5_000) }, { state: 'odd' }]
  for (const filter of wrong) {
    for (const call of [a!.sockets.count(filter as never), a!.sockets.list(filter as never), a!.sockets.broadcast('x', filter as never)]) {
      await assert.rejects(call, code('SOCKETS_ERR_INVALID_FILTER'), JSON.stringify(filter))
    }
  }
  await assert.rejects(a!.sockets.count({ where: () => true } as never), /functions do not travel/)
})

// ——— list

test('list() has the connections of all nodes as plain data', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  const [pair] = open(b!, 1, '42', 'lobby', 'vip')
  const { value } = await settle(clock, a!.sockets.list({ tag: 'lobby' }))
  assert.deepEqual(value, {
    value: [{ node: b!.id, id: pair!.connection.id, state: 'open', owner: '42', tags: ['lobby', 'vip'], route: '/chat', ip: '10.0.0.1', requestId: 'req-7', openedAt: pair!.connection.openedAt }],
    complete: true,
    missing: [],
    next: null
  })
})

for (const limit of [1, 2, 3, 7, 9, 10, 50]) {
  test(`list() has every connection once, in pages of ${limit}`, async () => {
    const { clock, nodes } = await createFleet(4)
    const all: string[] = []
    for (const [index, count] of [3, 0, 5, 2].entries()) for (const { connection } of open(nodes[index]!, count, '42')) all.push(`${nodes[index]!.id} ${connection.id}`)
    for (const filter of ['all', { owner: '42' }] as const) {
      const seen: string[] = []
      let after: string | undefined
      let pages = 0
      do {
        const { value: page } = await settle(clock, nodes[1]!.sockets.list(filter, { limit, after }))
        assert.ok(page.value.length <= limit)
        seen.push(...page.value.map(({ node, id }) => `${node} ${id}`))
        after = page.next ?? undefined
        pages++
      } while (after !== undefined)
      assert.deepEqual(seen.toSorted(), all.toSorted())
      assert.equal(pages, Math.ceil(10 / limit))
    }
  })
}

test('connections that open or close between two pages neither hide nor repeat others', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  const pairs = [...open(a!, 6), ...open(b!, 6)]
  const { value: first } = await settle(clock, a!.sockets.list('all', { limit: 4 }))
  const gone = new Set(first.value.map(({ node, id }) => `${node} ${id}`))
  for (const { connection, socket } of pairs) {
    if (!gone.has(`${[a, b].find((node) => node!.tracker.get(connection.id) === connection)!.id} ${connection.id}`)) continue
    socket.peerCloses(1000)
  }
  await clock.flush()
  const { value: second } = await settle(clock, a!.sockets.list('all', { limit: 50, after: first.next! }))
  assert.equal(second.value.length, 8)
  assert.ok(second.value.every(({ node, id }) => !gone.has(`${node} ${id}`)))
})

test('a page goes past a node that does not answer, and names it', async () => {
  const { clock, nodes } = await createFleet(3)
  for (const node of nodes) open(node, 2)
  const [first, second, third] = nodes.toSorted((x, y) => x.id < y.id ? -1 : 1)
  second!.kill()
  const { value } = await settle(clock, first!.sockets.list('all', { limit: 3 }))
  assert.deepEqual(value.value.map(({ node }) => node), [first!.id, first!.id, third!.id])
  assert.deepEqual(value.missing.map(({ node }) => node), [second!.id])
  assert.equal((await settle(clock, first!.sockets.list('all', { limit: 3, after: value.next! }))).value.value.length, 1)
})

test('a page of all connections asks the nodes that fill it, by their last beats, and the others if they do not', async () => {
  const { clock, nodes } = await createFleet(3)
  const sorted = nodes.toSorted((x, y) => x.id < y.id ? -1 : 1)
  const [first, second, third] = sorted
  const pairs = sorted.map((node) => open(node, 4))
  await clock.run(4_000)
  third!.kill()
  const page = async (limit: number, after?: string) => {
    const begun = clock.now()
    const { value } = await settle(clock, first!.sockets.list('all', { limit, after }))
    return { value, took: clock.now() - begun, from: value.value.map(({ node }) => sorted.findIndex(({ id }) => id === node)) }
  }
  const whole = await page(5)
  assert.deepEqual([whole.from, whole.value.complete, whole.took < 250], [[0, 0, 0, 0, 1], true, true])
  // The second has fewer than it has said.
  for (const { socket } of pairs[1]!.slice(1)) socket.peerCloses(1000)
  await clock.flush()
  const more = await page(5)
  assert.deepEqual([more.from, more.value.missing.map(({ node }) => node), more.value.next], [[0, 0, 0, 0, 1], [third!.id], null])
  assert.ok(more.took <= 300)
  assert.deepEqual((await page(2, `${pairs[0]![2]!.connection.id} ${first!.id}`)).from, [0, 1])
  assert.equal(second!.sockets.state, 'up')
})

test('a page for which all nodes were asked asks no more: it is one question, and an engine that has failed since does not matter', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  for (const node of [a!, b!]) open(node, 2)
  const { questions: before } = a!.tracker.stats().fleet!
  await settle(clock, a!.sockets.list('all'))
  await settle(clock, a!.sockets.list({ route: '/chat' }))
  assert.deepEqual(a!.tracker.stats().fleet!.questions, { ...before, complete: before.complete + 2 })
  b!.kill()
  const asked = a!.sockets.list('all')
  await clock.flush()
  a!.faulty.fault = 'refuse'
  await clock.run(200)
  a!.fleet.fleet.draining()
  const { value } = await settle(clock, asked)
  assert.deepEqual([a!.sockets.state, value.value.length, value.missing.map(({ node }) => node)], ['down', 2, [b!.id]])
})

test('a node whose connections are long answers with as many as fit, and the next page goes on', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2)
  for (let i = 0; i < 40; i++) {
    const { connection } = b!.open()
    connection.setOwner(`${i} ${'x'.repeat(5_000)}`)
    connection.tag(...Array.from({ length: 200 }, (_, tag) => `${tag} ${'y'.repeat(1_000)}`))
  }
  const seen: number[] = []
  let after: string | undefined
  do {
    const { value: page } = await settle(clock, a!.sockets.list('all', { limit: 500, after }))
    assert.ok(page.value.length > 0 && page.value.length < 40)
    for (const { id, owner, tags } of page.value) {
      seen.push(id)
      assert.deepEqual([owner!.length, tags.length, tags[0]!.length], [1_024, 100, 256])
    }
    after = page.next ?? undefined
  } while (after !== undefined)
  assert.equal(new Set(seen).size, 40)
  assert.equal(seen.length, 40)
})

test('a page that cannot be is refused', async () => {
  const { nodes: [a] } = await createFleet(1)
  for (const page of [{ limit: 0 }, { limit: 501 }, { limit: 1.5 }, { limit: '9' }, { after: '' }, { after: 'x' }, { after: '1' }, { after: 1 }, { after: null }, null, 100, 'x']) {
    await assert.rejects(a!.sockets.list('all', page as never), code('SOCKETS_ERR_INVALID_ARGUMENT'), JSON.stringify(page))
  }
})

// ——— explain

test('explain() has the stories of all nodes, the newest first', async () => {
  const { clock, nodes: [a, b] } = await createFleet(2, { history: { keep: ['owner'] } })
  const [old] = open(a!, 1, '42')
  await clock.run(100)
  const [closed] = open(b!, 1, '42')
  closed!.socket.peerCloses(1000)
  await clock.run(100)
  const { value } = await settle(clock, a!.sockets.explain({ owner: '42' }))
  assert.deepEqual(value.value.map(({ node, story }) => [node, story.id, story.state]), [[b!.id, closed!.connection.id, 'closed'], [a!.id, old!.connection.id, 'open']])
  assert.equal((await settle(clock, a!.sockets.explain({ requestId: 'req-7' }))).value.value.length, 2)
  const one = await settle(clock, a!.sockets.explain({ node: b!.id, id: closed!.connection.id }))
  assert.deepEqual(one.value.value.map(({ node, story }) => [node, story.id]), [[b!.id, closed!.connection.id]])
})

test('explain() names a node that it has never heard of as lost', async () => {
  const { clock, nodes: [a] } = await createFleet(1)
  const { value } = await settle(clock, a!.sockets.explain({ node: 'elsewhere', id: 1 }))
  assert.deepEqual(value, { value: [], complete: false, missing: [{ node: 'elsewhere', state: 'lost', lastSeen: null }] })
  assert.deepEqual(JSON.parse(JSON.stringify(value)), value)
})

test('a query that is none of the three is refused', async () => {
  const { nodes: [a] } = await createFleet(1)
  for (const query of [undefined, null, 'all', {}, { id: 1 }, { node: 'a' }, { node: 'a', owner: '42' }, { owner: '' }, { owner: 42 }, { owner: '42', requestId: 'r' }, { node: 'a', id: 1.5 }]) {
    await assert.rejects(a!.sockets.explain(query as never), code('SOCKETS_ERR_INVALID_ARGUMENT'), JSON.stringify(query))
  }
})

// ——— what other nodes say

test('messages of another version, of another program, or damaged are ignored and counted', async () => {
  const { clock, memory, nodes: [a] } = await createFleet(1)
  const texts = ['', 'hello', '1', 'null', '[]', '{}', '{"v":1}', '{"v":2,"type":"left","from":"x","body":{}}', '{"v":1,"type":"unheard","from":"x","body":{}}', '{"v":1,"type":1,"from":"x"}', '{"v":1,"type":"left","from":7}', `{"v":1,"type":"left","from":"${'x'.repeat(300)}"}`,
    writeMessage('ask', 'x', { id: 1, type: 'unknown', body: {} }), writeMessage('ask', 'x', { id: 1, type: 'list', body: { filter: { nope: 1 } } }), writeMessage('answer', 'x', null as never), ' '.repeat(9 * 2 ** 20)]
  for (const text of texts) memory.send([a!.id], text)
  await clock.run(100)
  assert.equal(a!.sockets.ignored, texts.length)
  assert.deepEqual((await settle(clock, a!.sockets.count())).value.complete, true)
})

/** Adds a member that answers every question as a test says. */
async function addForeign (rig: Awaited<ReturnType<typeof createFleet>>, answer: (type: string) => unknown): Promise<void> {
  const { memory, clock } = rig
  memory.beat('foreign', { info: '{}', capacity: 1, lease: 600_000, settled: [], away: 0 })
  memory.listen('foreign', (text) => {
    const { type, from, body } = JSON.parse(text) as { type: string, from: string, body: { id: number, type: string } }
    if (type === 'ask') memory.send([from], writeMessage('answer', 'foreign', { id: body.id, value: answer(body.type) }))
  })
  await clock.run(4_000)
}

const ROW = { id: 1, state: 'open', tags: [], route: '/', ip: '', requestId: '', openedAt: 1 }
const STORY = { id: 1, route: '/', requestId: '', state: 'open', openedAt: 1, events: [], summary: '' }
const WRONG_ANSWERS: Record<string, unknown[]> = {
  count: [null, -1, 1.5, '3', {}, [], 2 ** 60],
  list: [null, 1, {}, { items: 1 }, { items: [null], more: false }, { items: [], more: true }, { items: new Array<object>(501).fill(ROW), more: false },
    ...[{ id: 'x' }, { state: 'odd' }, { owner: 7 }, { tags: 'x' }, { tags: [1] }, { route: 1 }, { ip: null }, { requestId: {} }, { openedAt: 'now' }].map((field) => ({ items: [{ ...ROW, ...field }], more: false }))],
  explain: [null, { items: [{}], more: false }, ...[{ id: 'x' }, { state: 1 }, { openedAt: null }, { events: {} }, { events: new Array(101).fill({}) }, { summary: 1 }, { route: null }, { requestId: { toString: 1 } }, { owner: [] }, { ip: 7 }, { closedAt: 'now' }].map((field) => ({ items: [{ ...STORY, ...field }], more: false }))],
  broadcast: [null, {}, { sent: 1, queued: 0 }, { sent: -1, queued: 0, dropped: 0 }, { sent: '1', queued: 0, dropped: 0 }]
}

test('a node whose answer has an unknown form is missing', async () => {
  const rig = await createFleet(1)
  const [a] = rig.nodes
  let wrong: unknown
  await addForeign(rig, () => wrong)
  const ask = {
    count: () => a!.sockets.count(),
    list: () => a!.sockets.list(),
    explain: () => a!.sockets.explain({ owner: '42' }),
    broadcast: () => a!.sockets.broadcast('x', 'all')
  }
  for (const [type, answers] of Object.entries(WRONG_ANSWERS)) {
    for (wrong of answers) {
      const { value } = await settle(rig.clock, ask[type as keyof typeof ask]() as Promise<{ complete: boolean, missing: ReadonlyArray<{ node: string, state: string }> }>)
      assert.deepEqual([value.complete, value.missing.map(({ node, state }) => [node, state])], [false, [['foreign', 'silent']]], `${type} ${JSON.stringify(wrong)}`)
    }
  }
})

test('an answer of a foreign member in the right form is used', async () => {
  const rig = await createFleet(1)
  await addForeign(rig, (type) => ({ count: 5, list: { items: [ROW], more: false }, explain: { items: [STORY], more: false }, broadcast: { sent: 1, queued: 2, dropped: 3 } })[type])
  const { clock, nodes: [a] } = rig
  assert.equal((await settle(clock, a!.sockets.count())).value.value, 5)
  assert.deepEqual((await settle(clock, a!.sockets.list())).value.value, [{ ...ROW, node: 'foreign', owner: undefined }])
  assert.deepEqual((await settle(clock, a!.sockets.explain({ owner: '42' }))).value.value, [{ node: 'foreign', story: STORY }])
  assert.deepEqual((await settle(clock, a!.sockets.broadcast('x', 'all'))).value.value, { sent: 1, queued: 2, dropped: 3 })
})

test('an answer of a node that was not asked, or to no question, is ignored', async () => {
  const { clock, memory, nodes: [a, b] } = await createFleet(2)
  b!.kill()
  const asked = a!.sockets.count()
  for (const id of [0, 1, 2, 'x']) memory.send([a!.id], writeMessage('answer', 'stranger', { id, value: 1_000 }))
  assert.equal((await settle(clock, asked)).value.value, 0)
})

test('many questions at once get their own answers', async () => {
  const { clock, nodes } = await createFleet(5)
  for (const [index, node] of nodes.entries()) open(node, index + 1, `owner ${index}`)
  const { value } = await settle(clock, Promise.all(Array.from({ length: 200 }, async (_, i) => await nodes[i % 5]!.sockets.count({ owner: `owner ${i % 5}`, state: 'open' }))))
  assert.deepEqual(value.map(({ value: count }) => count), Array.from({ length: 200 }, (_, i) => i % 5 + 1))
  assert.ok(clock.nextTimerIn > 0)
})
