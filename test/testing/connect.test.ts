/**
 * `connect` of the testing entry: what it does for a test by itself, and how it says that something went wrong.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from '../../lib/testing/index.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { portOf, start } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** An app that does not listen yet; with an echo, and a route that speaks first and closes. */
const prepare = (t: TestContext, fastify = {}): Promise<TestApp> => start(t, {}, (app) => {
  app.get('/echo', { websocket: true }, (socket, { headers }) => {
    socket.on('message', (data, isBinary) => {
      if (String(data) === 'protocol') socket.send(socket.protocol)
      else if (String(data) === 'header') socket.send(String(headers['x-test']))
      else socket.send(data, { binary: isBinary })
    })
  })
  app.get('/bye', { websocket: true }, (socket) => {
    socket.send('one')
    socket.send('two')
    socket.close(4001, 'that was all')
  })
  app.get('/forbidden', { websocket: true, onRequest: async (_request, reply) => reply.code(403).header('x-why', 'no').send('no') }, () => {})
}, { listen: false, fastify })

test('connect makes an app listen, and later clients come to the same port', async (t) => {
  const app = await prepare(t)
  assert.equal(app.server.listening, false)
  const first = await connect(app, '/echo')
  const port = portOf(app)
  const second = await connect(app, '/echo')
  assert.equal(portOf(app), port)
  assert.equal(app.sockets.size, 2)
  first.send('hello')
  assert.equal(await first.next(), 'hello')
  assert.deepEqual(second.unread, [])
})

test('clients that connect at the same time make it listen once', async (t) => {
  const app = await prepare(t)
  let listening = 0
  app.addHook('onListen', async () => { listening++ })
  await Promise.all(Array.from({ length: 20 }, () => connect(app, '/echo')))
  assert.equal(app.sockets.size, 20)
  assert.equal(listening, 1)
  assert.ok(app.server.listenerCount('error') < 5, `${app.server.listenerCount('error')} listeners`)
})

test('next gives text as string and binary as Buffer, in order, whether here already or to come', async (t) => {
  const client = await connect(await prepare(t), '/echo')
  const waiting = [client.next(), client.next()]
  client.send('text')
  client.send(Buffer.from('binary'))
  assert.deepEqual(await Promise.all(waiting), ['text', Buffer.from('binary')])
  client.send('third')
  client.send('fourth')
  assert.equal(await client.next(), 'third')
  assert.equal(await client.next(), 'fourth')
  assert.deepEqual(client.unread, [])
})

test('messages that the server sends at once are kept, and can still be read when the connection has ended', async (t) => {
  const client = await connect(await prepare(t), '/bye')
  assert.deepEqual(await client.closed, { code: 4001, reason: 'that was all' })
  assert.deepEqual(client.unread, ['one', 'two'])
  assert.equal(await client.next(), 'one')
  assert.equal(await client.next(), 'two')
})

test('next rejects with the code and reason when the connection ends first, or has ended', async (t) => {
  const app = await prepare(t)
  const client = await connect(app, '/echo')
  const next = client.next()
  app.sockets.disconnect('all', { code: 4002, reason: 'go away' })
  await assert.rejects(next, /ended with 4002 go away/)
  await assert.rejects(client.next(), /ended with 4002 go away/)
})

test('close sends its code and reason, and resolves as closed does', async (t) => {
  const app = await prepare(t)
  const [plain, coded] = [await connect(app, '/echo'), await connect(app, '/echo')]
  assert.deepEqual(await plain.close(), { code: 1000, reason: '' })
  assert.deepEqual(await coded.close(4003, 'done'), { code: 4003, reason: 'done' })
  assert.deepEqual(await coded.closed, { code: 4003, reason: 'done' })
  assert.deepEqual(await coded.close(), { code: 4003, reason: 'done' })
})

test('a connection that is cut off has closed with 1006', async (t) => {
  const app = await prepare(t)
  const client = await connect(app, '/echo')
  void app.sockets.list()[0]!.terminate()
  assert.deepEqual(await client.closed, { code: 1006, reason: '' })
})

test('a handshake that is refused rejects with its status and headers', async (t) => {
  const app = await prepare(t)
  await assert.rejects(connect(app, '/forbidden'), (error: Error & { headers: object }) => {
    assert.match(error.message, /refused with 403/)
    assert.equal((error as { status?: number }).status, 403)
    assert.equal((error.headers as { 'x-why'?: string })['x-why'], 'no')
    return true
  })
  await assert.rejects(connect(app, '/nowhere'), { status: 404 })
  await app.sockets.drain()
  await assert.rejects(connect(app, '/echo'), { status: 503 })
})

test('a server that is not there rejects with what the system says', async (t) => {
  const app = await prepare(t)
  await (await connect(app, '/echo')).close()
  await assert.rejects(connect(app, '/echo', { to: '[::1]' }), { syscall: 'connect' })
})

test('options are those of a ws client: headers, subprotocols and the rest', async (t) => {
  const app = await prepare(t)
  const client = await connect(app, '/echo', { headers: { 'x-test': 'yes' }, protocols: ['chat', 'other'], autoPong: false })
  client.send('header')
  assert.equal(await client.next(), 'yes')
  client.send('protocol')
  assert.equal(await client.next(), 'chat')
})

test('an app that speaks TLS is spoken to in TLS', async (t) => {
  const app = await prepare(t, { https: makeCertificate() })
  const client = await connect(app, '/echo')
  assert.match(client.socket.url, /^wss:/)
  client.send('hello')
  assert.equal(await client.next(), 'hello')
})
