/**
 * Clients that send pings and do not read the pongs.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { PongBacklog } from '../../lib/limit/pong-backlog.ts'
import { createFakeHost } from '../helpers/fake-host.ts'

function setup () {
  const host = createFakeHost()
  const backlog = new PongBacklog(host)
  host.hooks.add(backlog, 'pongsWait', 'closing')
  return { host, backlog, clock: host.clock, ...host.connect() }
}

test('a client whose pongs wait is cut off after two ticks of running time in which it takes nothing', async () => {
  const { host, connection, socket, clock } = setup()
  socket.pongsWait = true
  socket.bytesPending(10_000)
  connection.pongsWait()
  connection.pongsWait()
  await clock.run(99)
  assert.equal(connection.state, 'open')
  await clock.run(51)
  assert.deepEqual([(await connection.closed).cause, host.leftovers], ['slow', 0])
})

test('a stall is no time in which a client takes no pongs, and one that takes them stays', async () => {
  const { host, connection, socket, clock } = setup()
  socket.pongsWait = true
  connection.pongsWait()
  clock.stall(60_000)
  // The timers run first, then what had arrived: the pongs leave.
  clock.input(() => { socket.pongsWait = false })
  await clock.run(500)
  assert.deepEqual([connection.state, host.running.size, clock.pendingTimers], ['open', 0, 0])
})

test('a client that takes its pongs slowly stays for as long as it does', async () => {
  const { connection, socket, clock } = setup()
  socket.pongsWait = true
  connection.pongsWait()
  for (let i = 0; i < 20; i++) {
    socket.bytesWritten += 10
    await clock.run(50)
    assert.equal(connection.state, 'open')
  }
  await clock.run(300)
  assert.equal(connection.state, 'closed')
})

test('a client that takes its pongs slowly and sends pings fast is cut off after two ticks: they would fill the memory', async () => {
  const { connection, socket, clock } = setup()
  socket.pongsWait = 3.9
  connection.pongsWait()
  for (const waits of [3.9, 4]) {
    assert.equal(connection.state, 'open')
    socket.pongsWait = waits
    for (let i = 0; i < 2; i++) {
      socket.bytesWritten += 10
      await clock.run(50)
    }
    socket.bytesWritten += 10
    await clock.run(10)
  }
  assert.equal((await connection.closed).cause, 'slow')
})

test('a client whose pongs wait when a drain begins is cut off all the same', async () => {
  const { connection, socket, clock } = setup()
  socket.pongsWait = true
  socket.bytesPending(10_000)
  connection.pongsWait()
  connection.startDraining()
  connection.incoming.stop()
  await clock.run(150)
  assert.equal((await connection.closed).cause, 'slow')
})

test('nothing is kept of pongs that wait when the connection closes', async () => {
  const { host, connection, socket, clock } = setup()
  socket.pongsWait = true
  connection.pongsWait()
  void connection.close()
  connection.pongsWait()
  socket.peerAnswers()
  await clock.flush()
  assert.equal(host.leftovers, 0)
})
