/**
 * Moves in a drain, with real clients: they lose nothing, and those that do not move hold nothing.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { createClock } from '../../lib/testing/clock.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { asked, MOVED } from '../helpers/mover.ts'
import { MovingClient } from '../helpers/moving-client.ts'
import { connect, Opcode, passUntil, passUntilClosed, portOf, rawConnect, reportOf, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import { createJob } from '../helpers/job.ts'
import type { Job } from '../helpers/job.ts'

/** Another server takes over, and can take all clients at once. */
const DEPLOY: LifecycleOptions = { closeTimeout: 10_000, drain: { terminationGracePeriod: 120_000, reconnect: { rate: 100_000 } } }
/** It stays. */
const STAYS: LifecycleOptions = {}

/** An app on a clock of its own: no time passes on it, however slow the machine is, unless a test says so. */
async function serve (t: TestContext, options: LifecycleOptions = DEPLOY, jobs: Job[] = []): Promise<TestApp> {
  return await start(t, { heartbeat: false, clock: createClock(), ...options }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async (message) => {
        const job = jobs.shift()
        await job?.promise
        socket.send(`done ${String(message)}`)
      })
    })
  })
}

const urlOf = (app: TestApp): string => `ws://127.0.0.1:${portOf(app)}/`

test('clients that can move lose no broadcast and see no close, while one server takes over from another', async (t) => {
  const [before, after] = [await serve(t), await serve(t, STAYS)]
  let current = before
  const clients = await Promise.all(Array.from({ length: 50 }, () => MovingClient.connect(t, () => urlOf(current))))
  let sent = 0
  const send = (): void => {
    sent++
    for (const app of [before, after]) void app.sockets.broadcast(String(sent), 'all')
  }
  const beat = setInterval(send, 10)
  t.after(() => { clearInterval(beat) })
  await until(() => clients.every(({ messages }) => messages.length > 5), 'the first messages')
  current = after
  const report = await before.sockets.drain()
  assert.deepEqual(report.connections.causes, { moved: 50 })
  assert.equal(report.connections.clean, 50)
  assert.equal(report.reconnect, null, 'no client is told to stay away')
  clearInterval(beat)
  const last = String(sent)
  await until(() => clients.every(({ messages, left }) => left.length === 1 && messages.includes(last)), 'the last message')
  for (const { messages, moves, left, failures } of clients) {
    assert.deepEqual({ moves, left, failures }, { moves: 1, left: [{ code: 1012, reason: 'moved' }], failures: [] })
    const numbers = [...new Set(messages.map(Number))]
    assert.deepEqual(numbers, Array.from({ length: sent - numbers[0]! + 1 }, (_, i) => numbers[0]! + i), 'in order, and none lost')
  }
  assert.equal(after.sockets.size, 50)
})

test('the result of work in flight arrives on the old connection', async (t) => {
  const job = createJob()
  const [before, after] = [await serve(t, DEPLOY, [job]), await serve(t, STAYS)]
  let current = before
  const client = await MovingClient.connect(t, () => urlOf(current))
  client.send('job')
  await until(() => before.sockets.stats().working === 1, 'the job')
  current = after
  const drained = before.sockets.drain()
  await until(() => client.moves === 1, 'the move')
  client.send('next')
  await until(() => after.sockets.list()[0]?.messagesReceived === 1, 'the message on the new connection')
  assert.deepEqual(client.messages, [], 'held back until the old connection has closed')
  job.done()
  const report = await drained
  await until(() => client.messages.length === 2, 'both answers')
  assert.deepEqual(client.messages, ['done job', 'done next'])
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.deepEqual(report.connections.causes, { moved: 1 })
})

test('work that begins before the client moves is waited for, too', async (t) => {
  const job = createJob()
  const app = await serve(t, DEPLOY, [job])
  const client = await connect(t, app, '/', { protocols: ['lifecycle.v1'] })
  const drained = app.sockets.drain()
  asked(await client.next())
  client.send('job')
  client.send(MOVED)
  await until(() => app.sockets.stats().working === 1, 'the job')
  job.done()
  assert.equal(await client.next(), 'done job')
  assert.deepEqual(await client.closed, { code: 1012, reason: 'moved' })
  assert.deepEqual((await drained).connections.causes, { moved: 1 })
})

test('clients that never move are closed 5 s after their turn, with the others waiting for none of them', async (t) => {
  const clock = createClock()
  const app = await serve(t, { ...DEPLOY, clock })
  const silent = await connect(t, app, '/', { protocols: ['lifecycle.v1'] })
  const plain = await connect(t, app, '/')
  const begun = clock.now()
  const closing = app.close()
  await passUntil(clock, () => plain.socket.readyState === plain.socket.CLOSED)
  const plainAfter = clock.now() - begun
  assert.ok(plainAfter < 1_000, `after ${plainAfter} ms`)
  asked(await silent.next())
  await passUntilClosed(clock, closing)
  const { code, reason } = await silent.closed
  assert.equal(code, 1012)
  assert.match(reason, /^service restart/)
  const report = reportOf(app)
  assert.deepEqual(report.connections.causes, { drain: 2 })
  assert.ok(report.duration >= 5_000 && report.duration < 7_000, `${report.duration} ms`)
})

test('a mover that never answers the close frame is cut off after closeTimeout', async (t) => {
  const clock = createClock()
  const app = await serve(t, { ...DEPLOY, closeTimeout: 500, clock })
  const client = await rawConnect(t, app, '/', { 'Sec-WebSocket-Protocol': 'lifecycle.v1' })
  const closing = app.close()
  await passUntil(clock, () => client.frames.length > 0)
  asked((await client.frame()).payload)
  client.send(Opcode.Text, MOVED)
  await passUntil(clock, () => client.frames.length > 0)
  assert.deepEqual(await client.closeFrame(), { code: 1012, reason: 'moved' })
  await passUntilClosed(clock, closing)
  const report = reportOf(app)
  assert.deepEqual(report.connections, { total: 1, clean: 0, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: { moved: 1 } })
  assert.ok(report.duration < 2_000, `${report.duration} ms`)
})

test('a drain that is nearly over closes clients that were asked in the ordinary way', async (t) => {
  const clock = createClock()
  const app = await serve(t, { closeTimeout: 100, drain: { terminationGracePeriod: 7_000, reserve: 5_000 }, clock })
  const client = await connect(t, app, '/', { protocols: ['lifecycle.v1'] })
  const closing = app.close()
  await passUntilClosed(clock, closing)
  assert.match((await client.closed).reason, /^service restart/)
  const report = reportOf(app)
  assert.ok(report.duration <= report.timeout, JSON.stringify(report))
})

for (const [what, options] of Object.entries<LifecycleOptions>({
  'by a server that comes back itself': { drain: { timeout: 60_000 } },
  'with drain: { move: false }': { drain: { ...DEPLOY.drain, move: false } }
})) {
  test(`no client is asked ${what}`, async (t) => {
    const app = await serve(t, options)
    const client = await connect(t, app, '/', { protocols: ['lifecycle.v1'] })
    const report = await app.sockets.drain()
    assert.match((await client.closed).reason, /^service restart/)
    assert.deepEqual(client.unread, [])
    assert.deepEqual(report.connections.causes, { drain: 1 })
  })
}

test('what close listeners of moved connections send to the rest is not sent, as in any drain', async (t) => {
  const app = await start(t, { heartbeat: false, clock: createClock(), ...DEPLOY }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('close', () => { void app.sockets.broadcast('one has left', 'all') })
    })
  })
  const movers = await Promise.all([1, 2].map(() => connect(t, app, '/', { protocols: ['lifecycle.v1'] })))
  const drained = app.sockets.drain()
  for (const client of movers) asked(await client.next())
  movers[0]!.send(MOVED)
  await movers[0]!.closed
  movers[1]!.send(MOVED)
  await movers[1]!.closed
  const report = await drained
  assert.deepEqual(movers.flatMap(({ unread }) => unread), [])
  assert.equal(report.suppressed, 2)
  assert.deepEqual(report.connections.causes, { moved: 2 })
})

test('onDrain is called before clients are asked, and may send', async (t) => {
  const app = await serve(t, { ...DEPLOY, onDrain: (connection) => { connection.socket.send('we restart') } })
  const client = await connect(t, app, '/', { protocols: ['lifecycle.v1'] })
  const drained = app.sockets.drain()
  assert.equal(await client.next(), 'we restart')
  asked(await client.next())
  client.send(MOVED)
  await drained
})

test('the application may move a client sooner than its turn', async (t) => {
  const clock = createClock()
  const app = await serve(t, { ...DEPLOY, drain: { ...DEPLOY.drain, reconnect: { rate: 1 } }, clock })
  const clients = await Promise.all([1, 2, 3].map(() => connect(t, app, '/', { protocols: ['lifecycle.v1'] })))
  const drained = app.sockets.drain()
  await passUntil(clock, () => app.sockets.list().every(({ state }) => state === 'draining'))
  const moving = app.sockets.list().map((connection) => connection.move())
  for (const client of clients) {
    asked(await client.next())
    client.send(MOVED)
  }
  assert.deepEqual(await Promise.all(moving), [true, true, true])
  await passUntil(clock, () => app.sockets.size === 0)
  await passUntil(clock, () => app.sockets.state === 'drained')
  assert.ok((await drained).duration < 1_000)
})
