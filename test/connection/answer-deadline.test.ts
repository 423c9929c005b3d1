import assert from 'node:assert/strict'
import test from 'node:test'
import { AnswerDeadline } from '../../lib/connection/answer-deadline.ts'
import { TICK } from '../../lib/base/deadlines.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import { FakeSocket } from '../helpers/fake-socket.ts'

/** A socket whose close frame is out, or waits behind so many bytes; 2000 ms to answer. */
function setup (pending = 0) {
  const host = createFakeHost({ closeTimeout: 2000 })
  const { clock } = host
  const socket = new FakeSocket(clock)
  socket.bytesPending(pending)
  socket.close(1012, 'x')
  const answer = new AnswerDeadline(host, socket.ws, true)
  const start = clock.now()
  /** Milliseconds from the start until the raw socket was destroyed. */
  const cutOffAt = (within: number): number | null => {
    while (clock.now() < start + within) {
      if (socket.destroyed) return clock.now() - start
      clock.tick(TICK)
    }
    return socket.destroyed ? clock.now() - start : null
  }
  return { host, clock, socket, answer, cutOffAt }
}

/** Whether something happened in its time, or up to two ticks after it. */
function about (actual: number | null, expected: number): void {
  assert.ok(actual !== null && actual >= expected && actual <= expected + 2 * TICK, `${actual} ms, not ${expected}`)
}

test('a peer has closeTimeout from when the frame has left', () => {
  about(setup().cutOffAt(10_000), 2000)
})

test('the peer\'s time does not run while the frame waits behind bytes that it reads', () => {
  const { clock, socket, cutOffAt } = setup(100_000)
  // It reads slowly for 20 s, ten times its time.
  for (let i = 1; i <= 40; i++) {
    clock.tick(500)
    assert.equal(socket.destroyed, false, `${i * 500} ms`)
    socket.bytesPending(100_000 - i * 2500)
  }
  const left = 20_000
  const at = cutOffAt(30_000)!
  // A frame that has left is noticed within a quarter of the time.
  assert.ok(at >= left + 2000 && at <= left + 2500 + 2 * TICK, `${at} ms`)
})

test('a peer that reads nothing is cut off when its time is up, though the frame has not left', () => {
  const { socket, cutOffAt } = setup(100_000)
  const at = cutOffAt(30_000)!
  assert.equal(socket.closeFrameSent, false)
  assert.ok(at >= 2000 && at <= 2000 + 5 * TICK, `${at} ms`)
})

test('a peer that stops reading is cut off when it has read nothing for its time', () => {
  const { clock, socket, cutOffAt } = setup(100_000)
  clock.tick(1900)
  socket.bytesPending(50_000)
  const at = cutOffAt(30_000)!
  assert.ok(at >= 1900 + 2000 && at <= 1900 + 2500 + 5 * TICK, `${at} ms`)
})

test('a peer that reads a little at once, then nothing, has its time from then', () => {
  const { clock, socket, cutOffAt } = setup(100_000)
  clock.tick(400)
  socket.bytesPending(50_000)
  const at = cutOffAt(30_000)!
  assert.ok(at >= 400 + 2000, `${at} ms`)
})

test('one byte read in time is progress', () => {
  const { clock, socket, answer, host } = setup(1000)
  for (let i = 1; i < 20; i++) {
    clock.tick(1400)
    socket.bytesPending(1000 - i)
  }
  assert.equal(socket.destroyed, false)
  answer.cancel()
  assert.equal(host.leftovers, 0)
})

test('bytes that are added are no progress', () => {
  const { clock, socket } = setup(1000)
  for (let i = 1; i < 10; i++) {
    clock.tick(500)
    socket.bytesPending(1000 + i)
  }
  assert.equal(socket.destroyed, true)
})

test('a cancelled one cuts no connection off and leaves nothing', () => {
  for (const pending of [0, 1000]) {
    const { clock, socket, answer, host } = setup(pending)
    clock.tick(700)
    answer.cancel()
    answer.cancel()
    assert.equal(host.leftovers, 0)
    clock.tick(10_000)
    assert.equal(socket.destroyed, false)
  }
})

test('after a stall an answer that has arrived is read before the peer is judged', async () => {
  const host = createFakeHost()
  const { connection, socket } = host.connect()
  void connection.close()
  await host.clock.run(1900)
  socket.peerAnswers()
  host.clock.stall(60_000)
  await host.clock.run()
  assert.equal((await connection.closed).clean, true)
})
