/**
 * Peers that misbehave: silent, frozen, slow, gone. Each is met by a drain that stays in its budget and reports the truth.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { deflateRawSync } from 'node:zlib'
import type { Connection } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/clock.ts'
import { wsTransport } from '../../lib/ws/transport.ts'
import { forkFixture } from '../helpers/child.ts'
import { echo } from '../helpers/routes.ts'
import {
  assertBounded, assertClean, connect, maskedFrame, Opcode, passUntil, passUntilClosed, portOf, rawConnect, reportOf, start, until
} from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** For drains whose time is to run out. Where the answer of a peer counts as well, the clock is the test's. */
const QUICK = { closeTimeout: 200, drain: { timeout: 1_000 } }
/** For drains that end by themselves: no deadline decides, however slow the machine is. */
const PATIENT = { closeTimeout: 60_000, drain: { timeout: 90_000 } }
/** For drains whose settling app.close() cuts short. */
const SETTLING = { closeTimeout: 60_000, drain: { terminationGracePeriod: 180_000, settleDelay: 90_000 } }
const MEGABYTE = 2 ** 20

/** The last record of the history, once there is one. */
async function lastRecord (app: TestApp, count = 1) {
  await until(() => app.sockets.history.length >= count, `${count} close records`)
  return app.sockets.history.at(-1)!
}

/** How many connections have no close frame yet. */
function notClosing ({ sockets }: TestApp): number {
  return sockets.count({ state: 'open' }) + sockets.count({ state: 'draining' })
}

/** The report of a drain on the clock of a test: no slack. */
function reportInTime (app: TestApp) {
  const report = reportOf(app)
  assert.ok(report.duration <= report.timeout, `took ${report.duration} of ${report.timeout} ms`)
  return report
}

test('a silent peer is cut off after closeTimeout, and holds up no other', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, echo)
  const silent = await rawConnect(t, app, '/')
  const polite = await connect(t, app, '/')
  const closing = app.close()
  // No time passes before the polite one has gone.
  await polite.closed
  await until(() => app.sockets.size === 1)
  await clock.tick(QUICK.closeTimeout)
  await closing
  assert.deepEqual(await polite.closed, { code: 1012, reason: (await polite.closed).reason })
  assert.match((await polite.closed).reason, /^service restart; retry=\d+$/)
  assert.equal((await silent.closeFrame()).code, 1012)
  await silent.ended
  const report = reportInTime(app)
  assert.deepEqual(report.connections, { total: 2, clean: 1, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: { drain: 2 } })
  await assertClean(app)
})

test('a hundred silent peers take no longer than one', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, echo)
  const silent = await Promise.all(Array.from({ length: 100 }, () => rawConnect(t, app, '/')))
  const closing = app.close()
  await passUntilClosed(clock, closing)
  for (const peer of silent) assert.equal((await peer.closeFrame()).code, 1012)
  const report = reportOf(app)
  assert.ok(report.duration < 2 * QUICK.closeTimeout, `took ${report.duration} ms`)
  assert.equal(report.connections.terminated, 100)
})

test('a peer that goes on talking after our close frame is cut off, and what it says is dropped and counted', async (t) => {
  let heard = 0
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => { heard++ }) })
  })
  const chatty = await rawConnect(t, app, '/')
  const closing = app.close()
  await chatty.closeFrame()
  const heardBefore = heard
  for (let time = 0; time < QUICK.closeTimeout; time += 10) {
    chatty.send(Opcode.Text, 'and another thing')
    // What was sent arrives meanwhile.
    await clock.tick(10)
  }
  await chatty.ended
  await closing
  assert.equal(heard, heardBefore)
  assert.ok(app.sockets.history[0]!.dropped > 0)
  assert.equal(reportInTime(app).connections.terminated, 1)
})

test('a frozen peer is cut off, and reads the code when it thaws', { skip: process.platform === 'win32' && 'no SIGSTOP' }, async (t) => {
  // Frames are given up where there is too little CPU to send them in time: the time is the test's.
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, echo)
  const child = forkFixture(t, 'clients', [`ws://127.0.0.1:${portOf(app)}/`, '200'])
  await child.message()
  child.kill('SIGSTOP')
  const closing = app.close()
  await passUntilClosed(clock, closing)
  const report = reportInTime(app)
  assert.deepEqual(report.connections, { total: 200, clean: 0, leftByThemselves: 0, terminated: 200, unfinished: 0, causes: { drain: 200 } })
  child.kill('SIGCONT')
  const { ends } = await child.message<{ ends: Array<{ code: number }> }>()
  assert.deepEqual(ends.map(({ code }) => code), Array(200).fill(1012))
})

test('a peer that resets in the middle of a frame is closed as vanished', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  peer.write(maskedFrame(Opcode.Text, 'x'.repeat(60_000)).subarray(0, 30_000))
  peer.send(Opcode.Ping)
  peer.reset()
  const record = await lastRecord(app)
  assert.equal(record.cause, 'network')
  assert.equal(record.code, 1006)
  assert.equal(record.clean, false)
  await assertClean(app)
})

test('a peer that resets in the middle of a frame during the drain is counted as terminated', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  const closing = app.close()
  await peer.closeFrame()
  peer.write(maskedFrame(Opcode.Close, Buffer.from([3, 0xf4])).subarray(0, 4))
  peer.reset()
  await closing
  const report = reportOf(app)
  assert.deepEqual(report.connections, { total: 1, clean: 0, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: { drain: 1 } })
  assertBounded(report)
})

test('a peer that resets while its compressed message is being inflated leaves nothing behind', async (t) => {
  const app = await start(t, { ...QUICK, options: { perMessageDeflate: true, maxPayload: 64 * MEGABYTE } }, echo)
  const bomb = deflateRawSync(Buffer.alloc(32 * MEGABYTE))
  for (let i = 0; i < 4; i++) {
    const peer = await rawConnect(t, app, '/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
    peer.write(maskedFrame(Opcode.Binary, bomb, { rsv: 4 }))
    // Enough of it is there that inflating has begun, none of it is done.
    await new Promise((resolve) => { setImmediate(resolve) })
    peer.reset()
  }
  await until(() => app.sockets.size === 0, 'all connections to be closed')
  await assertClean(app)
  await app.close()
})

test('a peer that never reads 32 MB is cut off, and its record says that the frame did not arrive', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      for (let i = 0; i < 32; i++) socket.send(randomBytes(MEGABYTE))
    })
  })
  const peer = await rawConnect(t, app, '/')
  peer.pause()
  const polite = await connect(t, app, '/')
  const closed = app.close()
  // The one that reads has got everything before its close frame, however long 32 MB take; no time passes meanwhile.
  assert.equal((await polite.closed).code, 1012)
  assert.equal(polite.unread.length, 32)
  await until(() => app.sockets.size === 1)
  await clock.tick(QUICK.drain.timeout)
  await closed
  const report = reportOf(app)
  assertBounded(report)
  assert.equal(report.connections.total, 2)
  assert.equal(report.connections.unfinished, 0)
  const slow = app.sockets.history.find(({ clean }) => !clean)
  assert.equal(slow?.cause, 'drain')
  assert.equal(report.connections.clean, 1)
  peer.resume()
  await peer.ended
  assert.ok(peer.frames.every(({ opcode }) => opcode !== Opcode.Close), 'the peer got a close frame behind 32 MB it never read')
})

test('a peer that reads slowly but steadily gets everything, then its close frame', async (t) => {
  const clock = createClock()
  const closeTimeout = 1_000
  const app = await start(t, { drain: { timeout: 60_000 }, closeTimeout, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      for (let i = 0; i < 20; i++) socket.send(randomBytes(MEGABYTE))
    })
  })
  const peer = await rawConnect(t, app, '/')
  const pause = () => { peer.pause() }
  pause()
  // A piece each time.
  peer.socket.on('data', pause)
  const { socket } = app.sockets.list()[0]!
  const waiting = () => wsTransport.pendingBytes(socket)
  const closing = app.close()
  const frame = peer.closeFrame()
  let passed = 0
  // Longer than closeTimeout in all, never as long without progress, which the kernel lets the server see in large steps.
  for (let before = waiting(); before > 0; before = waiting()) {
    await until(() => {
      peer.resume()
      return waiting() < before
    }, 'the server to get rid of something')
    await clock.tick(closeTimeout * 0.7)
    passed += closeTimeout * 0.7
  }
  assert.ok(passed > 2 * closeTimeout, `only ${passed} ms have passed`)
  peer.socket.off('data', pause)
  peer.resume()
  assert.equal((await frame).code, 1012)
  assert.equal(peer.frames.length, 0)
  peer.sendClose(1012)
  peer.end()
  await closing
  assert.equal(reportInTime(app).connections.clean, 1)
})

test('a peer that answers our close frame late, but in time, is counted clean', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, echo)
  const peer = await rawConnect(t, app, '/')
  const closing = app.close()
  await peer.closeFrame()
  await clock.tick(QUICK.closeTimeout - 10)
  assert.equal(app.sockets.size, 1)
  peer.sendClose(1012)
  await peer.ended
  peer.end()
  await closing
  assert.deepEqual(reportOf(app).connections, { total: 1, clean: 1, leftByThemselves: 0, terminated: 0, unfinished: 0, causes: { drain: 1 } })
})

test('a peer that answers our close frame too late is counted as terminated', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  const closing = app.close()
  await peer.closeFrame()
  await peer.ended
  peer.sendClose(1012)
  await closing
  assert.equal(reportOf(app).connections.terminated, 1)
  assertBounded(reportOf(app))
})

test('a peer that answers our close frame but never ends TCP is cut off, and counted clean', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, echo)
  const peer = await rawConnect(t, app, '/')
  const closing = app.close()
  await peer.closeFrame()
  peer.sendClose(1012)
  // The server ends its half of TCP when it has the answer.
  await peer.ended
  await clock.tick(QUICK.closeTimeout)
  await closing
  assert.equal(peer.socket.writable, true)
  const report = reportInTime(app)
  assert.deepEqual(report.connections, { total: 1, clean: 1, leftByThemselves: 0, terminated: 0, unfinished: 0, causes: { drain: 1 } })
})

test('a peer that sends its own close frame first but never ends TCP is cut off after closeTimeout', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  peer.sendClose(1000, 'bye')
  assert.deepEqual(await peer.closeFrame(), { code: 1000, reason: 'bye' })
  const record = await lastRecord(app)
  assert.deepEqual(record, { ...record, cause: 'client', code: 1000, reason: 'bye', clean: true })
  await assertClean(app)
})

test('a peer that only ends its half of TCP is closed as vanished', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  peer.end()
  await peer.ended
  const record = await lastRecord(app)
  assert.equal(record.cause, 'network')
  assert.equal(record.code, 1006)
  await assertClean(app)
})

test('a peer that answers with a wrong close frame is cut off all the same', async (t) => {
  const app = await start(t, QUICK, echo)
  const peers = await Promise.all(Array.from({ length: 3 }, () => rawConnect(t, app, '/')))
  const closing = app.close()
  await Promise.all(peers.map((peer) => peer.closeFrame()))
  peers[0]!.send(Opcode.Close, 'x')
  peers[1]!.sendClose(1005)
  peers[2]!.sendClose(1012, '\ud800'.repeat(10))
  peers[2]!.send(Opcode.Close, Buffer.from([3, 0xf4, 0xff, 0xfe]))
  await closing
  const report = reportOf(app)
  assertBounded(report)
  assert.equal(report.connections.total, 3)
  assert.equal(report.connections.unfinished, 0)
})

test('a peer that never ends its message, and one that never ends its frame, are cut off', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, echo)
  const [message, frame] = await Promise.all([rawConnect(t, app, '/'), rawConnect(t, app, '/')])
  message.send(Opcode.Text, 'x'.repeat(1_000), { fin: false })
  frame.write(maskedFrame(Opcode.Text, 'x'.repeat(60_000)).subarray(0, 30_000))
  const closing = app.close()
  for (const peer of [message, frame]) assert.equal((await peer.closeFrame()).code, 1012)
  // Its answer is part of the frame that never ends; the other one may answer between two fragments (RFC 6455 §5.4).
  frame.sendClose(1012)
  message.sendClose(1012)
  message.end()
  await until(() => app.sockets.size === 1)
  await clock.tick(QUICK.closeTimeout)
  await closing
  const report = reportInTime(app)
  assert.deepEqual(report.connections, { total: 2, clean: 1, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: { drain: 2 } })
})

test('peers of a socket that the application has paused are drained: those that answer, are silent, or were reset', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.pause() })
    app.get('/held', { websocket: true, config: { sockets: { holdMessages: true } } }, () => {})
  })
  const polite = await Promise.all([connect(t, app, '/'), connect(t, app, '/held')])
  const silent = await Promise.all([rawConnect(t, app, '/'), rawConnect(t, app, '/held')])
  const reset = await Promise.all([rawConnect(t, app, '/'), rawConnect(t, app, '/held')])
  for (const peer of reset) peer.reset()
  for (const { socket } of polite) socket.send('never heard')
  const closing = app.close()
  // What a held connection has not read is waited for until grace ends; for the answers no time passes.
  await passUntil(clock, () => notClosing(app) === 0)
  for (const { closed } of polite) assert.equal((await closed).code, 1012)
  await passUntilClosed(clock, closing)
  for (const peer of silent) assert.equal((await peer.closeFrame()).code, 1012)
  const report = reportInTime(app)
  // A reset is not seen while nothing is read: it may have been found before, or by the drain.
  assert.ok(report.connections.total >= 4)
  assert.equal(report.connections.clean, 2)
  assert.equal(report.connections.unfinished, 0)
  assert.equal(app.sockets.stats().opened, 6)
})

test('a peer that has filled messages() up to its mark is drained, and its flood is dropped and counted', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const connection = app.sockets.of(socket)
      for await (const message of connection.messages({ highWaterMark: 4_096 })) {
        socket.send(String(message).slice(0, 10))
        // Longer than grace.
        await new Promise((resolve) => { connection.signal.addEventListener('abort', resolve) })
      }
    })
  })
  const client = await connect(t, app, '/')
  for (let i = 0; i < 2_000; i++) client.socket.send(`${i} ${'x'.repeat(1_000)}`)
  await client.next()
  const closing = app.close()
  // Until the close frame leaves, at the end of grace; the client has all the time that it needs to answer.
  await passUntil(clock, () => notClosing(app) === 0)
  assert.equal((await client.closed).code, 1012)
  await closing
  const report = reportInTime(app)
  assert.ok(report.duration >= app.sockets.plan().grace)
  assert.equal(report.connections.clean, 1)
  assert.ok(app.sockets.history[0]!.dropped > 0)
  await until(() => app.sockets.stats().working === 0)
})

const BREACHES: Array<[what: string, bytes: () => Buffer, code: number]> = [
  ['an unmasked frame', () => Buffer.from([0x81, 2, 104, 105]), 1002],
  ['a reserved bit', () => maskedFrame(Opcode.Text, 'hi', { rsv: 2 }), 1002],
  ['an unknown opcode', () => maskedFrame(5, 'hi'), 1002],
  ['a continuation of nothing', () => maskedFrame(Opcode.Continuation, 'hi'), 1002],
  ['a fragmented ping', () => maskedFrame(Opcode.Ping, 'hi', { fin: false }), 1002],
  ['text that is not UTF-8', () => maskedFrame(Opcode.Text, Buffer.from([0xff, 0xfe])), 1007],
  ['a message over maxPayload', () => maskedFrame(Opcode.Text, 'x'.repeat(2_000)), 1009],
  ['a close code that must not be sent', () => maskedFrame(Opcode.Close, Buffer.from([3, 0xed])), 1002]
]

for (const [what, bytes, code] of BREACHES) {
  test(`a peer that sends ${what} is closed with ${code}, and no other connection notices`, async (t) => {
    const app = await start(t, { ...QUICK, options: { maxPayload: 1_000 } }, echo)
    const peer = await rawConnect(t, app, '/')
    const other = await connect(t, app, '/')
    peer.write(bytes())
    assert.equal((await peer.closeFrame()).code, code)
    peer.destroy()
    const record = await lastRecord(app)
    assert.equal(record.cause, 'protocol')
    assert.equal(record.code, code)
    other.socket.send('still here')
    assert.equal(await other.next(), 'still here')
    await app.close()
    assert.equal((await other.closed).code, 1012)
    assert.equal(reportOf(app).connections.total, 1)
  })
}

test('a peer that breaks the protocol and then stays is cut off', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  peer.write(Buffer.from([0x81, 2, 104, 105]))
  await peer.closeFrame()
  await app.close()
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual(report.connections.causes, { protocol: 1 })
})

test('a peer that breaks the protocol over and over in the drain holds nothing up', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  const closing = app.close()
  await peer.closeFrame()
  peer.write(Buffer.alloc(1_000, 0xff))
  await closing
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual(report.connections, { total: 1, clean: 0, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: { drain: 1 } })
})

test('a peer that floods with pings and reads no pong is cut off', async (t) => {
  const app = await start(t, QUICK, echo)
  const peer = await rawConnect(t, app, '/')
  peer.pause()
  const flood = Buffer.concat(Array.from({ length: 2_000 }, () => maskedFrame(Opcode.Ping, 'x'.repeat(100))))
  let sent = 0
  // Until the kernel takes no more, or 40,000 pings.
  while (sent < 20 && peer.socket.write(flood)) {
    sent++
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  await app.close()
  assertBounded(reportOf(app))
  assert.equal(reportOf(app).connections.total, 1)
})

// ——— clients that leave by themselves

test('a client that leaves while the drain settles is counted as left by itself', async (t) => {
  const app = await start(t, SETTLING, echo)
  const leaving = await connect(t, app, '/')
  const staying = await connect(t, app, '/')
  const draining = app.sockets.drain()
  leaving.socket.close(1000, 'enough')
  assert.equal((await leaving.closed).code, 1000)
  await until(() => app.sockets.size === 1)
  await app.close()
  const report = await draining
  assert.equal((await staying.closed).code, 1012)
  assert.deepEqual(report.connections, { total: 2, clean: 2, leftByThemselves: 1, terminated: 0, unfinished: 0, causes: { client: 1, drain: 1 } })
  assertBounded(report)
  await assertClean(app)
})

test('a client that leaves when onDrain tells it to is counted as left by itself', async (t) => {
  const app = await start(t, {
    ...PATIENT,
    onDrain: async (connection: Connection) => {
      connection.socket.send('leave')
      await connection.closed
    }
  }, echo)
  const client = await connect(t, app, '/')
  client.socket.on('message', () => { client.socket.close(4000, 'as told') })
  const report = await app.sockets.drain()
  assert.equal((await client.closed).code, 4000)
  assert.equal(report.connections.leftByThemselves, 1)
  assert.deepEqual(report.connections.causes, { client: 1 })
  assert.equal(app.sockets.history[0]!.code, 4000)
  assertBounded(report)
})

test('a client that leaves in grace leaves its work abandoned, and the drain no longer waits for its frame', async (t) => {
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      void connection.track(new Promise((resolve) => { connection.signal.addEventListener('abort', resolve) }))
    })
  })
  const client = await connect(t, app, '/')
  app.sockets.on('progress', ({ phase }) => { if (phase === 'grace') client.socket.close(1001) })
  const report = await app.sockets.drain()
  assert.deepEqual(report.connections, { total: 1, clean: 1, leftByThemselves: 1, terminated: 0, unfinished: 0, causes: { client: 1 } })
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assertBounded(report)
})

test('a client whose close frame crosses ours is counted once', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, echo)
  const peers = await Promise.all(Array.from({ length: 50 }, () => rawConnect(t, app, '/')))
  const closing = app.close()
  for (const peer of peers) peer.sendClose(1000)
  const frames = await Promise.all(peers.map((peer) => peer.closeFrame()))
  // Both frames have been exchanged; the peers end no TCP.
  await Promise.all(peers.map((peer) => peer.ended))
  await passUntilClosed(clock, closing)
  const { connections } = reportInTime(app)
  assert.equal(connections.total, 50)
  assert.equal(connections.clean, 50)
  assert.equal((connections.causes.drain ?? 0) + (connections.causes.client ?? 0), 50)
  assert.equal(connections.leftByThemselves, connections.causes.client ?? 0)
  for (const { code } of frames) assert.ok([1000, 1012].includes(code))
})

test('a client that leaves while its own cleanup hangs is reported with it', async (t) => {
  const clock = createClock()
  const app = await start(t, { ...QUICK, cleanupTimeout: 200, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      app.sockets.of(socket).defer(function hanging () { return new Promise(() => {}) })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.close(1000)
  await client.closed
  assert.equal(app.sockets.size, 1)
  const closing = app.close()
  await clock.tick(200)
  await closing
  const report = reportInTime(app)
  assert.equal(report.connections.total, 1)
  assert.deepEqual(report.cleanups.abandoned.map(({ cleanup }) => cleanup), ['hanging'])
})

test('clients that are killed at once in the middle of a drain are counted, and hold nothing up', async (t) => {
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      void connection.track(new Promise((resolve) => { connection.signal.addEventListener('abort', resolve) }))
    })
  })
  const child = forkFixture(t, 'clients', [`ws://127.0.0.1:${portOf(app)}/`, '200'])
  await child.message()
  app.sockets.on('progress', ({ phase }) => { if (phase === 'grace' && !child.process.killed) child.kill('SIGKILL') })
  const report = await app.sockets.drain()
  assert.deepEqual(report.connections, { total: 200, clean: 0, leftByThemselves: 0, terminated: 200, unfinished: 0, causes: { network: 200 } })
  assert.deepEqual(report.work, { inFlight: 200, finished: 0, abandoned: 200 })
  assertBounded(report)
})
