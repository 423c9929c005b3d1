import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import test from 'node:test'
import { WebSocketServer } from 'ws'
import { ApplicationTurn } from '../../lib/http/application-turn.ts'

function setUp () {
  const server = createServer()
  const listening = new Set<string>()
  const register = (name: string) => {
    listening.add(name)
    const listener = { goLast () { listening.add(name) }, close () { listening.delete(name) }, get listening () { return listening.has(name) } }
    return new ApplicationTurn(server, { name }, listener, { has: ({ url }) => url === `/${name}` })
  }
  return { register, listening, server }
}

test('the last application to become ready takes the handshakes alone', () => {
  const { register, listening } = setUp()
  const [first, , third] = [register('first'), register('second'), register('third')]
  third.take()
  assert.deepEqual([...listening], ['third'])
  first.take()
  assert.deepEqual([...listening], ['first'])
})

test('when it leaves, the one before it takes them again, and none that never became ready', () => {
  const { register, listening } = setUp()
  const [first, , third] = [register('first'), register('second'), register('third')]
  first.take()
  third.take()
  third.leave()
  assert.deepEqual([...listening], ['first'])
  first.leave()
  assert.deepEqual([...listening], [])
})

test('one that leaves out of turn changes nothing for the others', () => {
  const { register, listening } = setUp()
  const [first, second] = [register('first'), register('second')]
  first.take()
  second.take()
  first.leave()
  assert.deepEqual([...listening], ['second'])
})

test('a ws server does not see handshakes for the routes of the application whose turn it is, if that listens', () => {
  const { register, listening, server } = setUp()
  const { emit } = server
  const [first, second] = [register('first'), register('second')]
  let seen: string[] = []
  new WebSocketServer({ server }).handleUpgrade = ({ url }) => { seen.push(url!) }
  server.on('upgrade', () => {})
  const seeing = () => {
    seen = []
    for (const url of ['/first', '/second', '/other']) server.emit('upgrade', { url })
    return seen
  }
  assert.deepEqual(seeing(), ['/first', '/second', '/other'])
  first.take()
  assert.deepEqual(seeing(), ['/second', '/other'])
  second.take()
  assert.deepEqual(seeing(), ['/first', '/other'])
  second.leave()
  assert.deepEqual(seeing(), ['/second', '/other'])
  listening.clear()
  assert.deepEqual(seeing(), ['/first', '/second', '/other'])
  first.leave()
  assert.deepEqual(seeing(), ['/first', '/second', '/other'])
  assert.equal(server.emit, emit)
  assert.equal(Object.hasOwn(server, 'emit'), false)
})
