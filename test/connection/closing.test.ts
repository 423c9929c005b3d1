/**
 * How a connection closes: by whom, with which code and cause, and what the record says of it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { CloseRecord } from '../../lib/connection/connection.ts'
import { ENDS, setup } from '../helpers/connection-rig.ts'
import { createFakeHost } from '../helpers/fake-host.ts'

for (const [what, end, expected] of ENDS) {
  test(`${what} leaves a record that says so, and nothing else`, async () => {
    const { host, connection, socket, clock } = setup()
    end({ connection, socket })
    await clock.flush()
    const record = await connection.closed
    for (const [key, value] of Object.entries(expected)) assert.equal(record[key as keyof CloseRecord], value, key)
    assert.deepEqual(host.registry.history.find(), [record])
    assert.equal(host.leftovers, 0)
  })
}

test('a peer\'s reason is escaped in the record', async () => {
  const { connection, socket, clock } = setup()
  socket.peerCloses(1000, 'a\nb')
  await clock.flush()
  assert.equal((await connection.closed).reason, 'a\\u000ab')
})

test('the record tells traffic, messages and how long it was', async () => {
  const { connection, socket, clock } = setup({ route: '/x' })
  socket.peerSends('12345')
  await clock.run(1500)
  socket.send('123')
  socket.peerCloses()
  await clock.flush()
  const { route, bytesReceived, bytesSent, messages, duration } = await connection.closed
  assert.deepEqual({ route, bytesReceived, bytesSent, messages, duration }, { route: '/x', bytesReceived: 5, bytesSent: 7, messages: 1, duration: 1500 })
})

test('setting the wall clock changes no duration', async () => {
  for (const step of [3_600_000, -3_600_000]) {
    const host = createFakeHost()
    const { connection } = host.connect()
    host.clock.tick(1_000)
    host.clock.setWall(host.clock.wallNow() + step)
    void connection.terminate()
    await host.clock.flush()
    assert.equal((await connection.closed).duration, 1_000)
  }
})

test('what arrives after our close frame is not delivered, and counted', async () => {
  const { connection, socket, clock } = setup()
  void connection.close()
  socket.peerSends('late').peerSends('later').peerAnswers()
  await clock.flush()
  assert.deepEqual(socket.delivered, [])
  const { messages, dropped } = await connection.closed
  assert.deepEqual([messages, dropped], [0, 2])
})

test('a paused socket is resumed when it closes: it would hide the peer\'s answer', async () => {
  const { connection, socket, clock } = setup()
  socket.pause()
  void connection.close()
  socket.peerAnswers()
  await clock.flush()
  assert.equal(connection.state, 'closed')
})

test('a peer that never answers is cut off after closeTimeout', async () => {
  const { host, connection, socket, clock } = setup()
  const closed = connection.close()
  await clock.run(1999)
  assert.equal(socket.destroyed, false)
  await clock.run(51)
  assert.equal(socket.destroyed, true)
  assert.equal((await closed).clean, false)
  assert.equal(host.leftovers, 0)
})

test('a peer that answers but leaves TCP open is cut off too', async () => {
  const { connection, socket, clock } = setup()
  void connection.close()
  socket.closeFrameReceived = true
  connection.peerClosing(1000, '')
  await clock.run(2050)
  assert.equal((await connection.closed).clean, true)
})

test('a client that closes and leaves TCP open is cut off', async () => {
  const { connection, clock } = setup()
  connection.peerClosing(1000, '')
  await clock.run(2050)
  assert.equal(connection.state, 'closed')
})

test('terminate cuts a closing handshake short; the first cause stands', async () => {
  const { connection, socket, clock } = setup()
  connection.end('drain', 1012, '')
  void connection.terminate()
  await clock.flush()
  assert.equal(socket.destroyed, true)
  assert.equal((await connection.closed).cause, 'drain')
})
