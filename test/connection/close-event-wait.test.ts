/**
 * The wait for 'close' of a socket whose raw socket is gone.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setup } from '../helpers/connection-rig.ts'

test('a socket whose receiver is broken and never tells is over after closeTimeout', async () => {
  const { host, connection, socket, clock } = setup()
  socket.broken = true
  socket.rawGone()
  await clock.run(1000)
  assert.notEqual(connection.state, 'closed')
  await clock.run(1100)
  assert.equal((await connection.closed).cause, 'network')
  assert.equal(host.leftovers, 0)
})

test('a socket that tells a little late leaves no deadline', async () => {
  const { host, connection, clock } = setup()
  connection.rawClosed(false)
  await clock.run(100)
  assert.notEqual(host.deadlines.size, 0)
  connection.socketClosed()
  assert.deepEqual([connection.state, host.leftovers], ['closed', 0])
})
