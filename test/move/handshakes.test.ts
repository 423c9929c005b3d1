/**
 * Handshakes of moves on real sockets, with every limit at one: the client takes its own place, and no other does.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyRequest } from 'fastify'
import type { LifecycleOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/clock.ts'
import { connect, connectTo, rawHandshake, start, until } from '../helpers/server.ts'
import type { StartOptions, TestApp, TestClient } from '../helpers/server.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import { gate } from '../helpers/gate.ts'
import { asked, MOVED } from '../helpers/mover.ts'

const ONE: LifecycleOptions = {
  owner: ({ headers }) => headers['x-user'] as string | undefined,
  limits: { total: { max: 1 }, perOwner: { max: 1 }, perAddress: { max: 1 }, handshakes: { max: 1 } }
}

async function serve (t: TestContext, options: LifecycleOptions = ONE, configure: (app: TestApp) => unknown = () => {}, how: StartOptions = {}): Promise<TestApp> {
  return await start(t, { clock: createClock(), ...options }, async (app) => {
    await configure(app)
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (message) => { socket.send(String(message)) }) })
  }, how)
}

/** A handshake of ann that offers the protocol, and perhaps an id. */
function join (t: TestContext, app: TestApp, id?: string, user = 'ann', path = '/'): Promise<TestClient> {
  return connect(t, app, path, { protocols: ['lifecycle.v1', ...(id === undefined ? [] : [`lifecycle.v1.${id}`])], headers: { 'x-user': user } })
}

/** Asks the client of the oldest connection to move. */
async function ask (app: TestApp, client: TestClient): Promise<{ id: string, moving: Promise<boolean> }> {
  const moving = app.sockets.list()[0]!.move()
  return { id: asked(await client.next()).id, moving }
}

/** Checks that a client works, and has the only place. */
async function hasThePlace (t: TestContext, app: TestApp, client: TestClient): Promise<void> {
  client.send('hello')
  assert.equal(await client.next(), 'hello')
  await until(() => app.sockets.size === 1, 'one connection')
  await assert.rejects(join(t, app), (error: Error & { status: number }) => [429, 503].includes(error.status))
}

for (const refusal of ['http', 'close'] as const) {
  test(`a client moves on a server whose limits are all reached, with refusal: '${refusal}'`, async (t) => {
    const app = await serve(t, { ...ONE, refusal })
    let client = await join(t, app)
    for (let i = 0; i < 3; i++) {
      const { id, moving } = await ask(app, client)
      const next = await join(t, app, id)
      client.send(MOVED)
      assert.equal(await moving, true)
      assert.deepEqual(await client.closed, { code: 1012, reason: 'moved' })
      await until(() => app.sockets.size === 1, 'one connection')
      client = next
    }
    assert.deepEqual(app.sockets.history.map(({ cause }) => cause), ['moved', 'moved', 'moved'])
    assert.deepEqual(app.sockets.stats().refused, {})
  })
}

test('neither another owner with the id nor another id is admitted', async (t) => {
  const app = await serve(t, { ...ONE, limits: { total: { max: 1 }, perOwner: { max: 1 }, handshakes: { max: 1 } } })
  const client = await join(t, app)
  const { id, moving } = await ask(app, client)
  await assert.rejects(join(t, app, id, 'eve'), { status: 503 })
  await assert.rejects(join(t, app, 'AAAAAAAAAAAAAAAAAAAAAA'), { status: 503 })
  await assert.rejects(join(t, app, `${id.slice(1)}A`), { status: 503 })
  const next = await join(t, app, id)
  await assert.rejects(join(t, app, id), { status: 503 }, 'it was used')
  client.send(MOVED)
  assert.equal(await moving, true)
  await client.closed
  await hasThePlace(t, app, next)
})

test('an id that was stolen with the owner not asked yet counts no handshake beside the one of its client', async (t) => {
  const hook = gate()
  const app = await serve(t, ONE, (app) => {
    app.get('/slow', { websocket: true, preValidation: hook.wait }, () => {})
  })
  const client = await join(t, app)
  const { id } = await ask(app, client)
  const protocols = { 'Sec-WebSocket-Protocol': `lifecycle.v1, lifecycle.v1.${id}`, 'X-User': 'ann' }
  const first = await rawHandshake(t, app, '/slow', protocols)
  await hook.arrived
  for (let i = 0; i < 5; i++) assert.equal((await (await rawHandshake(t, app, '/slow', protocols)).answer).status, 503)
  hook.open()
  assert.equal((await first.answer).status, 101)
})

test('a handshake that fails has not used the id: the client tries again', async (t) => {
  let refuse = true
  const app = await serve(t, ONE, (app) => {
    app.addHook('preValidation', async (request: FastifyRequest, reply) => {
      if (refuse && String(request.headers['x-user']) === 'ann' && app.sockets.size > 0) return await reply.code(401).send()
    })
  })
  const client = await join(t, app)
  const { id, moving } = await ask(app, client)
  await assert.rejects(join(t, app, id), { status: 401 })
  const aborted = await rawHandshake(t, app, '/missing', { 'Sec-WebSocket-Protocol': `lifecycle.v1, lifecycle.v1.${id}` })
  assert.equal((await aborted.answer).status, 404)
  refuse = false
  const next = await join(t, app, id)
  client.send(MOVED)
  assert.equal(await moving, true)
  await hasThePlace(t, app, next)
})

test('a handshake that is cut off in a hook gives the id back', async (t) => {
  const hook = gate()
  const app = await serve(t, ONE, (app) => {
    app.get('/slow', { websocket: true, preValidation: hook.wait }, () => {})
  })
  const client = await join(t, app)
  const { id, moving } = await ask(app, client)
  const cut = await rawHandshake(t, app, '/slow', { 'Sec-WebSocket-Protocol': `lifecycle.v1, lifecycle.v1.${id}`, 'X-User': 'ann' })
  await hook.arrived
  cut.reset()
  let next: TestClient | undefined
  while (next === undefined) next = await join(t, app, id).catch((error: Error & { status?: number }) => { assert.equal(error.status, 503) }) as TestClient | undefined
  client.send(MOVED)
  assert.equal(await moving, true)
  hook.open()
})

test('a handshake that was counted on arrival is not counted when it is over, though the id was given back before it opened', async (t) => {
  const [hook, other] = [gate(), gate()]
  let gone!: Promise<unknown>
  const app = await serve(t, { limits: { handshakes: { max: 1 } } }, (app) => {
    app.addHook('onRequest', async ({ raw, url }) => { if (url === '/slow') gone = new Promise((resolve) => { raw.socket.once('close', resolve) }) })
    app.get('/slow', { websocket: true, preValidation: hook.wait }, () => {})
    app.get('/other', { websocket: true, preValidation: other.wait }, () => {})
  })
  const client = await join(t, app)
  const { id } = await ask(app, client)
  const protocols = { 'Sec-WebSocket-Protocol': `lifecycle.v1, lifecycle.v1.${id}` }
  const first = await rawHandshake(t, app, '/slow', protocols)
  await hook.arrived
  const second = await rawHandshake(t, app, '/other', protocols)
  await other.arrived
  first.reset()
  await gone
  other.open()
  assert.equal((await second.answer).status, 101)
  await join(t, app)
  hook.open()
})

test('the same on an adopted ws server', async (t) => {
  const app = await serve(t, { limits: { total: { max: 1 }, perAddress: { max: 1 } } })
  const foreign = await startForeign(t)
  app.sockets.adopt(foreign.server)
  const client = await connectTo(t, foreign.url, { protocols: ['lifecycle.v1'] })
  const { id, moving } = await ask(app, client)
  await assert.rejects(connectTo(t, foreign.url, { protocols: ['lifecycle.v1'] }), { status: 503 })
  await connectTo(t, foreign.url, { protocols: ['lifecycle.v1', `lifecycle.v1.${id}`] })
  client.send(MOVED)
  assert.equal(await moving, true)
  await client.closed
  await until(() => app.sockets.size === 1, 'one connection')
})

test('a new connection whose handler throws leaves the old one as it was', async (t) => {
  const app = await serve(t, ONE, (app) => { app.get('/broken', { websocket: true }, () => { throw new Error('broken') }) })
  const client = await join(t, app)
  const { id } = await ask(app, client)
  const broken = await join(t, app, id, 'ann', '/broken')
  assert.ok([1006, 1011].includes((await broken.closed).code))
  await hasThePlace(t, app, client)
})

test('an owner() that throws for the new connection ends that one alone', async (t) => {
  const app = await serve(t, { ...ONE, owner: ({ headers }) => { if (headers['x-user'] === 'bad') throw new Error('no such user'); return headers['x-user'] as string } })
  const client = await join(t, app)
  const { id } = await ask(app, client)
  const broken = await join(t, app, id, 'bad')
  assert.equal((await broken.closed).code, 1011)
  await hasThePlace(t, app, client)
})
