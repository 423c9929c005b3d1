/**
 * Faults: errors of listeners and handlers.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { fault, handlerFailed } from '../../lib/connection/faults.ts'
import { bring, setup } from '../helpers/connection-rig.ts'
import { createFakeHost } from '../helpers/fake-host.ts'

test('a fault is counted, reported, told, and closes with 1011', () => {
  const { host, connection, socket, heard } = setup()
  const error = new Error('of a listener')
  fault(connection, error)
  assert.deepEqual([host.registry.counters.faults, host.reports], [1, [[error, connection]]])
  assert.deepEqual(socket.closeFrame, { code: 1011, reason: 'internal error' })
  assert.ok(heard().includes('error'))
})

test('the code of a fault can be chosen', () => {
  const host = createFakeHost({ errorCode: 4500 })
  const { connection, socket } = host.connect()
  fault(connection, new Error('x'))
  assert.equal(socket.closeFrame!.code, 4500)
})

test('after a fault the connection is mute', async () => {
  const { connection, socket, clock } = setup()
  socket.peerSends('before')
  await clock.flush()
  fault(connection, new Error('x'))
  socket.peerSends('after')
  await clock.flush()
  assert.deepEqual(socket.delivered, ['before'])
})

test('a handler that fails before anything was received is cut off without a code, and mute', async () => {
  const { host, connection, socket, clock } = setup()
  handlerFailed(connection, new Error('x'))
  // ws reads what has arrived when its raw socket is destroyed.
  assert.equal(connection.received(Buffer.from('late'), false), false)
  await clock.flush()
  assert.deepEqual([socket.frames, socket.destroyed], [[], true])
  const { cause, code } = await connection.closed
  assert.deepEqual([cause, code, host.registry.counters.faults, host.reports.length], ['error', 1006, 1, 1])
})

test('a handler that fails afterwards closes with 1011', async () => {
  const { connection, socket, clock } = setup()
  socket.peerSends('x')
  await clock.flush()
  handlerFailed(connection, new Error('x'))
  assert.equal(socket.closeFrame!.code, 1011)
})

for (const thrown of [null, undefined, 0, 'text', Object.defineProperty({}, 'name', { get () { throw new Error('gotcha') } })]) {
  for (const state of ['open', 'closing'] as const) {
    test(`a fault may be anything thrown, when ${state}: ${typeof thrown} ${JSON.stringify(thrown)}`, async () => {
      const { host, connection, socket } = setup()
      await bring({ connection, socket }, host, state)
      fault(connection, thrown)
      assert.deepEqual([host.registry.counters.faults, host.reports], [1, [[thrown, connection]]])
    })
  }
}

test('while closing, the reason of the signal and an AbortError are no faults', async () => {
  const { host, connection } = setup()
  const { signal } = connection
  void connection.close()
  fault(connection, signal.reason)
  fault(connection, new DOMException('The operation was aborted', 'AbortError'))
  handlerFailed(connection, signal.reason)
  assert.deepEqual([host.registry.counters.faults, host.reports], [0, []])
  assert.deepEqual(host.logs.map(({ level }) => level), ['debug', 'debug', 'debug'])
})

test('while draining, an abort is known by its name alone, and what has no readable name is a fault', () => {
  const { host, connection } = setup()
  connection.startDraining()
  fault(connection, Object.assign(new Error('x'), { name: 'AbortError' }))
  handlerFailed(connection, Object.assign(new Error('x'), { name: 'AbortError' }))
  assert.deepEqual([host.registry.counters.faults, connection.state], [0, 'draining'])
  const unreadable: unknown = Object.defineProperty({}, 'name', { get () { throw new Error('no name') } })
  const faults = [null, undefined, 'AbortError', new Error('AbortError'), {}, 0, unreadable]
  for (const error of faults) fault(connection, error)
  assert.deepEqual(host.reports.map(([error]) => error), faults)
})

test('while open, an AbortError is a fault', () => {
  const { host, connection } = setup()
  fault(connection, new DOMException('The operation was aborted', 'AbortError'))
  assert.equal(host.registry.counters.faults, 1)
})

test('a fault while closing is reported, and changes nothing else', () => {
  const { host, connection, socket } = setup()
  connection.end('drain', 1012, '')
  fault(connection, new Error('x'))
  assert.deepEqual([host.reports.length, socket.frames.length], [1, 1])
})
