/**
 * The plugin in real applications: endpoint, registries, options that are wrong, several applications in one process.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import Fastify from 'fastify'
import * as client from 'prom-client'
import metrics from '../../../lib/show/metrics/index.ts'
import type { MetricsOptions } from '../../../lib/show/metrics/index.ts'
import { connect, create, start, until } from '../../helpers/server.ts'
import type { TestApp } from '../../helpers/server.ts'
import { valuesIn } from './fake-stats.ts'

const scrape = async (app: TestApp, url = '/metrics') => {
  const answer = await app.inject(url)
  assert.equal(answer.statusCode, 200)
  return { values: valuesIn(answer.body), type: answer.headers['content-type'] }
}
const withRoute = (options: MetricsOptions) => async (app: TestApp) => {
  await app.register(metrics, options)
  app.get('/echo/:room', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(data) }) })
}

test('the endpoint answers what the tracker has counted', async (t) => {
  const app = await start(t, {}, withRoute({ client, register: new client.Registry(), endpoint: '/metrics' }))
  const peer = await connect(t, app, '/echo/1')
  peer.send('hello')
  await peer.next()
  const { values, type } = await scrape(app)
  assert.equal(type, 'text/plain; version=0.0.4; charset=utf-8')
  assert.equal(values.get('ws_connections{route="/echo/:room",state="open"}'), 1)
  assert.equal(values.get('ws_connections_expected'), 1)
  assert.equal(values.get('ws_drain_capacity'), app.sockets.plan().capacity)
  assert.ok(![...values.keys()].some((name) => name.startsWith('ws_fleet_')))
  assert.equal(values.get('ws_messages_total{route="/echo/:room",direction="received"}'), 1)
  assert.equal(values.get('ws_bytes_total{direction="sent"}'), 5)
  assert.equal(values.get('ws_handshake_duration_seconds_count'), 1)
  await peer.close(4321)
  await until(() => app.sockets.size === 0)
  assert.equal((await scrape(app)).values.get('ws_connections_closed_total{route="/echo/:room",cause="client",code="other"}'), 1)
})

test('a scrape in a drain says where it is', async (t) => {
  const app = await start(t, {}, withRoute({ client, register: new client.Registry(), endpoint: '/metrics' }))
  const peer = await connect(t, app, '/echo/1')
  let finish!: () => void
  void app.sockets.list()[0]!.track(new Promise<void>((resolve) => { finish = resolve }))
  const drained = app.sockets.drain()
  const { values } = await scrape(app)
  assert.ok(values.get('ws_drain_phase')! > 0)
  assert.ok(values.get('ws_drain_remaining_seconds')! > 0)
  finish()
  await Promise.all([drained, peer.closed])
  assert.equal((await scrape(app)).values.get('ws_drain_phase'), 6)
})

test('the endpoint takes options of a route, and the prefix is one of names', async (t) => {
  const preHandler = (request: { headers: object }, reply: { code (status: number): { send (): void } }, done: () => void) => {
    if ('authorization' in request.headers) done()
    else reply.code(401).send()
  }
  const app = await start(t, {}, withRoute({ register: new client.Registry(), prefix: 'chat_', endpoint: { url: '/internal/metrics', preHandler: preHandler as never } }))
  assert.equal((await app.inject('/internal/metrics')).statusCode, 401)
  const { body } = await app.inject({ url: '/internal/metrics', headers: { authorization: 'x' } })
  assert.equal(valuesIn(body).get('chat_ws_connections_opened_total'), 0)
})

test('the default registry of the client is used without another, and is free again after close', async (t) => {
  for (let round = 0; round < 2; round++) {
    const app = await start(t, {}, withRoute({ client }))
    assert.match(await client.register.metrics(), /^ws_owners 0$/m)
    await app.close()
    assert.equal(await client.register.metrics(), '\n')
  }
})

test('a second application needs a registry or a prefix of its own', async (t) => {
  const register = new client.Registry()
  await start(t, {}, withRoute({ client, register }))
  await assert.rejects(start(t, {}, withRoute({ client, register }), { listen: false }), { code: 'SOCKETS_ERR_OPTION_CONFLICT', message: /"ws_connections"/ })
  await start(t, {}, withRoute({ client, register, prefix: 'admin_' }))
  await start(t, {}, withRoute({ client, register: new client.Registry() }))
  const values = valuesIn(await register.metrics())
  assert.ok(values.has('ws_owners') && values.has('admin_ws_owners'))
})

test('options that are wrong are errors at registration', async (t) => {
  const wrong: Array<[options: object, code: string, message: RegExp]> = [
    [{}, 'SOCKETS_ERR_INVALID_OPTION', /metrics need client .* or meter/],
    [{ client: {} }, 'SOCKETS_ERR_INVALID_OPTION', /^client must be prom-client or @prometheus-io\/client, got an object$/],
    [{ client, register: 'default' }, 'SOCKETS_ERR_INVALID_OPTION', /^register must be a registry/],
    [{ meter: {} }, 'SOCKETS_ERR_INVALID_OPTION', /^meter must be a meter/],
    [{ client, prefix: '1-' }, 'SOCKETS_ERR_INVALID_OPTION', /^prefix must be letters, digits and _, no digit first, got "1-"$/],
    [{ client, endpoint: 'metrics' }, 'SOCKETS_ERR_INVALID_OPTION', /^endpoint must be a path that starts with \/.*got "metrics"$/],
    [{ client, endpoint: null }, 'SOCKETS_ERR_INVALID_OPTION', /^endpoint must be/],
    [{ client, registry: client.register }, 'SOCKETS_ERR_INVALID_OPTION', /unknown option "registry"; did you mean "register"\?/],
    [{ meter: fakeMeter(), endpoint: '/metrics' }, 'SOCKETS_ERR_OPTION_CONFLICT', /^endpoint needs client or register/]
  ]
  for (const [options, code, message] of wrong) {
    await assert.rejects(start(t, {}, (app) => app.register(metrics, options), { listen: false }), { code, message }, JSON.stringify(Object.keys(options)))
  }
  assert.equal(await client.register.metrics(), '\n')
})

test('a meter hears of the tracker until the application is closed', async (t) => {
  const meter = fakeMeter()
  const app = await start(t, {}, withRoute({ meter }))
  const observed: number[] = []
  for (const callback of meter.callbacks) callback({ observe: (_instrument: unknown, value: number) => { observed.push(value) } })
  assert.ok(observed.length > 30)
  await app.close()
  assert.equal(meter.callbacks.size, 0)
})

test('without the plugin that it shows, registration fails', async (t) => {
  const app = create(t)
  await assert.rejects(async () => { await app.register(metrics, { client, register: new client.Registry() }) }, /fastify-websocket-lifecycle/)
  // A child context has the tracker of its parent.
  const parent = Fastify()
  t.after(() => parent.close())
  const { default: sockets } = await import('../../../lib/index.ts')
  await parent.register(sockets)
  const register = new client.Registry()
  await parent.register(async (child) => { await child.register(metrics, { client, register, endpoint: '/metrics' }) }, { prefix: '/internal' })
  assert.equal((await parent.inject('/internal/metrics')).statusCode, 200)
})

function fakeMeter () {
  const callbacks = new Set<(observer: { observe (instrument: never, value: number): void }) => void>()
  const create = (name: string) => ({ name })
  return {
    callbacks,
    createObservableGauge: create,
    createObservableCounter: create,
    createObservableUpDownCounter: create,
    addBatchObservableCallback (callback: never) { callbacks.add(callback) },
    removeBatchObservableCallback (callback: never) { callbacks.delete(callback) }
  }
}
