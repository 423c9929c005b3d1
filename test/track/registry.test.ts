import assert from 'node:assert/strict'
import test from 'node:test'
import type { CloseRecord } from '../../lib/connection/connection.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { Registry } from '../../lib/track/registry.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import type { Pair } from '../helpers/fake-host.ts'

/** A connection as far as the registry looks at it. */
function entry (id: number, given: { owner?: string, tags?: string[] } = {}): ManagedConnection {
  return { id, owner: given.owner, tags: new Set(given.tags), state: 'open' } as unknown as ManagedConnection
}

/** A history of so many plain records. */
const keeping = (size: number) => ({ size, owner: false, ip: false })

const RECORD = { cause: 'client' } as CloseRecord

/** A registry of connections with these ids. */
function registryOf (ids: number[]) {
  const registry = new Registry(keeping(0))
  const entries = new Map(ids.map((id) => [id, entry(id)]))
  for (const connection of entries.values()) registry.accepted(connection)
  return { registry, entries, remove: (id: number) => { registry.closed(entries.get(id)!, RECORD) } }
}

test('a connection is found by its id', () => {
  const { registry, entries } = registryOf([3, 5, 8, 100])
  for (const [id, connection] of entries) assert.equal(registry.get(id), connection)
  for (const id of [0, 1, 4, 6, 9, 101, -1, 3.5, NaN, Infinity]) assert.equal(registry.get(id), undefined)
})

test('an empty registry finds nothing', () => {
  assert.equal(new Registry(keeping(0)).get(1), undefined)
})

test('every pattern of holes leaves the others to be found, and only them', () => {
  const ids = [2, 3, 5, 7, 11, 13, 17, 19]
  for (let pattern = 0; pattern < 2 ** ids.length; pattern++) {
    const { registry, entries, remove } = registryOf(ids)
    const removed = new Set(ids.filter((_id, i) => pattern & (1 << i)))
    for (const id of removed) remove(id)
    for (let id = 0; id <= 20; id++) assert.equal(registry.get(id), removed.has(id) ? undefined : entries.get(id), `pattern ${pattern}, id ${id}`)
    assert.equal(registry.size, ids.length - removed.size)
  }
})

for (const [order, pick] of [
  ['the oldest first', (left: number[]) => left.shift()!],
  ['the newest first', (left: number[]) => left.pop()!],
  ['from the middle', (left: number[]) => left.splice(left.length >> 1, 1)[0]!]
] as Array<[string, (left: number[]) => number]>) {
  test(`a thousand leave, ${order}, and each of the rest is found all the time`, () => {
    const left = Array.from({ length: 1000 }, (_, i) => i * 3)
    const { registry, entries, remove } = registryOf(left)
    while (left.length > 0) {
      const id = pick(left)
      remove(id)
      assert.equal(registry.get(id), undefined)
      assert.equal(registry.size, left.length)
      for (const other of [left[0], left.at(-1), left[left.length >> 1]]) {
        if (other !== undefined) assert.equal(registry.get(other), entries.get(other))
      }
    }
    assert.deepEqual([registry.snapshot(), registry.indexSize], [[], 0])
  })
}

test('those that come after many have left are found', () => {
  const { registry, remove } = registryOf(Array.from({ length: 100 }, (_, i) => i + 1))
  for (let id = 1; id <= 90; id++) remove(id)
  const late = entry(200)
  registry.accepted(late)
  assert.equal(registry.get(200), late)
  assert.deepEqual(registry.snapshot().map(({ id }) => id), [91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 200])
})

test('a snapshot stays as it is while connections leave', () => {
  const { registry, remove } = registryOf([1, 2, 3])
  const snapshot = registry.snapshot()
  for (const { id } of snapshot) remove(id)
  assert.deepEqual(snapshot.map(({ id }) => id), [1, 2, 3])
})

test('owners and tags select without a look at the others', () => {
  const host = createFakeHost()
  const [a, b, c] = ['1', '2', '1'].map((owner) => host.connect({ owner }).connection)
  b!.tag('vip')
  c!.tag('vip', 'lobby')
  const { registry } = host
  assert.deepEqual(registry.select({ owner: '1' }), [a, c])
  assert.deepEqual(registry.select({ tag: 'vip' }), [b, c])
  assert.deepEqual(registry.select({ owner: '1', tag: 'vip' }), [c])
  assert.deepEqual(registry.select({ owner: '3' }), [])
  assert.deepEqual(registry.select({ tag: 'none' }), [])
  assert.deepEqual(registry.select('all'), [a, b, c])
  assert.deepEqual(registry.select({ state: 'open' }), [a, b, c])
})

test('an owner of the name of an inherited property is an owner like any other', () => {
  const host = createFakeHost()
  const { connection } = host.connect({ owner: '__proto__' })
  connection.tag('constructor')
  assert.deepEqual(host.registry.select({ owner: '__proto__' }), [connection])
  assert.deepEqual(host.registry.select({ tag: 'constructor' }), [connection])
  assert.deepEqual(host.registry.select({ owner: 'constructor' }), [])
})

test('an owner can be moved, and given up', () => {
  const host = createFakeHost()
  const { connection } = host.connect({ owner: '1' })
  connection.setOwner('2')
  assert.deepEqual([host.registry.select({ owner: '1' }), host.registry.select({ owner: '2' })], [[], [connection]])
  connection.setOwner(undefined)
  assert.deepEqual(host.registry.select({ owner: '2' }), [])
  assert.equal(host.registry.indexSize, 1)
})

test('setting the same owner again keeps it', () => {
  const host = createFakeHost()
  const { connection } = host.connect({ owner: '1' })
  connection.setOwner('1')
  assert.deepEqual(host.registry.select({ owner: '1' }), [connection])
})

test('a tag that is taken away no longer selects', () => {
  const host = createFakeHost()
  const [a, b] = host.crowd(2).map(({ connection }) => connection)
  a!.tag('x')
  b!.tag('x')
  a!.untag('x')
  assert.deepEqual(host.registry.select({ tag: 'x' }), [b])
  b!.untag('x', 'never')
  assert.deepEqual([host.registry.select({ tag: 'x' }), host.registry.indexSize], [[], 2])
})

test('a closed connection leaves nothing in any index', async () => {
  const host = createFakeHost()
  const pairs = host.crowd(40, { owner: '1' })
  for (const { connection } of pairs) connection.tag('a', 'b')
  for (const pair of pairs) await host.leave(pair)
  assert.equal(host.leftovers, 0)
})

test('a filter by id selects one connection, or none', () => {
  const host = createFakeHost()
  const [, { connection }] = host.crowd(3, { owner: '1' }) as [Pair, Pair, Pair]
  assert.deepEqual(host.registry.select({ id: connection.id }), [connection])
  assert.deepEqual(host.registry.select({ id: connection.id, owner: '2' }), [])
  assert.deepEqual(host.registry.select({ id: -1 }), [])
})

test('a wrong filter throws before a connection is looked at', () => {
  assert.throws(() => new Registry(keeping(0)).select({}), { code: 'SOCKETS_ERR_INVALID_FILTER' })
})

test('connections may be closed while a selection is walked through', async () => {
  const host = createFakeHost()
  host.crowd(50, { owner: '1' })
  for (const connection of host.registry.select({ owner: '1' })) {
    void connection.terminate()
    host.clock.tick()
  }
  assert.deepEqual([host.registry.size, host.registry.counters.closed], [0, { application: 50 }])
})

for (const [size, closed, kept] of [[3, 0, []], [3, 2, [1, 2]], [3, 3, [1, 2, 3]], [3, 4, [2, 3, 4]], [3, 8, [6, 7, 8]], [1, 5, [5]], [0, 5, []]] as const) {
  test(`a history of ${size} keeps of ${closed} closed ones the last, oldest first: ${kept.join() || 'none'}`, () => {
    const registry = new Registry(keeping(size))
    for (let id = 1; id <= closed; id++) {
      const connection = entry(id)
      registry.accepted(connection)
      registry.closed(connection, { ...RECORD, id })
    }
    assert.deepEqual(registry.history.find().map(({ id }) => id), kept)
  })
}

test('the history is a copy', () => {
  const registry = new Registry(keeping(2))
  registry.history.find().push(RECORD)
  assert.deepEqual(registry.history.find(), [])
})

test('the counters tell opened, and closed by cause', async () => {
  const host = createFakeHost()
  const [a, b, c] = host.crowd(3)
  await host.leave(a!)
  await host.leave(b!)
  void c!.connection.terminate()
  await host.clock.flush()
  assert.equal(host.registry.counters.opened, 3)
  assert.deepEqual(host.registry.counters.closed, { client: 2, application: 1 })
})

test('a page has the oldest of those that match behind an id, whatever index finds them', () => {
  const { registry, entries } = registryOf([1, 2, 4, 7, 9])
  for (const id of [9, 2, 4]) registry.ownerSet(Object.assign(entries.get(id)!, { owner: 'ann' }), 'ann', undefined)
  const ids = (...args: Parameters<Registry['page']>) => registry.page(...args).map(({ id }) => id)
  assert.deepEqual(ids('all', 0, 3), [1, 2, 4])
  assert.deepEqual(ids('all', 4, 3), [7, 9])
  assert.deepEqual(ids('all', 9, 3), [])
  assert.deepEqual(ids({ owner: 'ann' }, 0, 2), [2, 4])
  assert.deepEqual(ids({ owner: 'ann' }, 2, 2), [4, 9])
  assert.deepEqual(ids({ state: 'open' }, 2, 2), [4, 7])
  assert.deepEqual(ids({ state: 'draining' }, 0, 2), [])
  assert.throws(() => ids({}, 0, 1), { code: 'SOCKETS_ERR_INVALID_FILTER' })
})
