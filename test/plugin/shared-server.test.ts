/**
 * Applications that share one HTTP server: one after another, or a new one in the place of the old without a gap, as a hot
 * reload puts it. Nothing of a closed one is left on the server.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import plugin from '../../lib/index.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { nextEvent, turn } from '../helpers/records.ts'
import { connectTo, until, within } from '../helpers/server.ts'

const PATIENCE = 10_000

/** A server whose requests go to the application made last. */
function sharedServer (t: TestContext) {
  let handler: RequestListener = () => {}
  const server = http.createServer((request: IncomingMessage, response: ServerResponse) => { handler(request, response) })
  const apps: FastifyInstance[] = []
  t.after(async () => {
    await Promise.all(apps.map((app) => within(PATIENCE, app.close(), 'app.close() did not end')))
    server.close()
    server.closeAllConnections()
  })
  /** An application on it that says its name to each client; not ready yet. */
  const make = async (name: string, options: LifecycleOptions = {}) => {
    const app = Fastify({ serverFactory: (given: RequestListener) => { handler = given; return server } }) as unknown as FastifyInstance
    apps.push(app)
    await app.register(plugin, options)
    app.get('/ws', { websocket: true }, (socket) => { socket.send(name) })
    app.get('/http', async () => name)
    return app
  }
  const port = () => (server.address() as AddressInfo).port
  /** A client, and the application that has taken it. */
  const connect = async () => {
    const client = await connectTo(t, `ws://127.0.0.1:${port()}/ws`)
    return { client, name: String(await client.next()) }
  }
  const listen = (app: FastifyInstance) => app.listen({ port: 0, host: '127.0.0.1' })
  const listenItself = async () => { await once(server.listen(0, '127.0.0.1'), 'listening') }
  return { server, make, port, connect, listen, listenItself }
}

/** What could be left on a server. */
function traces (server: http.Server) {
  const listeners = server.eventNames().map((event) => [event, server.listeners(event).length] as const)
    // Fastify's own, which it leaves there.
    .filter(([event]) => event !== 'clientError')
  return { listeners, replaced: ['close', 'emit'].filter((method) => Object.hasOwn(server, method)) }
}

test('applications serve on one server, one after another, and nothing of a closed one is left on it', async (t) => {
  const { server, make, connect, listen } = sharedServer(t)
  const untouched = traces(server)
  for (const name of ['first', 'second', 'third']) {
    const app = await make(name)
    await listen(app)
    const { client, name: taken } = await connect()
    assert.equal(taken, name)
    await app.close()
    assert.equal((await client.closed).code, 1012)
    assert.deepEqual(traces(server), untouched)
  }
})

test('the application that becomes ready last takes the handshakes, while the one before drains', async (t) => {
  const { make, connect, listenItself } = sharedServer(t)
  await listenItself()
  const first = await make('first')
  await first.ready()
  const { client: old, name } = await connect()
  assert.equal(name, 'first')
  const second = await make('second')
  // It may fail to become ready yet.
  assert.equal((await connect()).name, 'first')
  await second.ready()
  assert.equal((await connect()).name, 'second')
  const { promise, resolve: finish } = deferred<void>()
  void first.sockets.list()[0]!.track(promise)
  const closed = first.close()
  await nextEvent(first, 'drain')
  assert.equal((await connect()).name, 'second')
  finish()
  await closed
  assert.equal((await old.closed).code, 1012)
  const { client, name: taken } = await connect()
  assert.equal(taken, 'second')
  await second.close()
  assert.equal((await client.closed).code, 1012)
})

test('answers keep their connection while only one of the applications drains: the other serves on it', async (t) => {
  const { make, port, listenItself } = sharedServer(t)
  await listenItself()
  const first = await make('first')
  await first.ready()
  const second = await make('second')
  await second.ready()
  const connection = async () => (await fetch(`http://127.0.0.1:${port()}/http`)).headers.get('connection')
  await first.sockets.drain()
  assert.equal(await connection(), 'keep-alive')
  await second.sockets.drain()
  assert.equal(await connection(), 'close')
})

test('when the new application is closed, the one before takes the handshakes again', async (t) => {
  const { make, connect, listenItself } = sharedServer(t)
  await listenItself()
  const first = await make('first')
  await first.ready()
  const second = await make('second')
  second.addHook('onReady', async () => { throw new Error('a mistake in the new code') })
  await assert.rejects(Promise.resolve(second.ready()), /a mistake/)
  await second.close()
  assert.equal((await connect()).name, 'first')
})

test('an application that failed to become ready takes no handshakes from the next one, although it was never closed', async (t) => {
  const { make, connect, listenItself } = sharedServer(t)
  await listenItself()
  const failed = await make('failed')
  failed.register(async () => { throw new Error('a mistake') })
  await assert.rejects(Promise.resolve(failed.ready()), /a mistake/)
  const next = await make('next')
  await next.ready()
  assert.equal((await connect()).name, 'next')
})

test('a registration that failed leaves nothing on the server, and can be tried again', async () => {
  const server = http.createServer()
  const untouched = traces(server)
  const register = async (options: LifecycleOptions, path: string) => {
    const app = Fastify({ serverFactory: () => server })
    app.get(path, async () => 'taken')
    try {
      await app.register(plugin, options)
      await app.ready()
    } finally {
      await app.close()
    }
  }
  await assert.rejects(register({ errorHandler: 'wrong' as never }, '/'), /errorHandler/)
  assert.deepEqual(traces(server), untouched)
  await assert.rejects(register({ readiness: '/ready' }, '/ready'), { code: 'FST_ERR_DUPLICATED_ROUTE' })
  assert.deepEqual(traces(server), untouched)
  await register({ readiness: '/ready' }, '/')
})

test('a second application listens while the first drains: both come to their end', async (t) => {
  const { server, make, port, connect, listen } = sharedServer(t)
  const first = await make('first')
  await listen(first)
  const { client } = await connect()
  const { promise, resolve: finish } = deferred<void>()
  void first.sockets.list()[0]!.track(promise)
  const closed = first.close()
  await until(() => !server.listening)

  const second = await make('second')
  await listen(second)
  assert.equal((await connect()).name, 'second')
  const accepted = once(server, 'connection')
  const unused = net.connect(port(), '127.0.0.1')
  t.after(() => { unused.destroy() })
  await accepted
  finish()
  await within(PATIENCE, closed, 'the first application did not close')
  assert.equal((await client.closed).code, 1012)

  // Nor are connections taken away from the one that listens now.
  for (let i = 0; i < 5; i++) await turn()
  unused.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.match(String((await once(unused, 'data'))[0]), /second$/)
  await within(PATIENCE, second.close(), 'the second application did not close')
})

test('an application that closes does not drain one that is prepared to take its place', async (t) => {
  const { server, make, connect, listen } = sharedServer(t)
  const untouched = traces(server)
  const first = await make('first')
  await listen(first)
  const second = await make('second')
  await second.ready()
  await first.close()
  assert.equal(second.sockets.state, 'running')
  await listen(second)
  assert.equal((await connect()).name, 'second')
  await second.close()
  assert.deepEqual(traces(server), untouched)
})

test('server.close() drains every application on it', async (t) => {
  const { server, make, listenItself } = sharedServer(t)
  await listenItself()
  const apps = [await make('first'), await make('second')]
  for (const app of apps) await app.ready()
  await new Promise((resolve) => { server.close(resolve) })
  assert.deepEqual(apps.map(({ sockets }) => sockets.state), ['drained', 'drained'])
})

test('a server whose own close is kept from it while applications are exchanged: each is drained before its last onClose', async (t) => {
  const { server, make, connect, listen } = sharedServer(t)
  const order: string[] = []
  const first = await make('first')
  const { close, listen: listenAgain } = server
  // As @fastify/restartable does it.
  let closing = false
  server.close = (callback) => {
    if (closing) return close.call(server, callback)
    callback?.()
    return server
  }
  server.listen = ((...args: Parameters<typeof listenAgain>) => {
    if (server.listening) return server.emit('listening')
    return Reflect.apply(listenAgain, server, args) as typeof server
  }) as typeof listenAgain
  await listen(first)
  const { client } = await connect()
  const second = await make('second')
  await listen(second)
  first.sockets.list()[0]!.defer(async () => { await turn(); order.push('cleanup') })
  first.sockets.on('drained', () => { order.push('drained') })
  await first.close()
  assert.deepEqual(order, ['cleanup', 'drained'])
  assert.equal((await client.closed).code, 1012)
  assert.equal(server.listening, true)
  assert.equal((await connect()).name, 'second')
  closing = true
  await second.close()
  assert.equal(server.listening, false)
})
