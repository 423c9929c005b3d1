/**
 * Messages of a connection, with `messages()` and without, and input that is held back (lib/connection/incoming.ts).
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Message } from '../../lib/connection/connection.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import { createJob } from '../helpers/job.ts'

function setup () {
  const host = createFakeHost()
  return { host, clock: host.clock, ...host.connect() }
}

const DONE = { done: true, value: undefined }

// ——— messages()

test('text arrives as string, binary as Buffer', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages()
  socket.peerSends('text').peerSends(Buffer.from([1, 2]))
  await clock.flush()
  assert.equal((await messages.next()).value, 'text')
  assert.deepEqual((await messages.next()).value, Buffer.from([1, 2]))
})

for (const [binaryType, data] of [
  ['nodebuffer', Buffer.from([1, 2, 3])],
  ['arraybuffer', Uint8Array.from([1, 2, 3]).buffer],
  ['fragments', [Buffer.from([1]), Buffer.from([2, 3])]]
] as Array<[string, Buffer]>) {
  test(`binary arrives as Buffer where binaryType is ${binaryType}`, async () => {
    const { connection } = setup()
    const messages = connection.messages()
    connection.received(data, true)
    assert.deepEqual((await messages.next()).value, Buffer.from([1, 2, 3]))
  })
}

test('a Blob, which has no bytes to give at once, still counts, and lets the iterator end', async () => {
  const { connection, socket } = setup()
  const messages = connection.messages({ highWaterMark: 1000 })
  connection.received(new Blob(['x'.repeat(2000)]) as never, true)
  assert.equal(socket.paused, true)
  await messages.next()
  assert.equal(socket.paused, false)
  const end = messages.next()
  connection.incoming.stop()
  assert.deepEqual(await end, DONE)
})

test('message listeners beside the iterator see every message too', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages()
  socket.peerSends('a')
  await clock.flush()
  assert.deepEqual([socket.delivered, (await messages.next()).value], [['a'], 'a'])
})

test('messages that came before the iterator are not in it', async () => {
  const { connection, socket, clock } = setup()
  socket.peerSends('before')
  await clock.flush()
  const messages = connection.messages()
  socket.peerSends('after')
  await clock.flush()
  assert.deepEqual([(await messages.next()).value, connection.messagesReceived], ['after', 2])
})

test('a second consumer throws, also after the first has left', async () => {
  const { connection } = setup()
  assert.equal(connection.consumed, false)
  const messages = connection.messages()
  assert.equal(connection.consumed, true)
  assert.throws(() => connection.messages(), { code: 'SOCKETS_ERR_MESSAGES_CONSUMED' })
  await messages.return!()
  assert.throws(() => connection.messages(), { code: 'SOCKETS_ERR_MESSAGES_CONSUMED' })
})

for (const highWaterMark of [undefined, null]) {
  test(`a mark of ${highWaterMark} is the default`, () => {
    const { connection } = setup()
    assert.doesNotThrow(() => connection.messages({ highWaterMark: highWaterMark as never }))
  })
}

for (const highWaterMark of [0, -1, 1.5, NaN, Infinity, '5', {}]) {
  test(`a mark of ${JSON.stringify(highWaterMark)} is refused, and there is no consumer then`, () => {
    const { connection } = setup()
    assert.throws(() => connection.messages({ highWaterMark: highWaterMark as number }), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
    assert.equal(connection.consumed, false)
  })
}

test('over the mark nothing is read until the consumer has caught up', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages({ highWaterMark: 150 })
  for (let i = 0; i < 10; i++) socket.peerSends(`${i}`)
  await clock.flush()
  assert.deepEqual([socket.paused, connection.messagesReceived], [true, 3])
  const seen: unknown[] = []
  for (let i = 0; i < 10; i++) {
    seen.push((await messages.next()).value)
    await clock.flush()
  }
  assert.deepEqual([seen.join(''), socket.paused], ['0123456789', false])
})

test('the body of for await is work, waiting for a message is not', async () => {
  const { connection, socket, clock } = setup()
  const bodies = [createJob(), createJob()]
  const loop = (async () => {
    let i = 0
    for await (const _message of connection.messages()) await bodies[i++]!.promise // eslint-disable-line @typescript-eslint/no-unused-vars -- only its time counts
  })()
  await clock.flush()
  assert.equal(connection.working, false)
  socket.peerSends('a').peerSends('b')
  await clock.flush()
  assert.equal(connection.working, true)
  bodies[0]!.done()
  await clock.flush()
  assert.equal(connection.working, true)
  bodies[1]!.done()
  await clock.flush()
  assert.equal(connection.working, false)
  void connection.terminate()
  await loop
})

test('a handler that returns from its loop over messages is no longer work', async () => {
  const { connection, socket, clock } = setup()
  const loop = (async () => {
    for await (const message of connection.messages()) {
      if (message === 'a') return
    }
  })()
  socket.peerSends('a')
  await clock.flush()
  await loop
  assert.equal(connection.working, false)
})

test('while the server drains messages are taken until the input ends: what had arrived is delivered, what comes then is not taken', async () => {
  for (const reads of [false, true]) {
    const { connection, socket, clock } = setup()
    const messages = connection.messages()
    connection.startDraining()
    if (reads) connection.incoming.readInput()
    socket.peerSends('a')
    await clock.flush()
    socket.peerSends('b')
    await clock.flush()
    connection.incoming.finish()
    socket.peerSends('c')
    await clock.flush()
    const seen: Message[] = []
    for await (const message of messages) seen.push(message)
    assert.deepEqual([seen, socket.delivered], [['a', 'b'], ['a', 'b', 'c']])
  }
})

test('input that waits when it is to end is read first, once, and is work until then', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages()
  connection.startDraining()
  socket.inflating = true
  connection.incoming.finish()
  connection.incoming.finish()
  await clock.run(100)
  assert.equal(connection.working, true)
  connection.received(Buffer.from('a'), false)
  socket.inflating = false
  await clock.run(100)
  assert.equal(connection.working, false)
  connection.received(Buffer.from('b'), false)
  socket.inflating = true
  connection.incoming.finish()
  assert.equal(connection.working, false)
  assert.deepEqual([(await messages.next()).value, await messages.next()], ['a', DONE])
})

test('input that ws holds is work until it was parsed', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages()
  connection.startDraining()
  socket.inflating = true
  connection.incoming.readInput()
  await clock.run(100)
  assert.equal(connection.working, true)
  connection.received(Buffer.from('a'), false)
  socket.inflating = false
  await clock.run(100)
  connection.incoming.finish()
  assert.equal((await messages.next()).value, 'a')
  assert.deepEqual(await messages.next(), DONE)
  assert.deepEqual([connection.working, clock.pendingTimers], [false, 0])
})

test('input that arrives between the two looks is waited for', async () => {
  const { connection, socket, clock } = setup()
  connection.startDraining()
  connection.incoming.readInput()
  clock.setImmediate(() => { socket.inflating = true })
  await clock.run(100)
  assert.equal(connection.working, true)
  socket.inflating = false
  await clock.run(100)
  assert.deepEqual([connection.working, clock.pendingTimers], [false, 0])
})

test('input is not waited for when the connection closes', async () => {
  for (const looks of [0, 1, 5]) {
    const { host, connection, socket, clock } = setup()
    connection.startDraining()
    socket.inflating = looks !== 1
    connection.incoming.readInput()
    await clock.run(looks)
    connection.end('drain', 1012, '')
    assert.equal(connection.working, false)
    socket.peerAnswers()
    await clock.run(100)
    assert.equal(host.leftovers, 0)
  }
})

test('input that the application or the message rate keeps back is not waited for', async () => {
  const { connection, clock } = setup()
  connection.incoming.pause('application')
  connection.incoming.pause('rate')
  connection.startDraining()
  connection.incoming.readInput()
  await clock.run(100)
  assert.equal(connection.working, false)
})

test('a consumer that comes while the server leaves gets what was held for it', async () => {
  const { connection, socket, clock } = setup()
  connection.incoming.pause('listener')
  socket.peerSends('a').peerSends('b')
  connection.startDraining()
  connection.incoming.readInput()
  await clock.run(100)
  assert.equal(connection.working, true)
  const seen: Message[] = []
  const messages = connection.messages()
  await clock.run(100)
  connection.incoming.finish()
  for await (const message of messages) seen.push(message)
  assert.deepEqual([seen, connection.working], [['a', 'b'], false])
})

test('when we close, what is queued is dropped and counted', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages()
  socket.peerSends('a').peerSends('b')
  await clock.flush()
  connection.end('drain', 1012, '')
  assert.deepEqual(await messages.next(), DONE)
  socket.peerAnswers()
  await clock.flush()
  assert.equal((await connection.closed).dropped, 2)
})

test('when the client closes, what it sent before is delivered, also after closed', async () => {
  const { host, connection, socket } = setup()
  const messages = connection.messages()
  socket.peerSends('a').peerSends('b')
  const { dropped } = await host.leave({ connection, socket })
  assert.equal(connection.state, 'closed')
  const seen: Message[] = []
  for await (const message of messages) seen.push(message)
  assert.deepEqual([seen, dropped, host.leftovers], [['a', 'b'], 0, 0])
})

test('a consumer that waits is released when the client vanishes', async () => {
  const { connection, socket, clock } = setup()
  const end = connection.messages().next()
  socket.rawGone()
  await clock.flush()
  assert.deepEqual(await end, DONE)
})

for (const state of ['closing', 'closed'] as const) {
  test(`messages() of a connection that is ${state} ends at once`, async () => {
    const { connection } = setup()
    connection.end('drain', 1012, '')
    if (state === 'closed') connection.socketClosed()
    assert.deepEqual(await connection.messages().next(), DONE)
  })
}

test('a full queue does not hide the peer\'s answer to our close frame', async () => {
  const { connection, socket, clock } = setup()
  connection.messages({ highWaterMark: 10 })
  socket.peerSends('x'.repeat(100))
  await clock.flush()
  assert.equal(socket.paused, true)
  void connection.close()
  socket.peerAnswers()
  await clock.flush()
  assert.equal((await connection.closed).clean, true)
})

test('a consumer that catches up on a closing connection does not pause it again', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages({ highWaterMark: 10 })
  socket.peerSends('x'.repeat(100))
  await clock.flush()
  void connection.close()
  connection.incoming.pause('queue')
  assert.equal(socket.paused, false)
  await messages.next()
  assert.equal(socket.paused, false)
})

test('a raw socket that is gone is not resumed', async () => {
  const { connection, socket, clock } = setup()
  connection.defer(() => new Promise(() => {}))
  socket.rawGone()
  await clock.flush()
  const before = socket.calls.length
  connection.incoming.resume('queue')
  assert.equal(socket.calls.length, before)
})

test('what a mute connection receives is dropped, counted, and not delivered', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages()
  connection.incoming.mute()
  socket.peerSends('a')
  await clock.flush()
  assert.deepEqual([socket.delivered, connection.messagesReceived, connection.incoming.dropped], [[], 0, 1])
  connection.incoming.stop()
  assert.deepEqual(await messages.next(), DONE)
})

test('a message that a listener saw after the consumer has left is not dropped', async () => {
  const { connection, socket, clock } = setup()
  const messages = connection.messages()
  socket.onMessage = () => {}
  await messages.return!()
  socket.peerSends('a')
  await clock.flush()
  assert.deepEqual([socket.delivered, connection.incoming.dropped], [['a'], 0])
})

// ——— holding

test('a held connection reads nothing until messages() is called', async () => {
  const { connection, socket, clock } = setup()
  connection.incoming.pause('listener')
  socket.peerSends('early')
  await clock.flush()
  assert.equal(connection.messagesReceived, 0)
  const messages = connection.messages()
  await clock.flush()
  assert.equal((await messages.next()).value, 'early')
})

test('a held connection that is released reads again, once', async () => {
  const { connection, socket, clock } = setup()
  connection.incoming.resume('listener')
  assert.deepEqual(socket.calls, [])
  connection.incoming.pause('listener')
  connection.incoming.resume('listener')
  connection.incoming.resume('listener')
  assert.deepEqual(socket.calls, ['pause', 'resume'])
  socket.peerSends('a')
  await clock.flush()
  assert.deepEqual(socket.delivered, ['a'])
})
