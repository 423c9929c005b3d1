/**
 * The heartbeat and sockets that the application has paused: their pongs cannot be seen, so they are asked, never judged.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createHeartbeat, isDead, pingsOf, timeToDeath } from '../helpers/heartbeat-rig.ts'

test('a paused socket is pinged once an interval and never judged', () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 1 })
  const { connection, socket } = open({ peer: 'answers' })
  socket.pause()
  clock.tick(100_000)
  assert.equal(connection.state, 'open')
  assert.ok(pingsOf(socket) >= 98 && pingsOf(socket) <= 101, `${pingsOf(socket)} pings`)
})

test('a paused socket whose peer reads nothing gets no more pings than one', () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 1 })
  const { connection, socket } = open({ peer: 'stuck' })
  socket.pause()
  clock.tick(100_000)
  assert.deepEqual([connection.state, pingsOf(socket)], ['open', 1])
})

test('a paused socket that is reset is seen at once, heartbeat or not', async () => {
  const { clock, open } = createHeartbeat()
  const { connection, socket } = open()
  socket.pause()
  clock.tick(10_000)
  socket.rawGone()
  await clock.flush()
  assert.equal((await connection.closed).cause, 'network')
})

for (const pause of [10, 499, 1_000, 2_345, 60_000]) {
  test(`a connection that is resumed after ${pause} ms has its time, and is kept if it answers`, () => {
    for (const phase of [0, 240, 260, 501, 760, 990]) {
      const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 1 })
      const well = open({ peer: 'answers' })
      const gone = open()
      clock.tick(phase)
      for (const { socket } of [well, gone]) socket.pause()
      clock.tick(pause)
      assert.equal(isDead(gone), false)
      for (const { socket } of [well, gone]) socket.resume()
      assert.ok(timeToDeath(clock, gone, 2_000) <= 2_000)
      clock.tick(3_000)
      assert.equal(well.connection.state, 'open')
    }
  })
}

test('a socket that is paused and resumed all the time, and answers, is never killed', () => {
  for (const [on, off] of [[10, 490], [250, 250], [490, 10], [700, 1], [49, 51]] as const) {
    const { clock, open } = createHeartbeat({ interval: 200, maxMissed: 1 })
    const { connection, socket } = open({ peer: 'answers' })
    for (let i = 0; i < 200; i++) {
      socket.pause()
      clock.tick(on)
      socket.resume()
      clock.tick(off)
    }
    assert.equal(connection.state, 'open', `paused ${on} of ${on + off} ms`)
  }
})

test('a socket that is paused between the last look and the end is not killed: its pong may be there unread', () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 1 })
  const { connection, socket } = open()
  while (pingsOf(socket) === 0) clock.tick(50)
  clock.tick(1_000 - 50)
  clock.stall(50)
  clock.turn()
  // The look is over, the last reading is not.
  socket.pause()
  socket.peerPongs()
  clock.tick(10)
  assert.equal(connection.state, 'open')
  socket.resume()
  clock.tick(100)
  assert.equal(connection.state, 'open')
})
