/**
 * What had arrived before a drain is read, worked on and answered, wherever it lay: in the kernel, in the inflater of ws, in
 * its queue of deferred events, behind a full queue of `messages()`, or unread for want of a listener.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { WebSocket } from 'ws'
import type { Connection, LifecycleOptions, MessagesOptions, RouteSocketOptions } from '../../lib/index.ts'
import { assertBounded, connect, Opcode, rawConnect, reportOf, start } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const DEFLATE = { perMessageDeflate: { threshold: 0 } }

/** Ways to take a message, and how ws delivers it. */
const CONSUMERS = {
  'a listener': (socket: WebSocket, _connection: Connection, job: () => Promise<void>) => { socket.on('message', job) },
  'messages()': (_socket: WebSocket, connection: Connection, job: () => Promise<void>) => consume(connection, job),
  'messages() over its high-water mark': (_socket: WebSocket, connection: Connection, job: () => Promise<void>) => consume(connection, job, { highWaterMark: 100 })
}

const DELIVERIES: Record<string, LifecycleOptions['options']> = {
  plain: {},
  compressed: DEFLATE,
  'one event a turn': { allowSynchronousEvents: false },
  'compressed, one event a turn': { ...DEFLATE, allowSynchronousEvents: false }
}

async function consume (connection: Connection, job: () => Promise<void>, options?: MessagesOptions): Promise<void> {
  for await (const message of connection.messages(options)) if (message.length > 0) await job()
}

async function server (t: TestContext, options: LifecycleOptions['options'], handler: (socket: WebSocket, connection: Connection, job: () => Promise<void>) => unknown, config: RouteSocketOptions = {}): Promise<TestApp> {
  return await start(t, { drain: { timeout: 60_000 }, options: options! }, (app) => {
    app.get('/', { websocket: true, config: { sockets: config } }, async (socket) => {
      await handler(socket, app.sockets.of(socket), async () => {
        await sleep(2)
        socket.send('done')
      })
    })
  })
}

/** Sends jobs that are in the kernel when this returns, and then closes the app. */
async function sendAndClose (t: TestContext, app: TestApp, jobs: number, size: number): Promise<void> {
  const client = await connect(t, app, '/', DEFLATE)
  let answers = 0
  client.socket.on('message', () => { answers++ })
  for (let i = 1; i < jobs; i++) client.socket.send(randomBytes(size))
  // What is compressed leaves later.
  await new Promise((resolve) => { client.socket.send(randomBytes(size), resolve) })
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.equal(answers, jobs)
  const report = reportOf(app)
  assert.equal(report.work.abandoned, 0)
  assertBounded(report)
}

for (const [delivery, options] of Object.entries(DELIVERIES)) {
  for (const [consumer, handler] of Object.entries(CONSUMERS)) {
    for (const [jobs, size] of [[1, 300], [10, 300], [100, 300], [3, 30_000]] as const) {
      test(`${jobs} messages of ${size} bytes, ${delivery}, that had arrived before the drain are answered from ${consumer}`, async (t) => {
        await sendAndClose(t, await server(t, options, handler), jobs, size)
      })
    }
  }
}

for (const delivery of ['plain', 'compressed']) {
  test(`what was held for a listener, ${delivery}, is answered when one comes while the server leaves`, async (t) => {
    const app = await server(t, DELIVERIES[delivery], async (socket, _connection, job) => {
      await sleep(50)
      socket.on('message', job)
    }, { holdMessages: true })
    await sendAndClose(t, app, 10, 300)
  })

  test(`what was held for messages(), ${delivery}, is answered when it is called while the server leaves`, async (t) => {
    const app = await server(t, DELIVERIES[delivery], async (_socket, connection, job) => {
      await sleep(50)
      await consume(connection, job)
    }, { holdMessages: true })
    await sendAndClose(t, app, 10, 300)
  })
}

test('of a message whose end has not arrived nothing is waited for, and what came before it is answered', async (t) => {
  const app = await server(t, {}, (_socket, connection, job) => consume(connection, job))
  const client = await rawConnect(t, app, '/')
  client.send(Opcode.Text, 'job')
  client.send(Opcode.Text, 'a part', { fin: false })
  const closing = app.close()
  assert.equal((await client.frame()).payload.toString(), 'done')
  assert.equal((await client.closeFrame()).code, 1012)
  client.end()
  await closing
})

test('a client that sends without pause while the server leaves holds it until grace ends, not longer', async (t) => {
  const app = await start(t, { drain: { timeout: 2_000 }, options: DEFLATE }, (app) => {
    app.get('/', { websocket: true }, (socket) => consume(app.sockets.of(socket), async () => {}))
  })
  const client = await connect(t, app, '/', DEFLATE)
  const timer = setInterval(() => { if (client.socket.bufferedAmount < 100_000) client.socket.send(randomBytes(10_000)) }, 0)
  t.after(() => { clearInterval(timer) })
  await sleep(50)
  await app.close()
  assertBounded(reportOf(app))
})
