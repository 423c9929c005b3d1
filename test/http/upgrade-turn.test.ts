import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import test from 'node:test'
import { UpgradeTurn } from '../../lib/http/upgrade-turn.ts'

function setUp () {
  const server = createServer()
  const listening = new Set<string>()
  const register = (name: string) => {
    listening.add(name)
    return new UpgradeTurn(server, { name }, { goLast () { listening.add(name) }, close () { listening.delete(name) } })
  }
  return { register, listening }
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
