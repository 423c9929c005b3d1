/**
 * The heartbeat over real sockets, on a clock that the tests move: on by default, per route, what it asks of whom, and
 * what the record and the log say of a peer that is dead. That it is never wrong is shown elsewhere, with real time and
 * real processes.
 */
import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { Connection } from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { rawSocketOf } from '../../lib/base/internals.ts'
import { startClocked } from '../helpers/clocked-app.ts'
import { nextClosed, recordEvents, turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, logged, Opcode, rawConnect as connectRaw, start, until } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'

/** A raw client that sends at once: Nagle's algorithm (RFC 896) would hold small frames back by real time. */
async function rawConnect (t: TestContext, app: TestApp, path: string): Promise<RawClient> {
  const raw = await connectRaw(t, app, path)
  raw.socket.setNoDelay(true)
  return raw
}

/** Pings a raw client has received. */
const pings = ({ frames }: RawClient) => frames.filter(({ opcode }) => opcode === Opcode.Ping)

/** Answers pings as they come. */
function answerPings (raw: RawClient): { readonly answered: number } {
  const state = { answered: 0 }
  raw.socket.on('data', () => {
    for (const { payload } of pings(raw).slice(state.answered)) {
      raw.send(Opcode.Pong, payload)
      state.answered++
    }
  })
  return state
}

test('without a word of configuration a dead peer is found after three times 25 seconds at most, and a silent one that answers lives', async (t) => {
  const { app, clock } = await startClocked(t)
  const healthy = await connect(t, app, '/')
  const dead = await rawConnect(t, app, '/')
  const [alive, doomed] = app.sockets.list() as [Connection, Connection]
  // The ping, a first interval without an answer.
  await clock.tick(50_000)
  assert.equal(doomed.state, 'open')
  const record = nextClosed(app)
  await clock.tick(25_100)
  assert.equal((await record).id, doomed.id)
  await dead.ended
  assert.deepEqual(dead.frames.map(({ opcode }) => opcode), [Opcode.Ping], 'asked once, and no close frame')
  await clock.tick(600_000)
  assert.equal(alive.state, 'open')
  assert.equal(alive.rtt, 0)
  await healthy.close()
})

test('of a dead peer the record, the counters, the events and the log tell the same, and its cleanups run', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 1_000, maxMissed: 1 } })
  await rawConnect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  const cleaned: string[] = []
  connection.defer(() => { cleaned.push(connection.state) })
  const { signal } = connection
  const events = recordEvents(app)
  await clock.tick(2_100)
  const { cause, code, reason, clean, duration } = await connection.closed
  assert.deepEqual({ cause, code, reason, clean }, { cause: 'heartbeat', code: 1006, reason: '', clean: false })
  assert.deepEqual(app.sockets.history.map(({ id, cause }) => ({ id, cause })), [{ id: connection.id, cause: 'heartbeat' }])
  assert.deepEqual(app.sockets.stats().closed, { heartbeat: 1 })
  assert.deepEqual(events, ['closing', 'closed'])
  assert.deepEqual(cleaned, ['closing'])
  assert.equal((signal.reason as { closeCause: string }).closeCause, 'heartbeat')
  assert.deepEqual(logged(app, /dead/).map(({ level, msg, connection, route }) => ({ level, msg, connection, route })),
    [{ level: 40, msg: 'a peer was dead and its socket was destroyed', connection: connection.id, route: '/' }])
  assert.ok(duration <= 2_100, `${duration}`)
})

test('a route may have another heartbeat, or none', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 10_000, maxMissed: 2 } }, {
    '/fast': { heartbeat: { interval: 1_000 } },
    '/strict': { heartbeat: { maxMissed: 1 } },
    '/never': { heartbeat: false }
  })
  const raws: Record<string, RawClient> = {}
  for (const path of ['/', '/fast', '/strict', '/never']) raws[path] = await rawConnect(t, app, path)
  const left = () => app.sockets.list().map(({ route }) => route).sort()
  await clock.tick(3_200)
  assert.deepEqual(left(), ['/', '/never', '/strict'])
  await clock.tick(17_000)
  assert.deepEqual(left(), ['/', '/never'])
  await clock.tick(10_000)
  assert.deepEqual(left(), ['/never'])
  await clock.tick(600_000)
  assert.deepEqual(left(), ['/never'])
  assert.deepEqual(pings(raws['/never']!), [])
  assert.equal(app.sockets.list()[0]!.rtt, undefined)
})

test('the keep-alive of TCP is switched on for watched connections, after an interval, and for no others', async (t) => {
  const { app, clock } = await startClocked(t, {}, {
    '/fast': { heartbeat: { interval: 5_000 } },
    '/none': { heartbeat: false }
  })
  const { mock } = t.mock.method(Socket.prototype, 'setKeepAlive')
  for (const [path, wanted] of [['/', [true, 25_000]], ['/fast', [true, 5_000]], ['/none', undefined]] as const) {
    mock.resetCalls()
    await rawConnect(t, app, path)
    // With the first look.
    await clock.tick(12_600)
    const raw = rawSocketOf(app.sockets.list({ route: path })[0]!.socket)
    assert.deepEqual(mock.calls.findLast((call) => call.this === raw)?.arguments, wanted, path)
  }
})

test('heartbeat: false turns it off, and a route may turn it on', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: false }, { '/watched': { heartbeat: true } })
  const [off, on] = [await rawConnect(t, app, '/'), await rawConnect(t, app, '/watched')]
  await clock.tick(75_100)
  await on.ended
  assert.deepEqual(app.sockets.list().map(({ route }) => route), ['/'])
  assert.deepEqual(off.frames, [])
})

test('only silent peers are pinged: one that sends messages, pings or pongs by itself is not', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 1_000 } })
  const speaks: Record<string, (raw: RawClient) => void> = {
    message: (raw) => { raw.send(Opcode.Text, 'x') },
    ping: (raw) => { raw.send(Opcode.Ping) },
    pong: (raw) => { raw.send(Opcode.Pong) },
    nothing: () => {}
  }
  const raws = Object.fromEntries(await Promise.all(Object.keys(speaks).map(async (what) => [what, await rawConnect(t, app, '/')] as const)))
  answerPings(raws['nothing']!)
  for (let time = 0; time < 5_000; time += 250) {
    for (const [what, speak] of Object.entries(speaks)) speak(raws[what]!)
    await clock.tick(250)
  }
  assert.deepEqual(Object.entries(raws).filter(([, raw]) => pings(raw).length > 0).map(([what]) => what), ['nothing'])
  assert.equal(app.sockets.size, 4)
})

test('rtt is the time from our ping to its pong; a pong of another heartbeat says nothing of it', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 1_000, maxMissed: 3 } })
  const raw = await rawConnect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  assert.equal(connection.rtt, undefined)
  while (pings(raw).length === 0) await clock.tick(50)
  await clock.tick(120)
  raw.send(Opcode.Pong, 'another heartbeat')
  await clock.tick(0)
  assert.equal(connection.rtt, undefined)
  raw.send(Opcode.Pong, pings(raw)[0]!.payload)
  await clock.tick(0)
  // The clock moves in steps of the ticks that are due: the ping left in one of them.
  assert.ok(connection.rtt! >= 120 && connection.rtt! <= 170, `${connection.rtt}`)
  assert.equal(connection.state, 'open')
})

test('rtt is there for every silent client after an interval, and is what the network took', async (t) => {
  const app = await start(t, { heartbeat: { interval: 100 } }, plain)
  for (let i = 0; i < 5; i++) await connect(t, app, '/')
  await until(() => app.sockets.list().every(({ rtt }) => rtt !== undefined), 'round trips')
  for (const { rtt } of app.sockets.list()) assert.ok(rtt! >= 0)
})

test('a large message that arrives slowly keeps its sender alive, without a pong', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 1_000, maxMissed: 1 } })
  const raw = await rawConnect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  // One frame of 1,000 bytes, of which ten come every 400 ms; the mask is zero.
  raw.write(Buffer.from([0x81, 0x80 | 126, 1_000 >> 8, 1_000 & 255, 0, 0, 0, 0]))
  for (let sent = 0; sent < 1_000; sent += 10) {
    raw.write('x'.repeat(10))
    await clock.tick(400)
  }
  assert.equal(connection.state, 'open')
  assert.equal(connection.messagesReceived, 1)
  // Asked once, at the first look at which only its bytes could tell; not again while they came.
  assert.deepEqual(raw.frames.map(({ opcode }) => opcode), [Opcode.Ping, Opcode.Text])
})

test('a socket that the application has paused is not judged, for its pongs cannot be seen', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 1_000, maxMissed: 1 } })
  await rawConnect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  connection.socket.pause()
  await clock.tick(60_000)
  assert.equal(connection.state, 'open')
  connection.socket.resume()
  await clock.tick(2_600)
  assert.equal((await connection.closed).cause, 'heartbeat')
})

test('a client of injectWS is left alone: no ping, no end', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 1_000, maxMissed: 1 } })
  const client = await app.injectWS('/')
  let pinged = 0
  client.on('ping', () => { pinged++ })
  await clock.tick(60_000)
  assert.deepEqual([pinged, app.sockets.size, app.sockets.list()[0]!.rtt], [0, 1, undefined])
  client.send('hello')
  const [answer] = await new Promise<[Buffer]>((resolve) => { client.once('message', (data: Buffer) => { resolve([data]) }) })
  assert.equal(String(answer), 'hello')
  client.terminate()
})

test('in a drain connections at work are still watched, and a dead one is not waited for', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 1_000, maxMissed: 1 }, drain: { timeout: 60_000 } })
  await rawConnect(t, app, '/')
  const healthy = await connect(t, app, '/')
  const connections = app.sockets.list() as [Connection, Connection]
  const work = deferred<void>()
  for (const connection of connections) void connection.track(work.promise)
  const drain = app.sockets.drain()
  await clock.tick(2_100)
  assert.deepEqual(connections.map(({ state }) => state), ['closed', 'draining'])
  work.resolve()
  const { connections: { causes }, duration } = await drain
  assert.deepEqual(causes, { heartbeat: 1, drain: 1 })
  assert.ok(duration < 10_000, `${duration}`)
  assert.equal((await healthy.closed).code, 1012)
})

test('a connection that is closing is not pinged, and its close keeps its cause', async (t) => {
  const { app, clock } = await startClocked(t, { heartbeat: { interval: 100, maxMissed: 1 }, closeTimeout: 5_000, drain: { timeout: 60_000 } })
  const raw = await rawConnect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  const record = connection.close(4_000)
  await clock.tick(4_000)
  assert.equal(connection.state, 'closing')
  assert.deepEqual(raw.frames.map(({ opcode }) => opcode), [Opcode.Close])
  await clock.tick(1_200)
  assert.equal((await record).cause, 'application')
})

test('a heartbeat needs no timer without connections, and none that holds the process', async (t) => {
  const { app, clock } = await startClocked(t)
  assert.equal(clock.pendingTimers, 0)
  const clients = [await connect(t, app, '/'), await connect(t, app, '/')]
  // Of those who look for the dead, and for those who do not read.
  assert.equal(clock.pendingTimers, 2)
  for (const client of clients) await client.close()
  await until(() => app.sockets.size === 0)
  await turn()
  assert.equal(clock.pendingTimers, 0)
})
