import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import test from 'node:test'
import { UpgradeTurn } from '../../lib/http/upgrade-turn.ts'

function setUp () {
  const server = createServer()
  const listening = new Set<string>()
  /** Who has taken a handshake for its own route. */
  const taken: string[] = []
  server.on('upgrade', () => {}).on('upgrade', () => {})
  const upgrade = (url: string) => { server.emit('upgrade', { url }) }
  const register = (name: string) => {
    listening.add(name)
    const listener = { goLast () { listening.add(name) }, close () { listening.delete(name) }, takeUnseen () { taken.push(name); return true } }
    return new UpgradeTurn(server, { name }, listener, { has: ({ url }) => url === '/own' })
  }
  return { register, listening, taken, upgrade, server }
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

test('handshakes for its own routes are taken by the application whose turn it is, and by none that is not ready', () => {
  const { register, taken, upgrade, server } = setUp()
  const { emit } = server
  const [first, second] = [register('first'), register('second')]
  upgrade('/own')
  first.take()
  upgrade('/own')
  upgrade('/other')
  second.take()
  upgrade('/own')
  second.leave()
  upgrade('/own')
  assert.deepEqual(taken, ['first', 'second', 'first'])
  first.leave()
  upgrade('/own')
  assert.equal(taken.length, 3)
  assert.equal(server.emit, emit)
  assert.equal(Object.hasOwn(server, 'emit'), false)
})
