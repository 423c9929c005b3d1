/**
 * The time a handshake may take, over real sockets and on a clock that the test moves.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { createClock } from '../../lib/testing/clock.ts'
import { tcpEnded } from '../helpers/ends.ts'
import { answerAndWait, assertRefused, gate } from '../helpers/gate.ts'
import { nextEvent, turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { maskedFrame, Opcode, rawHandshake, start, until } from '../helpers/server.ts'

// ——— the timeout

/** An app whose clock stands still until a test moves it, with one hook that never lets go at '/hang'. */
async function hanging (t: TestContext, timeout: number | false | undefined, hook = gate()) {
  const clock = createClock()
  const app = await start(t, { clock, heartbeat: false, backpressure: false, limits: { handshakes: timeout === undefined ? {} : { timeout } } }, (app) => {
    plain(app)
    app.get('/hang', { websocket: true, preHandler: hook.wait }, () => {})
  })
  const refusals: unknown[] = []
  app.sockets.on('refused', (refusal) => { refusals.push(refusal) })
  return { app, clock, hook, refusals }
}

for (const [given, timeout] of [[undefined, 10_000], [250, 250], [1_000, 1_000]] as const) {
  test(`a hook that never answers is ended after ${timeout} ms: 503, TCP closed, an event; not sooner`, async (t) => {
    const { app, clock, hook, refusals } = await hanging(t, given)
    const raw = await rawHandshake(t, app, '/hang?token=secret')
    await hook.arrived
    // A deadline is never early.
    await clock.tick(timeout - 1)
    assert.deepEqual(refusals, [])
    await clock.tick(101)
    const { status, headers } = await raw.answer
    assert.deepEqual([status, headers.get('connection'), headers.get('retry-after')], [503, 'close', '1'])
    assert.equal(await tcpEnded(raw), undefined)
    assert.equal(raw.body, 'The handshake took too long.\n')
    assert.equal(headers.get('content-length'), String(raw.body.length))
    assert.deepEqual(refusals, [{ reason: 'handshake timeout', path: '/hang', ip: '127.0.0.1' }])
    // The log's window of ten seconds is all that is left.
    await clock.tick(10_000)
    assert.deepEqual([app.sockets.stats().refused, app.sockets.stats().opened, clock.pendingTimers], [{ 'handshake timeout': 1 }, 0, 0])
    // The hook ends at last; the client has gone.
    hook.open()
    await turn()
    assert.deepEqual([app.sockets.size, refusals.length], [0, 1])
  })
}

test('without a handshake timeout a hook may take as long as it likes, and no deadline is set', async (t) => {
  const { app, clock, hook, refusals } = await hanging(t, false)
  const raw = await rawHandshake(t, app, '/hang')
  await hook.arrived
  assert.equal(clock.pendingTimers, 0)
  await clock.tick(600_000)
  hook.open()
  assert.equal((await raw.answer).status, 101)
  assert.deepEqual(refusals, [])
  raw.destroy()
})

test('bytes that a client sends meanwhile do not give it more time', async (t) => {
  const { app, clock, hook } = await hanging(t, 1_000)
  const raw = await rawHandshake(t, app, '/hang')
  await hook.arrived
  for (let i = 0; i < 9; i++) {
    await clock.tick(100)
    raw.write(maskedFrame(Opcode.Text, 'let me in'))
    await turn()
  }
  await clock.tick(200)
  assert.equal((await raw.answer).status, 503)
  await tcpEnded(raw)
})

test('each handshake has its own time', async (t) => {
  const hook = gate()
  let waiting = 0
  const { app, clock, refusals } = await hanging(t, 1_000, { ...hook, wait: async () => { waiting++; await hook.wait() } })
  const first = await rawHandshake(t, app, '/hang')
  await until(() => waiting === 1)
  await clock.tick(600)
  const second = await rawHandshake(t, app, '/hang')
  await until(() => waiting === 2)
  await clock.tick(500)
  assert.equal((await first.answer).status, 503)
  await tcpEnded(first)
  assert.equal(refusals.length, 1)
  hook.open()
  assert.equal((await second.answer).status, 101)
  second.destroy()
})

test('a handshake that has opened leaves no deadline, and the open connection is not held to it', async (t) => {
  const { app, clock, hook, refusals } = await hanging(t, 1_000)
  const raw = await rawHandshake(t, app, '/hang')
  await hook.arrived
  assert.equal(clock.pendingTimers, 1)
  const opened = nextEvent(app, 'open')
  hook.open()
  const [connection] = await opened
  assert.equal(clock.pendingTimers, 0)
  await clock.tick(60_000)
  assert.deepEqual([connection.state, refusals], ['open', []])
  raw.destroy()
})

test('a handshake that was answered otherwise, or whose client has left, leaves no deadline', async (t) => {
  const clock = createClock()
  const hook = gate()
  const app = await start(t, { clock, heartbeat: false, backpressure: false }, (app) => {
    app.get('/no', { websocket: true, preHandler: async (_request: FastifyRequest, reply: FastifyReply) => reply.code(403).send('no') }, () => {})
    app.get('/hang', { websocket: true, preHandler: hook.wait }, () => {})
  })
  for (const path of ['/no', '/nowhere']) {
    const raw = await rawHandshake(t, app, path)
    assert.ok((await raw.answer).status >= 400)
    raw.end()
    await tcpEnded(raw)
    await until(() => clock.pendingTimers === 0, `no timer after ${path}`)
  }
  const raw = await rawHandshake(t, app, '/hang')
  await hook.arrived
  assert.equal(clock.pendingTimers, 1)
  raw.reset()
  await until(() => clock.pendingTimers === 0, 'no timer after a client has left')
  await clock.tick(60_000)
  assert.deepEqual(app.sockets.stats().refused, {})
  hook.open()
})

test('a drain that ends a waiting handshake leaves no deadline', async (t) => {
  const { app, clock, hook, refusals } = await hanging(t, 60_000)
  const raw = await rawHandshake(t, app, '/hang')
  await hook.arrived
  await app.sockets.drain()
  await assertRefused(raw)
  assert.equal(clock.pendingTimers, 0)
  assert.deepEqual(refusals, [{ reason: 'draining', path: '/hang', ip: '127.0.0.1' }])
  hook.open()
})

test('a hook that has answered on the raw socket and left it open is cut off when its time is over, without a second answer', async (t) => {
  const hook = gate()
  const clock = createClock()
  const app = await start(t, { clock, heartbeat: false, backpressure: false, limits: { handshakes: { timeout: 1_000 } } }, (app) => {
    app.get('/', { websocket: true, preHandler: answerAndWait(hook) }, () => {})
  })
  const raw = await rawHandshake(t, app, '/')
  await hook.arrived
  assert.equal((await raw.answer).status, 418)
  await clock.tick(1_100)
  await tcpEnded(raw)
  assert.deepEqual([raw.body, app.sockets.stats().refused], ['', {}])
  hook.open()
})

test('a stall is not a slow handshake: what has waited while the event loop stood still has its time', async (t) => {
  const { app, clock, hook, refusals } = await hanging(t, 1_000)
  const raw = await rawHandshake(t, app, '/hang')
  await hook.arrived
  clock.stall(60_000)
  await clock.tick(500)
  assert.deepEqual(refusals, [])
  hook.open()
  assert.equal((await raw.answer).status, 101)
  raw.destroy()
})
