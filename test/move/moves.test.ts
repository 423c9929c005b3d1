/**
 * Moves on fake sockets: how clients are asked, what their control frames do, and what happens to the connection that they leave.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Pair } from '../helpers/fake-host.ts'
import { createJob } from '../helpers/job.ts'
import { asksOf, controlFrame, MOVED, rig } from '../helpers/mover.ts'
import type { MoveRig } from '../helpers/mover.ts'

/** Checks that nothing is left once all connections have closed. */
async function assertClean ({ clock, tracker }: MoveRig): Promise<void> {
  await clock.run(10)
  assert.deepEqual([tracker.size, tracker.leftovers], [0, 0])
}

// ——— asking

test('a client that has offered is asked, and moves', async () => {
  const all = rig()
  const { clock, tracker, connect } = all
  const { connection, socket } = connect()
  const moving = connection.move()
  const [frame] = asksOf(socket)
  assert.equal(frame?.in, 0)
  socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(await moving, true)
  assert.deepEqual(socket.closeFrame, { code: 1012, reason: 'moved' })
  assert.deepEqual(tracker.history.map(({ cause, code, reason, clean }) => ({ cause, code, reason, clean })), [{ cause: 'moved', code: 1012, reason: 'moved', clean: true }])
  assert.deepEqual(tracker.stats().closed, { moved: 1 })
  await assertClean(all)
})

test('a client that has not offered is not asked', async () => {
  const { open, moves } = rig()
  const { connection, socket } = open()
  assert.equal(await connection.move(), false)
  assert.equal(moves.ask(connection, 0), false)
  assert.equal(moves.moved(connection), false)
  assert.deepEqual(socket.frames, [])
})

test('with drain: { move: false } no client is asked', async () => {
  const { connect } = rig({ drain: { move: false } })
  const { connection, socket } = connect()
  assert.equal(await connection.move(), false)
  assert.deepEqual(socket.frames, [])
})

test('each connection has an id of its own; asked again, it gets the same with another delay', () => {
  const { connect, moves } = rig()
  const [one, two] = [connect(), connect()]
  assert.ok(moves.ask(one.connection, 4_000.4))
  assert.ok(moves.ask(one.connection, -3))
  assert.ok(moves.ask(two.connection, 0))
  const [first, second] = asksOf(one.socket)
  // Not less than its turn.
  assert.deepEqual([first?.in, second?.in], [4_001, 0])
  assert.equal(first?.id, second?.id)
  assert.notEqual(first?.id, asksOf(two.socket)[0]?.id)
})

test('no client is asked in the middle of a fragmented message, or on a socket that is not open', async () => {
  const { connect, moves } = rig()
  const { connection, socket } = connect()
  socket.send('begin', { fin: false })
  assert.equal(moves.ask(connection, 0), false)
  assert.equal(await connection.move(), false)
  socket.send('end')
  socket.readyState = socket.CLOSING
  assert.equal(moves.ask(connection, 0), false)
})

test('two calls of move() ask once, and get one answer', async () => {
  const { clock, connect } = rig()
  const { connection, socket } = connect()
  const both = Promise.all([connection.move(), connection.move()])
  assert.equal(asksOf(socket).length, 1)
  socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(await both, [true, true])
  assert.equal(await connection.move(), false, 'a connection that is closed cannot move')
})

test('a client that does not move within 5 s goes on where it is, and may move later', async () => {
  const all = rig()
  const { clock, connect } = all
  const { connection, socket } = connect()
  let result: boolean | undefined
  void connection.move().then((moved) => { result = moved })
  await clock.run(4_999)
  assert.equal(result, undefined)
  await clock.run(100)
  assert.equal(result, false)
  assert.equal(connection.state, 'open')
  socket.peerSends('hello')
  await clock.flush()
  assert.deepEqual(socket.delivered, ['hello'])
  const again = connection.move()
  assert.equal(asksOf(socket).length, 2)
  socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(await again, true)
  await assertClean(all)
})

test('a client that moves after the 5 s has moved', async () => {
  const all = rig()
  const { clock, connect, tracker } = all
  const { connection, socket } = connect()
  const moving = connection.move()
  await clock.run(6_000)
  assert.equal(await moving, false)
  socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(tracker.stats().closed, { moved: 1 })
  await assertClean(all)
})

for (const [how, end] of Object.entries<(pair: Pair) => unknown>({
  'the client closes it': ({ socket }) => socket.peerCloses(),
  'the network ends': ({ socket }) => socket.rawGone(),
  'the application closes it': ({ connection }) => connection.close()
})) {
  test(`move() resolves with false if the connection ends first: ${how}`, async () => {
    const all = rig()
    const { clock, connect, tracker } = all
    const pair = connect()
    const moving = pair.connection.move()
    end(pair)
    assert.notEqual(await Promise.race([moving, clock.run(100)]), true)
    assert.equal(await moving, false)
    assert.equal(tracker.stats().closed.moved, undefined)
    await assertClean(all)
  })
}

test('move() called on a connection that has moved and still works resolves with true', async () => {
  const { clock, connect, moves } = rig()
  const { connection, socket } = connect()
  const job = createJob()
  void connection.track(job.promise)
  void connection.move()
  socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(moves.moved(connection), true)
  assert.equal(moves.ask(connection, 0), true)
  assert.equal(await connection.move(), true)
  assert.equal(asksOf(socket).length, 1, 'it is not asked again')
})

// ——— the connection that is left

test('it gets no broadcasts, and its work is waited for', async () => {
  const all = rig()
  const { clock, connect, tracker } = all
  const [old, next] = [connect(), connect()]
  const job = createJob()
  void old.connection.track(job.promise)
  void old.connection.move()
  void tracker.broadcast('before', 'all')
  old.socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(await tracker.broadcast('after', 'all'), { sent: 1, queued: 0, dropped: 0 })
  old.socket.send('the answer of the work')
  const messages = ({ socket }: Pair) => socket.frames.flatMap((frame) => frame.type === 'message' && !String(frame.data).startsWith('\u0001') ? [String(frame.data)] : [])
  assert.deepEqual(messages(old), ['before', 'the answer of the work'])
  assert.deepEqual(messages(next), ['before', 'after'])
  assert.equal(old.connection.state, 'draining')
  await clock.run(1_000)
  assert.equal(old.connection.state, 'draining')
  job.done()
  await clock.flush()
  assert.deepEqual(old.socket.closeFrame, { code: 1012, reason: 'moved' })
  assert.equal(next.connection.state, 'open')
  void next.connection.close()
  await assertClean(all)
})

test('a broadcast under way is sent to it first: the new connection may have come too late for it', async () => {
  const { clock, connect, tracker, moves } = rig()
  const crowd = Array.from({ length: 10 }, () => connect())
  const old = crowd.at(-1)!
  const job = createJob()
  void old.connection.track(job.promise)
  assert.ok(moves.ask(old.connection, 0))
  // The first of them takes the whole slice.
  const { send } = crowd[0]!.socket
  crowd[0]!.socket.send = function (...args) { send.apply(this, args); clock.stall(50) }
  const sent = tracker.broadcast('under way', 'all')
  assert.equal(old.socket.frames.length, 1, 'only the question so far')
  old.socket.take!(Buffer.from(MOVED))
  assert.equal(old.socket.frames.length, 2)
  await clock.flush()
  assert.deepEqual(await sent, { sent: 10, queued: 0, dropped: 0 })
})

test('it drains: drainSignal is aborted, and work that this causes is waited for', async () => {
  const { clock, connect, tracker } = rig()
  const { connection, socket } = connect()
  const job = createJob()
  const draining: number[] = []
  tracker.on('draining', ({ id }) => { draining.push(id) })
  connection.drainSignal.addEventListener('abort', () => { void connection.track(job.promise) })
  void connection.move()
  socket.peerSends(MOVED)
  await clock.run(1_000)
  assert.deepEqual(draining, [connection.id])
  assert.equal(connection.state, 'draining')
  job.done()
  await clock.flush()
  assert.equal(tracker.history[0]?.cause, 'moved')
})

test('onDrain is not called, outside of a drain', async () => {
  let calls = 0
  const { clock, connect } = rig({ onDrain: () => { calls++ } })
  const { connection, socket } = connect()
  void connection.move()
  socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(calls, 0)
})

test('work that does not end is abandoned after the grace of a drain', async () => {
  const all = rig({ drain: { timeout: 8_000 } })
  const { clock, connect, tracker } = all
  const { connection, socket } = connect()
  const job = createJob()
  void connection.track(job.promise)
  void connection.move()
  socket.peerSends(MOVED)
  await clock.flush()
  const { grace } = tracker.plan()
  await clock.run(grace - 100)
  assert.equal(connection.state, 'draining')
  await clock.run(200)
  assert.equal(tracker.history[0]?.cause, 'moved')
  job.done()
  await assertClean(all)
})

test('messages() delivers what was sent before, then ends, and the rest of the handler is work', async () => {
  const { clock, connect, tracker } = rig()
  const { connection, socket } = connect()
  const heard: unknown[] = []
  const jobs = [createJob(), createJob()]
  const rest = createJob()
  void (async () => {
    for await (const message of connection.messages()) {
      heard.push(message)
      await jobs[heard.length - 1]!.promise
    }
    heard.push('end')
    await connection.track(rest.promise)
    heard.push('rest')
  })()
  void connection.move()
  socket.peerSends('one').peerSends('two').peerSends(MOVED)
  for (const job of jobs) {
    await clock.flush()
    assert.equal(connection.state, 'draining')
    job.done()
  }
  await clock.run(500)
  assert.deepEqual(heard, ['one', 'two', 'end'])
  assert.equal(connection.state, 'draining')
  rest.done()
  await clock.flush()
  assert.deepEqual(heard, ['one', 'two', 'end', 'rest'])
  assert.deepEqual(tracker.history.map(({ cause, dropped }) => [cause, dropped]), [['moved', 0]])
})

test('what its cleanups and close listeners do is that of a connection which a drain has closed', async () => {
  const { clock, connect } = rig()
  const { connection, socket } = connect()
  const order: string[] = []
  Object.assign(connection.host, { suppression: { call: <T>(_connection: unknown, call: () => T) => { order.push('suppressed'); return call() }, applies: () => false } })
  connection.defer(() => { order.push('cleanup') })
  void connection.move()
  socket.peerSends(MOVED)
  await clock.flush()
  assert.ok(order.indexOf('suppressed') < order.indexOf('cleanup'), String(order))
})

test('cleanups run once, in the order of any close', async () => {
  const { clock, connect } = rig()
  const { connection, socket } = connect()
  const ran: number[] = []
  for (const n of [1, 2]) connection.defer(() => { ran.push(n) })
  void connection.move()
  socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(ran, [2, 1])
  assert.equal((await connection.closed).cause, 'moved')
})

// ——— what a client may say

const IGNORED: Record<string, string> = {
  'moved without being asked': MOVED,
  'an unknown type': controlFrame({ type: 'unknown' }),
  'no type': controlFrame({}),
  null: controlFrame(null),
  'a number': controlFrame(1),
  'a list': controlFrame(['moved']),
  'a type that is an object': controlFrame({ type: { toString: 'moved' } }),
  'no JSON': '\u0001lifecycle:{"type":"moved"',
  nothing: '\u0001lifecycle:',
  'more than 256 bytes': controlFrame({ type: 'moved', more: 'x'.repeat(256) }),
  'a megabyte': controlFrame({ type: 'moved', more: 'x'.repeat(1_000_000) })
}

for (const [what, frame] of Object.entries(IGNORED)) {
  test(`a control frame with ${what} is taken out and ignored`, async () => {
    const { clock, connect, moves } = rig()
    const { connection, socket } = connect()
    if (frame !== MOVED) assert.ok(moves.ask(connection, 0))
    socket.peerSends(frame).peerSends('hello')
    await clock.flush()
    assert.equal(moves.moved(connection), false)
    assert.equal(connection.state, 'open')
    assert.deepEqual(socket.delivered, ['hello'])
    assert.equal(connection.messagesReceived, 1)
  })
}

test('moved twice is moved once', async () => {
  const all = rig()
  const { clock, connect, tracker } = all
  const { connection, socket } = connect()
  const draining: number[] = []
  tracker.on('draining', ({ id }) => { draining.push(id) })
  const job = createJob()
  void connection.track(job.promise)
  void connection.move()
  socket.peerSends(MOVED).peerSends(MOVED)
  await clock.flush()
  job.done()
  await clock.flush()
  assert.equal(draining.length, 1)
  assert.deepEqual(tracker.stats().closed, { moved: 1 })
  await assertClean(all)
})

test('a frame of exactly 256 bytes is read', async () => {
  const { clock, connect, moves } = rig()
  const { connection, socket } = connect()
  assert.ok(moves.ask(connection, 0))
  const frame = controlFrame({ type: 'moved', more: '' })
  socket.peerSends(frame.replace('""', `"${'x'.repeat(256 - frame.length)}"`))
  await clock.flush()
  assert.ok(connection.state === 'closed')
})

test('binary messages, fragments of the prefix and other text are ordinary messages', async () => {
  const { clock, connect } = rig()
  const { connection, socket } = connect()
  const messages = [Buffer.from(MOVED), '\u0001lifecycle', ' \u0001lifecycle:{}', '\u0002lifecycle:{}', '']
  for (const message of messages) socket.peerSends(message)
  await clock.flush()
  assert.deepEqual(socket.delivered, messages)
  assert.equal(connection.messagesReceived, 5)
})

test('control frames of a client that has not offered are ordinary messages', async () => {
  const { clock, open } = rig()
  const { connection, socket } = open()
  for (let i = 0; i < 20; i++) socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(socket.delivered.length, 20)
  assert.equal(connection.state, 'open')
})

test('the 17th control frame of a connection ends it with 1008', async () => {
  const all = rig()
  const { clock, connect, tracker } = all
  const { connection, socket } = connect()
  for (let i = 0; i < 16; i++) socket.peerSends(controlFrame({ i }))
  await clock.flush()
  assert.equal(connection.state, 'open')
  for (let i = 0; i < 10_000; i++) socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(socket.closeFrame, { code: 1008, reason: 'too many control frames' })
  assert.deepEqual(tracker.history.map(({ cause, code, messages, dropped }) => [cause, code, messages, dropped]), [['protocol', 1008, 0, 0]])
  await assertClean(all)
})

test('control frames are life for the heartbeat, and no messages: not for rates, the idle timeout, or evictions', async () => {
  const { clock, connect, tracker } = rig({ messageRate: { max: 1, timeWindow: 60_000 }, idleTimeout: 1_000 })
  const { connection, socket } = connect()
  const { lastMessage } = connection
  for (let i = 0; i < 4; i++) {
    connection.heard = false
    socket.peerSends(controlFrame({ type: 'unknown' }))
    await clock.run(200)
    assert.equal(connection.heard, true)
  }
  assert.equal(connection.lastMessage, lastMessage)
  assert.equal(connection.state, 'open')
  await clock.run(400)
  assert.equal(tracker.history[0]?.cause, 'idle')
})
