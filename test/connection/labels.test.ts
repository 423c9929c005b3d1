/**
 * What a connection is known by: its id, the facts of its handshake, its owner and tags.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { FastifyRequest } from 'fastify'
import { createFakeHost } from '../helpers/fake-host.ts'

test('ids are numbers and grow', () => {
  const [a, b] = createFakeHost().crowd(2).map(({ connection }) => connection.id)
  assert.ok(Number.isSafeInteger(a) && b! > a!)
})

test('ids are unique in the process, not only on one server', () => {
  const [a, b] = [createFakeHost().connect().connection, createFakeHost().connect().connection]
  assert.notEqual(a.id, b.id)
})

test('a connection knows what the handshake told', () => {
  const host = createFakeHost()
  const request = {} as FastifyRequest
  const { connection, socket } = host.connect({ route: '/rooms/:id', ip: '10.0.0.1', requestId: 'req-7', request })
  const { route, ip, requestId, openedAt } = connection
  assert.deepEqual({ route, ip, requestId, openedAt }, { route: '/rooms/:id', ip: '10.0.0.1', requestId: 'req-7', openedAt: host.clock.wallNow() })
  assert.equal(connection.request, request)
  assert.equal(connection.socket, socket.ws)
})

test('a connection has no owner until it is known', () => {
  const { connection } = createFakeHost().connect()
  assert.equal(connection.owner, undefined)
  connection.setOwner('42')
  assert.equal(connection.owner, '42')
})

for (const [state, stays] of [['open', true], ['draining', true], ['closing', false], ['closed', false]] as const) {
  test(`setOwner answers ${stays} when ${state}`, async () => {
    const host = createFakeHost()
    const { connection } = host.connect()
    if (state !== 'open') connection.startDraining()
    if (state === 'closing' || state === 'closed') connection.end('drain', 1012, '')
    if (state === 'closed') connection.socketClosed()
    assert.equal(connection.state, state)
    assert.equal(connection.setOwner('42'), stays)
    assert.equal(connection.owner, '42')
    assert.equal(host.registry.select({ owner: '42' }).length, state === 'closed' ? 0 : 1)
  })
}

test('an owner or a tag set on a closed connection leaves nothing in the indexes', () => {
  const host = createFakeHost()
  const { connection } = host.connect({ owner: '1' })
  connection.tag('a')
  connection.socketClosed()
  connection.setOwner('2')
  connection.setOwner('3')
  connection.setOwner(undefined)
  connection.tag('b')
  connection.untag('a', 'b')
  assert.equal(host.registry.indexSize, 0)
})

for (const owner of [42, null, {}, Symbol('x')]) {
  test(`an owner may not be ${String(owner)}`, () => {
    const host = createFakeHost()
    const { connection } = host.connect({ owner: '1' })
    assert.throws(() => connection.setOwner(owner as never), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
    assert.deepEqual(host.registry.select({ owner: '1' }), [connection])
  })
}

test('a connection that cannot be made leaves nothing', () => {
  const host = createFakeHost()
  assert.throws(() => host.connect({ owner: 42 as never }), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  assert.deepEqual([host.leftovers, host.registry.counters.opened], [0, 0])
})

test('tags are added and taken away', () => {
  const { connection } = createFakeHost().connect()
  connection.tag('a', 'b', 'a')
  connection.untag('b', 'never')
  assert.deepEqual([...connection.tags], ['a'])
})

test('tags of one connection are not those of another', () => {
  const [a, b] = createFakeHost().crowd(2).map(({ connection }) => connection)
  a!.tag('x')
  assert.equal(b!.tags.size, 0)
})

test('tags that were read do not change', () => {
  const { connection } = createFakeHost().connect()
  connection.tag('a')
  const before = connection.tags
  connection.tag('b')
  assert.deepEqual([...before], ['a'])
})

test('every tag can be taken away in a loop over them', () => {
  const { connection } = createFakeHost().connect()
  connection.tag('a', 'b', 'c')
  for (const tag of connection.tags) connection.untag(tag)
  assert.equal(connection.tags.size, 0)
})

for (const tag of [undefined, null, 5, ['a']]) {
  test(`a tag may not be ${JSON.stringify(tag)}, and then none is added`, () => {
    const { connection } = createFakeHost().connect()
    assert.throws(() => { connection.tag('ok', tag as never) }, { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
    assert.equal(connection.tags.size, 0)
  })
}

test('what JSON shows of a connection is enough to find it, and nothing private', () => {
  const { connection } = createFakeHost().connect({ route: '/x', owner: '42', ip: '10.0.0.1' })
  connection.data = { secret: 1 } as object
  const { id, openedAt } = connection
  assert.deepEqual(JSON.parse(JSON.stringify({ connection })), { connection: { id, route: '/x', state: 'open', openedAt } })
})
