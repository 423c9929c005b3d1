/**
 * The policies of the server and the class of the client together: whatever asks for a move, the application sees no close.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { lifecycle } from '../../lib/client/index.ts'
import { createClock } from '../../lib/testing/clock.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { record } from '../client/fake-base.ts'
import { controlFrame } from '../helpers/mover.ts'
import { Opcode, passUntil, portOf, rawConnect, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const Socket = lifecycle(WebSocket)

/** An app on a clock of its own, which echoes. */
async function serve (t: TestContext, options: LifecycleOptions = {}): Promise<TestApp> {
  return await start(t, { heartbeat: false, clock: createClock(), ...options }, (app) => {
    app.decorate('isUnderPressure', () => pressed.has(app))
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  })
}

/** Apps under pressure. */
const pressed = new Set<TestApp>()

interface Speaker {
  socket: InstanceType<typeof Socket>
  events: string[]
  /** Sends a number, and one every few milliseconds from now on. */
  speak (): void
  /** Stops, waits for all echoes, closes, and checks that nothing else was seen. */
  finish (): Promise<void>
}

function speaker (t: TestContext, urlOf: () => string): Speaker {
  const socket = new Socket(urlOf, ['chat'])
  const events = record(socket)
  let sent = 0
  let beat: NodeJS.Timeout | undefined
  t.after(() => { clearInterval(beat) })
  const speak = (): void => { socket.send(String(++sent)) }
  return {
    socket,
    events,
    speak: () => {
      speak()
      beat = setInterval(speak, 5)
    },
    finish: async () => {
      clearInterval(beat)
      await until(() => events.length === sent + 1, 'all echoes')
      assert.deepEqual(events, ['open', ...Array.from({ length: sent }, (_, i) => `message ${i + 1}`)])
      const closed = once(socket as unknown as EventTarget, 'close')
      socket.close()
      await closed
    }
  }
}

const urlOf = (app: TestApp) => `ws://127.0.0.1:${portOf(app)}/`

test('on a server whose limits are all reached, a client moves again and again', async (t) => {
  const app = await serve(t, { limits: { total: { max: 1 }, perAddress: { max: 1 }, handshakes: { max: 1 } } })
  const client = speaker(t, () => urlOf(app))
  await until(() => client.events.length === 1, 'the first connection')
  client.speak()
  for (let i = 1; i <= 10; i++) {
    assert.equal(await app.sockets.list()[0]!.move(), true)
    await until(() => app.sockets.history.length === i, 'the end of the old connection')
  }
  await client.finish()
  assert.deepEqual(app.sockets.stats().refused, {})
  await until(() => app.sockets.size === 0, 'the end')
  assert.deepEqual(app.sockets.stats().closed, { moved: 10, client: 1 })
})

test('the end of a lifetime is not seen by the application', async (t) => {
  const clock = createClock()
  const app = await serve(t, { clock, maxLifetime: 60_000, limits: { total: { max: 1 } } })
  const client = speaker(t, () => urlOf(app))
  await until(() => client.events.length === 1, 'the first connection')
  client.speak()
  for (let i = 1; i <= 3; i++) {
    // The client has the time of the real clock to move: on this one none passes.
    await clock.tick(60_050)
    await until(() => app.sockets.history.length === i, 'the move')
  }
  await client.finish()
  await until(() => app.sockets.size === 0, 'the end')
  assert.deepEqual(app.sockets.history.map(({ cause }) => cause), ['moved', 'moved', 'moved', 'client'])
})

test('under pressure clients move to another server', async (t) => {
  const clock = createClock()
  const [before, after] = [await serve(t, { clock, limits: { pressure: true } }), await serve(t)]
  let current = before
  const clients = Array.from({ length: 5 }, () => speaker(t, () => urlOf(current)))
  await until(() => clients.every(({ events }) => events.length === 1), 'the first connections')
  current = after
  pressed.add(before)
  for (const client of clients) client.speak()
  for (let i = 1; i <= 5; i++) {
    await clock.tick(1_000)
    await until(() => before.sockets.history.length === i, 'the move')
  }
  pressed.delete(before)
  assert.deepEqual(before.sockets.stats().closed, { moved: 5 })
  for (const client of clients) await client.finish()
})

test('clients that break the rules keep no other from moving, and no drain from its end', async (t) => {
  const clock = createClock()
  const before = await serve(t, { clock, closeTimeout: 500, drain: { terminationGracePeriod: 120_000, reconnect: { rate: 100_000 } } })
  const after = await serve(t)
  let current = before
  const clients = Array.from({ length: 10 }, () => speaker(t, () => urlOf(current)))
  await until(() => clients.every(({ events }) => events.length === 1), 'the first connections')
  const offer = { 'Sec-WebSocket-Protocol': 'lifecycle.v1' }
  // One never answers, one floods, one reads nothing, one claims to have moved long before.
  const [silent, flood, stuck, early] = await Promise.all([1, 2, 3, 4].map(() => rawConnect(t, before, '/', offer)))
  early!.send(Opcode.Text, controlFrame({ type: 'moved' }))
  stuck!.pause()
  await until(() => before.sockets.size === 14, 'all connections')
  current = after
  for (const client of clients) client.speak()
  const drained = before.sockets.drain()
  for (let i = 0; i < 100; i++) flood!.send(Opcode.Text, controlFrame({ type: 'moved', i }))
  await until(() => before.sockets.stats().closed.moved! >= 10, 'the moves')
  for (const client of clients) await client.finish()
  await passUntil(clock, () => before.sockets.state === 'drained')
  const report = await drained
  const { causes } = report.connections
  assert.ok(causes.moved === 10 || causes.moved === 11, 'the flood may have been asked before it was counted')
  assert.equal(Object.values(causes).reduce((sum, count) => sum + count, 0), 14)
  assert.ok(report.duration < 8_000, `${report.duration} ms`)
  for (const client of [silent, flood, stuck, early]) client!.destroy()
})
