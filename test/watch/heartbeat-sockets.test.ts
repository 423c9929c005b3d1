/**
 * The heartbeat and what sockets do: a ping that cannot leave, a stream without a kernel socket, states,
 * round trips, settings that differ, and that nothing is left behind.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createHeartbeat, isDead, pingsOf, tickWhile, timeToDeath } from '../helpers/heartbeat-rig.ts'
import { NO_SETTINGS } from '../helpers/fake-host.ts'

const HEARTBEAT = { interval: 1_000, maxMissed: 2 }
const BOUND = 3_000

// ——— a ping that cannot leave

test('a ping that cannot leave, with a peer that takes nothing, ends within the bound', () => {
  for (const phase of [0, 130, 499]) {
    const { clock, open } = createHeartbeat()
    const pair = open()
    clock.tick(phase)
    pair.socket.bytesPending(1_000_000)
    assert.ok(timeToDeath(clock, pair, BOUND) <= BOUND, `phase ${phase}`)
    assert.equal(pingsOf(pair.socket), 1)
  }
})

test('while the peer takes what is before the ping, slowly but steadily, it is alive', () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 1 })
  const { connection, socket } = open()
  socket.bytesPending(1_000_000)
  for (let i = 0; i < 100; i++) {
    clock.tick(500)
    socket.bytesPending(socket.pending - 1)
  }
  assert.equal(connection.state, 'open')
  // One ping waits; no more are put behind it.
  assert.equal(pingsOf(socket), 1)
})

test('once it takes nothing any more it is dead within the bound', () => {
  const { clock, open } = createHeartbeat()
  const pair = open()
  pair.socket.bytesPending(1_000_000)
  for (let i = 0; i < 20; i++) {
    clock.tick(333)
    pair.socket.bytesPending(pair.socket.pending - 10)
  }
  const took = timeToDeath(clock, pair, BOUND)
  assert.ok(took <= BOUND, `${took} ms`)
  assert.ok(took > 2_000, `${took} ms`)
})

test('what waits on our side says nothing of the peer: more of it is no progress', () => {
  const { clock, open } = createHeartbeat()
  const pair = open({ peer: 'stuck' })
  for (let i = 0; i < 5; i++) {
    clock.tick(500)
    pair.socket.send('more')
  }
  assert.ok(timeToDeath(clock, pair, BOUND) <= BOUND - 2_500)
})

test('looks are counted from when the ping has left', () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 2 })
  const { connection, socket } = open()
  socket.bytesPending(100)
  tickWhile(clock, () => pingsOf(socket) === 0)
  // Two looks more, then it leaves at last: from here it has its whole two intervals.
  clock.tick(1_400)
  socket.bytesPending(0)
  clock.tick(1_999)
  assert.equal(connection.state, 'open')
  clock.tick(502)
  assert.equal(connection.state, 'closed')
})

test('a peer that answers a late ping late lives', () => {
  const { clock, open } = createHeartbeat()
  const { connection, socket } = open()
  for (let i = 0; i < 20; i++) {
    socket.bytesPending(100)
    clock.tick(1_900)
    socket.bytesPending(0)
    socket.peerPongs()
    clock.tick(0)
  }
  assert.equal(connection.state, 'open')
})

test('a message that arrives slowly, in parts, is life for as long as it takes', () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 1 })
  const pair = open()
  for (let i = 0; i < 500; i++) {
    clock.tick(490)
    pair.socket.peerSendsBytes(1)
  }
  assert.equal(pair.connection.state, 'open')
  assert.ok(timeToDeath(clock, pair, 2_000) <= 2_000)
})

// ——— who is watched

test('a stream without a kernel socket is neither pinged nor killed, and costs no timer', () => {
  const { host, clock, open } = createHeartbeat()
  const { connection, socket } = open({ handle: false })
  assert.equal(clock.pendingTimers, 0)
  clock.tick(100_000)
  assert.deepEqual([connection.state, pingsOf(socket), socket.keptAlive, host.running.size], ['open', 0, 0, 0])
})

test('where the heartbeat is off no connection is pinged, kept alive or killed', () => {
  const { host, clock, open } = createHeartbeat(false)
  const { connection, socket } = open()
  clock.tick(100_000)
  assert.deepEqual([connection.state, pingsOf(socket), socket.keptAlive, host.running.size], ['open', 0, 0, 0])
  connection.end('application', 1000, '')
})

test('the kernel is told to look for silent peers, too, after an interval', () => {
  for (const interval of [100, 25_000]) {
    const { clock, open } = createHeartbeat({ interval, maxMissed: 2 })
    const { socket } = open()
    assert.equal(socket.keptAlive, 0, 'not in the handshake')
    clock.tick(interval / 2 + 100)
    assert.equal(socket.keptAlive, interval)
  }
})

test('a draining connection is still watched', () => {
  const { clock, open } = createHeartbeat()
  const pair = open()
  pair.connection.startDraining()
  assert.ok(timeToDeath(clock, pair, BOUND) <= BOUND)
  assert.equal(pingsOf(pair.socket), 1)
})

test('a closing connection is neither pinged nor judged: its close has its own deadline', async () => {
  const { host, clock, open } = createHeartbeat({ interval: 100, maxMissed: 1 })
  const { connection, socket } = open()
  connection.end('application', 4000, 'bye')
  assert.equal(host.running.size, 0)
  clock.tick(1_500)
  assert.deepEqual([connection.state, pingsOf(socket)], ['closing', 0])
  await clock.run(10_000)
  assert.equal((await connection.closed).cause, 'application')
})

test('one that starts to close between the last look and the end keeps its own cause', async () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 1 })
  const { connection, socket } = open()
  tickWhile(clock, () => pingsOf(socket) === 0)
  clock.tick(1_000 - 50)
  clock.stall(50)
  clock.turn()
  socket.peerCloses(1001)
  await clock.run(5_000)
  const { cause, code } = await connection.closed
  assert.deepEqual([cause, code], ['client', 1001])
})

// ——— round trips

test('the round trip is that from ping to pong, and the last one counts', () => {
  const { clock, open } = createHeartbeat()
  const { connection, socket } = open()
  for (const rtt of [30, 200, 7]) {
    const before = pingsOf(socket)
    tickWhile(clock, () => pingsOf(socket) === before)
    const past = clock.now() % 50
    clock.tick(rtt)
    socket.peerPongs()
    clock.tick(0)
    assert.ok(Math.abs(connection.rtt! - rtt) <= past + 1, `${connection.rtt} for ${rtt}`)
  }
})

test('the time in our own queue is no part of the round trip', () => {
  const { clock, open } = createHeartbeat()
  const { connection, socket } = open()
  socket.bytesPending(100)
  tickWhile(clock, () => pingsOf(socket) === 0)
  clock.tick(400)
  socket.bytesPending(0)
  clock.tick(25)
  socket.peerPongs()
  clock.tick(0)
  assert.equal(connection.rtt, 25)
})

test('pongs of other heartbeats are life, but no round trip of ours', () => {
  const { clock, open } = createHeartbeat()
  const { connection, socket } = open()
  for (let i = 0; i < 30; i++) {
    clock.tick(490)
    socket.peerPongs({ ours: false })
  }
  assert.deepEqual([connection.state, connection.rtt], ['open', undefined])
})

test('after asking anew the pong of the lost ping is no round trip of the new one', () => {
  const { clock, open } = createHeartbeat(HEARTBEAT)
  const { connection, socket } = open()
  tickWhile(clock, () => pingsOf(socket) === 0)
  clock.tick(100)
  clock.setWall(clock.wallNow() + 60_000)
  tickWhile(clock, () => pingsOf(socket) === 1)
  clock.tick(5)
  // To the first; that to the second follows 300 ms later.
  socket.peerPongs()
  clock.tick(295)
  assert.notEqual(connection.rtt, 5)
  socket.peerPongs()
  clock.tick(0)
  assert.ok(connection.rtt === undefined || connection.rtt >= 300, `${connection.rtt} ms`)
})

// ——— settings that differ, nothing left

test('connections under different settings are watched by their own', () => {
  const { clock, open } = createHeartbeat({ interval: 1_000, maxMissed: 2 })
  const slow = open()
  const fast = open({ settings: { ...NO_SETTINGS, heartbeat: { interval: 200, maxMissed: 1 }, idleTimeout: false, maxLifetime: false } })
  const patient = open({ settings: { ...NO_SETTINGS, heartbeat: { interval: 200, maxMissed: 20 }, idleTimeout: false, maxLifetime: false } })
  const never = open({ settings: { ...NO_SETTINGS, heartbeat: false, idleTimeout: false, maxLifetime: false } })
  assert.ok(timeToDeath(clock, fast, 400) <= 400)
  assert.ok(timeToDeath(clock, slow, BOUND) <= BOUND)
  assert.equal(isDead(patient), false)
  assert.ok(timeToDeath(clock, patient, 4_200) <= 4_200)
  assert.deepEqual([never.connection.state, pingsOf(never.socket)], ['open', 0])
})

test('when the last one of a kind goes, its timer goes; when all have gone, none is left', async () => {
  const { host, clock, open } = createHeartbeat()
  const a = open({ peer: 'answers' })
  const b = open({ peer: 'answers', settings: { ...NO_SETTINGS, heartbeat: { interval: 5_000, maxMissed: 1 }, idleTimeout: false, maxLifetime: false } })
  assert.deepEqual([clock.pendingTimers, clock.refedTimers], [2, 0])
  await host.leave(a)
  assert.equal(clock.pendingTimers, 1)
  await host.leave(b)
  assert.deepEqual([host.leftovers, clock.idle], [0, true])
})

test('a connection that opens after a rest is watched, too', () => {
  const { host, clock, open } = createHeartbeat()
  for (let round = 0; round < 3; round++) {
    const pair = open()
    assert.ok(timeToDeath(clock, pair, BOUND) <= BOUND)
    clock.tick(77_777)
    assert.equal(host.leftovers, 0)
  }
})
