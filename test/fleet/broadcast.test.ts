import assert from 'node:assert/strict'
import test from 'node:test'
import { writeMessage } from '../../lib/fleet/messages.ts'
import { createFleet, settle } from '../helpers/fleet-rig.ts'
import type { FleetRigNode } from '../helpers/fleet-rig.ts'
import type { Pair } from '../helpers/fake-host.ts'

function open (node: FleetRigNode, owner?: string, ...tags: string[]): Pair {
  const pair = node.open()
  if (owner !== undefined) pair.connection.setOwner(owner)
  pair.connection.tag(...tags)
  return pair
}

/** What a connection was sent, in words. */
const got = ({ socket: { frames } }: Pair) => frames.map((frame) => frame.type === 'message' ? String(frame.data) : frame.type)

test('a broadcast reaches the connections of all nodes that match, once', async () => {
  const rig = await createFleet(3)
  const pairs = rig.nodes.map((node, i) => open(node, `owner ${i}`))
  const { value: { value, complete, missing } } = await settle(rig.clock, rig.nodes[0]!.sockets.broadcast('hello', 'all'))
  assert.deepEqual([value, complete, missing], [{ sent: 3, queued: 0, dropped: 0 }, true, []])
  for (const pair of pairs) assert.deepEqual(got(pair), ['hello'])
  await settle(rig.clock, rig.nodes[1]!.sockets.broadcast('open ones', { state: 'open' }))
  for (const pair of pairs) assert.deepEqual(got(pair), ['hello', 'open ones'])
})

test('bytes arrive as bytes', async () => {
  const rig = await createFleet(2)
  const pairs = rig.nodes.map((node) => open(node))
  const bytes = new Uint8Array([9, 0, 255, 128, 9]).subarray(1, 4)
  await settle(rig.clock, rig.nodes[0]!.sockets.broadcast(bytes, 'all'))
  for (const { socket } of pairs) assert.deepEqual(socket.frames, [{ type: 'message', data: Buffer.from([0, 255, 128]) }])
})

for (const kind of ['owner', 'tag'] as const) {
  test(`a broadcast by ${kind} goes only to the nodes that have it, and to this one`, async () => {
    const rig = await createFleet(5)
    const label = (node: FleetRigNode) => {
      rig.memory.label(node.id, [{ kind, label: '42', count: 1, away: 0 }])
      return kind === 'owner' ? open(node, '42') : open(node, undefined, '42')
    }
    // The engine does not know of the one here.
    const here = kind === 'owner' ? open(rig.nodes[0]!, '42') : open(rig.nodes[0]!, undefined, '42')
    const pairs = [label(rig.nodes[1]!), label(rig.nodes[3]!)]
    const others = rig.nodes.map((node) => open(node, 'other'))
    const asked: string[][] = []
    const { send } = rig.memory
    rig.memory.send = (nodes, message) => {
      if (message.includes('"ask"')) asked.push([...nodes])
      Reflect.apply(send, rig.memory, [nodes, message])
    }
    const { value: { value, complete } } = await settle(rig.clock, rig.nodes[0]!.sockets.broadcast('hello', { [kind]: '42' }))
    assert.deepEqual([value, complete], [{ sent: 3, queued: 0, dropped: 0 }, true])
    for (const pair of [here, ...pairs]) assert.deepEqual(got(pair), ['hello'])
    for (const pair of others) assert.deepEqual(got(pair), [])
    assert.deepEqual(asked, [[rig.nodes[1]!.id, rig.nodes[3]!.id]])
  })
}

test('a filter of an owner and more goes to the nodes of the owner, and selects by all of it', async () => {
  const rig = await createFleet(2)
  rig.memory.label(rig.nodes[1]!.id, [{ kind: 'owner', label: '42', count: 2, away: 0 }])
  const [in1, out] = [open(rig.nodes[1]!, '42', 'lobby'), open(rig.nodes[1]!, '42')]
  assert.equal((await settle(rig.clock, rig.nodes[0]!.sockets.broadcast('hello', { owner: '42', tag: 'lobby' }))).value.value.sent, 1)
  assert.deepEqual([got(in1), got(out)], [['hello'], []])
})

test('a node that does not answer is missing, and the others get the message', async () => {
  const rig = await createFleet(3)
  const pairs = rig.nodes.map((node) => open(node))
  rig.nodes[2]!.kill()
  const { value: { value, complete, missing } } = await settle(rig.clock, rig.nodes[0]!.sockets.broadcast('hello', 'all'))
  assert.deepEqual([value.sent, complete, missing.map(({ node, state }) => [node, state])], [2, false, [[rig.nodes[2]!.id, 'silent']]])
  assert.deepEqual(pairs.map(got), [['hello'], ['hello'], []])
})

test('while the engine does not answer, the connections of this node get it, and the other nodes are missing', async () => {
  const rig = await createFleet(2)
  const [here, there] = rig.nodes.map((node) => open(node))
  rig.nodes[0]!.faulty.fault = 'hang'
  for (let i = 1; i <= 2; i++) {
    const start = rig.clock.now()
    const { value: { value, complete, missing } } = await settle(rig.clock, rig.nodes[0]!.sockets.broadcast('hello', 'all'))
    assert.deepEqual([value.sent, complete, missing.map(({ node, state }) => [node, state])], [1, false, [[rig.nodes[1]!.id, 'silent']]])
    assert.ok(rig.clock.now() - start <= 260)
    assert.equal(got(here!).length, i)
  }
  assert.deepEqual(got(there!), [])
})

test('an engine that answers slowly makes a broadcast no later than 300 ms', async () => {
  const rig = await createFleet(2)
  rig.memory.label(rig.nodes[1]!.id, [{ kind: 'owner', label: '42', count: 1, away: 0 }])
  open(rig.nodes[0]!, '42')
  rig.nodes[1]!.kill()
  rig.nodes[0]!.faulty.lag = 220
  const { value: { value, missing }, after } = await settle(rig.clock, rig.nodes[0]!.sockets.broadcast('hello', { owner: '42' }))
  assert.deepEqual([value.sent, missing.length], [1, 1])
  assert.ok(after <= 300, `${after}`)
})

test('a broadcast to one node is complete without an engine if that is this node; else that node is missing', async () => {
  const { nodes: [a, b] } = await createFleet(2)
  a!.open()
  a!.faulty.fault = 'refuse'
  const here = await a!.sockets.broadcast('hello', { node: a!.id })
  assert.deepEqual(here, { value: { sent: 1, queued: 0, dropped: 0 }, complete: true, missing: [] })
  const there = await a!.sockets.broadcast('hello', { node: b!.id })
  assert.deepEqual([there.value.sent, there.complete, there.missing.map(({ node }) => node)], [0, false, [b!.id]])
})

test('a node that is alone, and cannot ask for others, says that its answer is not complete', async () => {
  const rig = await createFleet(1)
  open(rig.nodes[0]!)
  rig.nodes[0]!.faulty.fault = 'hang'
  await rig.clock.run(5_000)
  const { value: { value, complete, missing } } = await settle(rig.clock, rig.nodes[0]!.sockets.broadcast('hello', 'all'))
  assert.deepEqual([value.sent, complete, missing], [1, false, []])
})

test('broadcasts of one node arrive in the order of the calls, on all nodes', async () => {
  const rig = await createFleet(3)
  const pairs = rig.nodes.map((node) => open(node))
  const all = Array.from({ length: 50 }, (_, i) => `${i}`)
  for (const result of all.map((text) => rig.nodes[0]!.sockets.broadcast(text, 'all'))) await settle(rig.clock, result)
  for (const pair of pairs) assert.deepEqual(got(pair), all)
})

test('what is no message, and what is too long, is refused and sent to no node', async () => {
  const rig = await createFleet(2)
  const pairs = rig.nodes.map((node) => open(node))
  for (const data of [undefined, null, 1, {}, [1], 'x'.repeat(2 ** 20 + 1), '€'.repeat(2 ** 19), new Uint8Array(2 ** 20 + 1)]) {
    await assert.rejects(rig.nodes[0]!.sockets.broadcast(data as never, 'all'), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  }
  await rig.clock.run(500)
  assert.deepEqual(pairs.map(got), [[], []])
})

test('a broadcast of another node that is no text is sent to no connection', async () => {
  const { clock, memory, nodes: [a, b] } = await createFleet(2)
  const pair = open(a!)
  const wrong = [{}, { text: 5 }, { text: null }, { text: { length: 3 } }, { bytes: 5 }, { bytes: { length: 3 } }, { bytes: [1, 2, 3] }]
  const { ignored } = a!.sockets
  for (const body of wrong) memory.send([a!.id], writeMessage('ask', b!.id, { id: 1, type: 'broadcast', body: { ...body, filter: 'all' } }))
  await clock.flush()
  assert.deepEqual([got(pair), a!.sockets.ignored - ignored], [[], wrong.length])
})

test('a message of 1 MiB that JSON writes with six times as many characters arrives', async () => {
  const rig = await createFleet(2)
  const pair = open(rig.nodes[1]!)
  const text = '\u0000'.repeat(2 ** 20)
  assert.equal((await settle(rig.clock, rig.nodes[0]!.sockets.broadcast(text, 'all'))).value.value.sent, 1)
  assert.equal((pair.socket.frames[0] as { data: string }).data, text)
})
