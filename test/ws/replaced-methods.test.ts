/**
 * Methods of a socket that an application has replaced, on one socket or in a class of its own, and that fail: the connection
 * ends with a fault, the client gets a code where one can be sent, and neither the process nor the drain notices.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { connect, reportOf, start, until } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

const FAILURES: Record<string, () => unknown> = {
  throws: () => { throw new Error('replaced') },
  'throws null': () => { throw null }, // eslint-disable-line no-throw-literal -- that is the point
  rejects: async () => { throw new Error('replaced') }
}

type Method = 'close' | 'terminate' | 'ping' | 'pong' | 'pause' | 'resume'

/** A server whose sockets have a method that fails, and one healthy client beside. */
async function serve (t: TestContext, where: string, method: Method, fail: () => unknown): Promise<{ app: TestApp, client: TestClient, healthy: TestClient, faults: unknown[] }> {
  const faults: unknown[] = []
  const broken = new Set<WebSocket>()
  class Own extends WebSocket {}
  Object.defineProperty(Own.prototype, method, {
    configurable: true,
    writable: true,
    value (this: WebSocket, ...args: never[]) {
      if (broken.has(this)) return fail()
      return Reflect.apply(WebSocket.prototype[method] as () => unknown, this, args)
    }
  })
  class Field extends WebSocket {
    constructor (...args: ConstructorParameters<typeof WebSocket>) {
      super(...args)
      Object.defineProperty(this, method, { configurable: true, enumerable: true, writable: true, value: (Own.prototype[method] as () => unknown).bind(this) })
    }
  }
  const own = { class: Own, field: Field }[where]
  const app = await start(t, { heartbeat: { interval: 100 }, ...(own === undefined ? {} : { options: { WebSocket: own as never } }) }, (app) => {
    app.sockets.on('error', (error) => { faults.push(error) })
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (data) => { socket.send(String(data)) })
    })
  })
  const client = await connect(t, app, '/')
  const healthy = await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  broken.add(socket)
  if (where === 'socket') socket[method] = fail as never
  return { app, client, healthy, faults }
}

for (const where of ['socket', 'class', 'field']) {
  for (const [name, fail] of Object.entries(FAILURES)) {
    test(`a close of a ${where} that ${name} loses no client its code in a drain`, async (t) => {
      const { app, client, healthy, faults } = await serve(t, where, 'close', fail)
      await app.close()
      assert.deepEqual((await Promise.all([client.closed, healthy.closed])).map(({ code }) => code), [1012, 1012])
      assert.equal(reportOf(app).connections.unfinished, 0)
      assert.equal(faults.length, 1)
    })

    test(`a close of a ${where} that ${name} answers a client that closes first`, async (t) => {
      const { app, client, healthy, faults } = await serve(t, where, 'close', fail)
      await client.close(4000)
      await until(() => app.sockets.size === 1)
      assert.equal(faults.length, 1)
      healthy.send('hello')
      assert.equal(await healthy.next(), 'hello')
    })

    test(`a terminate of a ${where} that ${name} is followed by the end of the raw socket`, async (t) => {
      const { app, client, faults } = await serve(t, where, 'terminate', fail)
      void app.sockets.list()[0]!.terminate()
      assert.equal((await client.closed).code, 1006)
      await until(() => app.sockets.size === 1)
      assert.equal(faults.length, 1)
    })

    test(`a pong of a ${where} that ${name} ends its connection with 1011`, async (t) => {
      const { app, client, healthy } = await serve(t, where, 'pong', fail)
      client.socket.ping()
      assert.equal((await client.closed).code, 1011)
      await until(() => app.sockets.size === 1)
      healthy.send('hello')
      assert.equal(await healthy.next(), 'hello')
    })

    for (const method of ['pause', 'resume'] as const) {
      test(`a ${method} of a ${where} that ${name} ends its connection with 1011`, async (t) => {
        const { app, client } = await serve(t, where, method, fail)
        app.sockets.list()[0]!.socket[method]()
        assert.equal((await client.closed).code, 1011)
        await until(() => app.sockets.size === 1)
      })
    }
  }

  test(`a ping of a ${where} that throws does not reach the timer of the heartbeat`, async (t) => {
    const { app, client, faults } = await serve(t, where, 'ping', FAILURES.throws!)
    // A socket that compresses takes ws's own ping.
    app.sockets.list()[0]!.socket.ping()
    assert.equal((await client.closed).code, 1011)
    assert.equal(faults.length, 1)
  })
}

test('a mock in the place of a method is asked for its calls there', async (t) => {
  const { app } = await serve(t, 'none', 'close', () => {})
  const { socket } = app.sockets.list()[0]!
  socket.ping = t.mock.fn()
  socket.ping('told')
  const { mock } = socket.ping as unknown as { mock: { calls: Array<{ arguments: unknown[], this: unknown }> } }
  assert.deepEqual(mock.calls.map((call) => [call.arguments, call.this === socket]), [[['told'], true]])
})

test('a close that was defined on a socket, as a spy does, loses no client its code in a drain', async (t) => {
  const { app, client, healthy, faults } = await serve(t, 'none', 'close', () => {})
  Object.defineProperty(app.sockets.list()[0]!.socket, 'close', { configurable: true, writable: true, value: FAILURES.throws })
  await app.close()
  assert.deepEqual((await Promise.all([client.closed, healthy.closed])).map(({ code }) => code), [1012, 1012])
  assert.equal(faults.length, 1)
})

test('a method that was replaced and works is called, and may be put back', async (t) => {
  const { app, client, faults } = await serve(t, 'none', 'close', () => {})
  const { socket } = app.sockets.list()[0]!
  const { close } = socket
  const calls: unknown[][] = []
  socket.close = function (...args) {
    calls.push(args)
    return Reflect.apply(close, this, args)
  }
  socket.pause = socket.pause // eslint-disable-line no-self-assign -- what a spy does when it is taken off
  socket.terminate = undefined as never
  assert.equal(socket.terminate, undefined)
  Reflect.deleteProperty(socket, 'terminate')
  void app.sockets.list()[0]!.close(4001, 'told')
  assert.deepEqual(await client.closed, { code: 4001, reason: 'told' })
  assert.deepEqual(calls[0], [4001, 'told'])
  assert.deepEqual(faults, [])
})
