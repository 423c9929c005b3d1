/** The plugin, and tracing without an SDK of OpenTelemetry, which no file of this folder registers: those of test/show/tracing do. */
import assert from 'node:assert/strict'
import { diag } from '@opentelemetry/api'
import { tracingChannel } from 'node:diagnostics_channel'
import test from 'node:test'
import Fastify from 'fastify'
import tracing from '../../lib/show/tracing/index.ts'
import { connect, start, until } from '../helpers/server.ts'

test('it needs the plugin, knows its options, and is registered once', async (t) => {
  await assert.rejects(async () => { await Fastify().register(tracing) }, { code: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED' })
  const app = await start(t, {}, undefined, { listen: false })
  await assert.rejects(async () => { await app.register(tracing, { messages: true as never }) }, { code: 'SOCKETS_ERR_INVALID_OPTION', message: /messages must be 'inherit', 'all' or false, got true/ })
  const other = await start(t, {}, async (app) => { await app.register(tracing) }, { listen: false })
  await assert.rejects(async () => { await other.register(tracing) }, { code: 'SOCKETS_ERR_OPTION_CONFLICT' })
})

test('without an SDK everything works and nothing is traced', async (t) => {
  const errors: unknown[] = []
  diag.setLogger({ error: (...args) => { errors.push(args) }, warn () {}, info () {}, debug () {}, verbose () {} })
  t.after(() => { diag.disable() })
  const app = await start(t, {}, async (app) => {
    await app.register(tracing, { messages: 'all' })
    app.get('/', { websocket: true }, async (socket) => {
      for await (const message of app.sockets.of(socket).messages()) socket.send(`${String(message)} heard`)
    })
  })
  const client = await connect(t, app, '/', { headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } })
  const connection = app.sockets.list()[0]!
  assert.equal(connection.traceContext, undefined)
  client.socket.send('1')
  assert.equal(await client.next(), '1 heard')
  await client.close(1000)
  await until(() => app.sockets.size === 0)
  assert.deepEqual(errors, [])
})

test('the TracingChannel has a context for each call of a listener for messages', async (t) => {
  const seen: unknown[] = []
  const note = (event: string) => (received: object) => {
    const { connection, data, isBinary, error } = received as { connection: { id: number }, data: Buffer, isBinary: boolean, error?: Error }
    seen.push([event, connection.id, String(data), isBinary, error?.message])
  }
  const channel = tracingChannel('fastify-websocket-lifecycle:receive')
  const subscribers = { start: note('start'), end: note('end'), asyncStart: note('asyncStart'), asyncEnd: note('asyncEnd'), error: note('error') }
  const app = await start(t, {}, async (app) => {
    await app.register(tracing)
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', () => {})
      socket.on('message', async (data) => { if (String(data) === 'fail') throw new Error('no') })
    })
  })
  const client = await connect(t, app, '/')
  const { id, socket } = app.sockets.list()[0]!
  channel.subscribe(subscribers)
  t.after(() => { channel.unsubscribe(subscribers) })
  socket.emit('message', Buffer.from('1'), true)
  await new Promise((resolve) => { setImmediate(resolve) })
  assert.deepEqual(seen.splice(0), ['start', 'end', 'start', 'end', 'asyncStart', 'asyncEnd'].map((event) => [event, id, '1', true, undefined]))
  socket.emit('message', Buffer.from('fail'), false)
  assert.equal((await client.closed).code, 1011)
  assert.deepEqual(seen.map((entry) => [(entry as unknown[])[0], (entry as unknown[])[4]]), [['start', undefined], ['end', undefined], ['start', undefined], ['end', undefined], ['error', 'no'], ['asyncStart', 'no'], ['asyncEnd', 'no']])
})
