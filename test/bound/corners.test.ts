/**
 * Limits where users and networks do odd things: listeners that close others, clients without an address, injected ones,
 * many producers for one peer, compression.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { LogController } from 'fastify'
import WebSocket from 'ws'
import { assertClean } from '../../lib/testing/assert-clean.ts'
import { plain } from '../helpers/routes.ts'
import { connect, maskedFrame, Opcode, rawConnect, start, until } from '../helpers/server.ts'
import { turn } from '../helpers/records.ts'
import { as, serve, settle, turnedAway } from './rig.ts'
import { deaf, fill, pending, serve as serveSlow, stalled } from './slow-rig.ts'

test('a listener that closes all of an owner when one of them is evicted, the new one too, leaves nothing watched', async (t) => {
  const { app } = await serve(t, { limits: { perOwner: { max: 1, policy: 'evict-oldest' } }, idleTimeout: 600_000, maxLifetime: 600_000 })
  app.sockets.on('closing', ({ owner }) => { app.sockets.disconnect({ owner }) })
  const first = await as(t, app, 'ann')
  const second = await as(t, app, 'ann')
  assert.equal((await first.closed).code, 4001)
  assert.equal((await second.closed).code, 3003)
  await settle(app, 0)
  await assertClean(app)
})

test('connections over a unix socket have no address: perAddress does not limit them, total does', { skip: process.platform === 'win32' && 'no unix sockets' }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bound-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'socket')
  const app = await start(t, { limits: { perAddress: { max: 1 }, total: { max: 2 } } }, plain, { listen: { path } })
  const open = () => new Promise<WebSocket>((resolve, reject) => {
    const socket = new WebSocket(`ws+unix:${path}:/`)
    t.after(() => { socket.terminate() })
    socket.once('open', () => { resolve(socket) })
    socket.once('error', reject)
  })
  await open()
  await open()
  await assert.rejects(open(), /503/)
  assert.equal(app.sockets.size, 2)
})

test('connections of injectWS are counted and refused as all others', async (t) => {
  const { app } = await serve(t, { limits: { total: { max: 1 } } })
  const client = await app.injectWS('/')
  await assert.rejects(app.injectWS('/'), /503/)
  assert.equal((await turnedAway(connect(t, app, '/'))).status, 503)
  client.terminate()
  await settle(app, 0)
  await connect(t, app, '/')
})

test('fifty producers that wait for one peer cause no warning', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.after(() => { process.off('warning', onWarning) })
  const app = await serveSlow(t, {})
  const { raw, connection } = await deaf(t, app)
  fill(connection)
  await stalled(connection)
  const waiting = Array.from({ length: 50 }, () => connection.writable())
  await turn()
  raw.resume()
  await Promise.all(waiting)
  assert.ok(pending(connection) <= 65_536)
  assert.deepEqual(warnings, [])
})

test('with compression, what is broadcast and what is sent arrive in the order of the calls', async (t) => {
  const app = await start(t, { options: { perMessageDeflate: { threshold: 0 } } }, plain)
  const client = await connect(t, app, '/', { perMessageDeflate: true })
  const [connection] = app.sockets.list()
  const sent: string[] = []
  for (let i = 0; i < 50; i++) {
    const text = `${i} `.repeat(i % 2 === 0 ? 5_000 : 1)
    sent.push(text)
    if (i % 3 === 0) void app.sockets.broadcast(text, 'all')
    else connection!.socket.send(text)
  }
  await until(() => client.unread.length === sent.length)
  assert.deepEqual(client.unread, sent)
})

test('a peer with compression that takes nothing is bounded, too', async (t) => {
  const app = await start(t, { closeTimeout: 200, backpressure: { maxBufferedBytes: 1_048_576 }, options: { perMessageDeflate: { threshold: 0 } } }, plain)
  const client = await connect(t, app, '/', { perMessageDeflate: true })
  client.socket.pause()
  const [connection] = app.sockets.list()
  for (let i = 0; i < 5_000 && connection!.state === 'open'; i++) connection!.socket.send(Buffer.alloc(65_536, i))
  assert.equal(connection!.state, 'closing')
  assert.ok(pending(connection!) < 2 * 1_048_576)
  client.socket.resume()
  assert.equal((await connection!.closed).cause, 'slow')
})

test('an owner that is an empty string is an owner like any other', async (t) => {
  const { app } = await serve(t, { limits: { perOwner: { max: 1 } } })
  await as(t, app, '')
  assert.equal((await turnedAway(as(t, app, ''))).status, 429)
})

test('an evicted client that comes back at once finds a place that is not its successor\'s', async (t) => {
  const { app } = await serve(t, { limits: { total: { max: 2, policy: 'evict-oldest' } } })
  const [first, second, third] = [await as(t, app, 'a'), await as(t, app, 'b'), await as(t, app, 'c')]
  assert.equal((await first.closed).code, 4001)
  await as(t, app, 'a')
  assert.equal((await second.closed).code, 4001)
  assert.equal(third.socket.readyState, third.socket.OPEN)
})

test('without isolation a client that is turned away by close and breaks the protocol ends only its own connection', async (t) => {
  const { app } = await serve(t, { isolation: false, refusal: 'close', limits: { total: { max: 1 } } })
  await connect(t, app, '/')
  const raw = await rawConnect(t, app, '/')
  assert.equal((await raw.closeFrame()).code, 1013)
  const frame = maskedFrame(Opcode.Text, 'x')
  frame[0]! |= 0x70
  raw.write(frame)
  raw.end()
  await settle(app, 1)
})

test('clients of which `owner` throws and that do not answer are bounded, too', async (t) => {
  const { app } = await serve(t, { owner: () => { throw new Error('bad token') }, limits: { total: { max: 5 } } })
  for (let i = 0; i < 300; i++) await rawConnect(t, app, '/')
  assert.ok(app.sockets.size <= 256, `${app.sockets.size} at once`)
})

// Fastify's own request log asks for the address, which throws where there is no socket.
test('injectWS under limits works behind a trusted proxy, too', async (t) => {
  const { app } = await serve(t, { limits: { perAddress: { max: 5 } } }, { fastify: { trustProxy: true, logController: new LogController({ disableRequestLogging: true }) } })
  const client = await app.injectWS('/')
  assert.equal(app.sockets.size, 1)
  client.terminate()
  await settle(app, 0)
})

test('a handshake that a hook lets in while another waits for that hook keeps no place for ever', async (t) => {
  const app = await start(t, { limits: { handshakes: { max: 2 } } }, (app) => {
    app.get('/inner', { websocket: true }, () => {})
    app.get('/', {
      websocket: true,
      onRequest: (_request, _reply, done) => {
        void app.injectWS('/inner').then((socket) => { socket.terminate() })
        done()
      }
    }, () => {})
  })
  for (let i = 0; i < 5; i++) await (await connect(t, app, '/')).close()
})
