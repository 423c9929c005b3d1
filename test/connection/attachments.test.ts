/**
 * What a connection holds for the application: its data and its logger.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createFakeHost } from '../helpers/fake-host.ts'

test('data is an object of its own where none is set', () => {
  const [a, b] = createFakeHost().crowd(2).map(({ connection }) => connection)
  assert.deepEqual([a!.data, b!.data], [{}, {}])
  assert.notEqual(a!.data, b!.data)
})

test('data that is set to nothing reads as an empty object', () => {
  const { connection } = createFakeHost().connect()
  for (const nothing of [undefined, null]) {
    connection.data = nothing as never
    assert.deepEqual(connection.data, {})
    assert.equal(connection.data, connection.data)
  }
})

test('the logger is made when it is first read, once', () => {
  const host = createFakeHost()
  const { connection } = host.connect()
  assert.equal(host.loggers, 0)
  assert.equal(connection.log, connection.log)
  assert.equal(host.loggers, 1)
})
