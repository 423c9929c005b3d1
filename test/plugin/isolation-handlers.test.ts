/**
 * Isolation of handlers, and the user's own errorHandler: who gets what they throw, and how their connection ends.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { WebSocket } from 'ws'
import { ended } from '../helpers/ends.ts'
import { nextClosed, turn } from '../helpers/records.ts'
import { connect, logged, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const boom = () => { throw new Error('boom') }

test("the user's errorHandler gets what listeners throw, with the arguments @fastify/websocket gives", async (t) => {
  const calls: unknown[][] = []
  const app = await start(t, {
    errorHandler (error, socket, request, reply) { calls.push([this, error, socket, request, reply]) }
  }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => { throw new Error('listener') }) })
  })
  const events: unknown[] = []
  app.sockets.on('error', (error) => { events.push((error as Error).message) })
  const client = await connect(t, app, '/?token=secret')
  const { socket } = app.sockets.list()[0]!
  client.socket.send('go')
  assert.equal((await ended(client)).code, 1011)
  assert.equal(calls.length, 1)
  const [self, error, given, request, reply] = calls[0] as [unknown, Error, WebSocket, { url: string }, { code: unknown }]
  assert.equal((self as TestApp).sockets, app.sockets)
  assert.equal(error.message, 'listener')
  assert.equal(given, socket)
  assert.equal(request.url, '/?token=secret')
  assert.equal(typeof reply.code, 'function')
  assert.deepEqual(events, ['listener'])
})

test("the user's errorHandler gets what handlers throw, and error trackers see it too", async (t) => {
  const handled: string[] = []
  const app = await start(t, {
    errorHandler (error, socket) {
      handled.push(error.message)
      socket.terminate()
    }
  }, (app) => {
    app.get('/sync', { websocket: true }, () => { throw new Error('sync') })
    app.get('/async', { websocket: true }, async () => { throw new Error('async') })
  })
  const events: string[] = []
  app.sockets.on('error', (error) => { events.push((error as Error).message) })
  for (const path of ['/sync', '/async']) {
    const client = await connect(t, app, path)
    assert.equal((await ended(client)).code, 1006)
  }
  assert.deepEqual(handled, ['sync', 'async'])
  assert.deepEqual(events, ['sync', 'async'])
  assert.equal(app.sockets.stats().faults, 2)
})

test('an errorHandler that throws or rejects is logged and breaks nothing', async (t) => {
  let calls = 0
  const app = await start(t, {
    errorHandler: (async () => {
      await Promise.resolve()
      throw new Error(`errorHandler ${++calls}`)
    }) as never
  }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', boom) })
    app.get('/handler', { websocket: true }, async (socket) => { await once(socket, 'message'); boom() })
  })
  for (const [path, count] of [['/', 1], ['/handler', 2]] as const) {
    const client = await connect(t, app, path)
    client.socket.send('go')
    await until(() => logged(app, /errorHandler failed/).length === count)
    client.socket.terminate()
    await ended(client)
  }
  assert.equal(calls, 2)
})

test('a handler that fails before anything was received is cut off without a code, as @fastify/websocket does', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/sync', { websocket: true }, () => { throw new Error('sync') })
    app.get('/async', { websocket: true }, async () => { await Promise.resolve(); throw new Error('async') })
  })
  for (const path of ['/sync', '/async']) {
    const record = nextClosed(app)
    const client = await connect(t, app, path)
    assert.equal((await ended(client)).code, 1006)
    const { cause, code } = await record
    assert.deepEqual({ cause, code }, { cause: 'error', code: 1006 })
  }
  assert.equal(app.sockets.stats().faults, 2)
  assert.equal(logged(app, /handler or listener of a socket failed/).length, 2)
})

test('a handler that fails later ends its connection with the errorCode', async (t) => {
  const app = await start(t, { errorCode: 4500 }, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      await once(socket, 'message')
      throw new Error('late')
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  assert.deepEqual(await ended(client), { code: 4500, reason: 'internal error' })
})

test('an abort while closing is what the code was told to do, not a fault', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const { signal } = app.sockets.of(socket)
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => { reject(signal.reason) })
      })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.close(1000)
  await ended(client)
  await turn()
  assert.equal(app.sockets.stats().faults, 0)
  assert.equal(logged(app, /failed/).length, 0)
})

test("an abort while closing does not reach the user's errorHandler", async (t) => {
  const handled: Error[] = []
  let aborted = 0
  const app = await start(t, { errorHandler: (error) => { handled.push(error) } }, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const { signal } = app.sockets.of(socket)
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => { aborted++; reject(signal.reason) })
      })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.close(1000)
  await ended(client)
  await turn()
  assert.equal(aborted, 1)
  assert.deepEqual(handled, [])
})
