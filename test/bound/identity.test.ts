/**
 * Who is connected, and until when, with the real @fastify/jwt: where the token comes from, what a refused one leaves,
 * its end to the millisecond, a new one in place, and the end of all connections of a user. examples/jwt.ts shows it whole.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import { connect, rawHandshake, until } from '../helpers/server.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import type { TestApp } from '../helpers/server.ts'
import { serve as serveApp, turnedAway } from './rig.ts'
import type { Told } from './rig.ts'

interface User { sub: string, exp: number }

const userOf = (request: FastifyRequest) => request.user as User | null | undefined

interface Served { app: TestApp, told: Told, clock: TestClock, sign: (user: string, seconds?: number) => string }

async function serve (t: TestContext, options: LifecycleOptions = {}): Promise<Served> {
  const clock = createClock()
  const { app, told } = await serveApp(t, {
    clock,
    heartbeat: false,
    owner: (request) => userOf(request)?.sub,
    options: { handleProtocols: (offered: Set<string>) => [...offered].find((name) => !name.startsWith('bearer.')) ?? false },
    ...options
  }, {
    before: async (app) => {
      await app.register(cookie)
      await app.register(jwt, { secret: 'of this test', cookie: { cookieName: 'token', signed: false } })
    },
    configure: (app) => {
      const verified = async (request: FastifyRequest) => { await request.jwtVerify() }
      app.get('/me', { websocket: true, preValidation: verified }, (socket, request) => {
        const connection = app.sockets.of(socket)
        connection.expiresAt = userOf(request)!.exp * 1_000
        socket.on('message', (token) => {
          connection.expiresAt = app.jwt.verify<User>(String(token)).exp * 1_000
          socket.send('renewed')
        })
      })
      app.get('/subprotocol', {
        websocket: true,
        preValidation: async (request, reply) => {
          const offered = request.headers['sec-websocket-protocol']?.split(/, */) ?? []
          try {
            request.user = app.jwt.verify(offered.find((name) => name.startsWith('bearer.'))?.slice('bearer.'.length) ?? '')
          } catch {
            return await reply.code(401).send()
          }
        }
      }, () => {})
      app.get('/first', { websocket: true }, (socket) => {
        socket.once('message', (token) => {
          if (app.sockets.of(socket).setOwner(app.jwt.verify<User>(String(token)).sub)) socket.send('welcome')
        })
      })
    }
  })
  return { app, told, clock, sign: (user, seconds = 60) => app.jwt.sign({ sub: user }, { expiresIn: seconds }) }
}

const header = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

test('in a header or a cookie the token says whose connection it is; none, a forged or an expired one is a 401 that leaves nothing', async (t) => {
  const { app, told, sign } = await serve(t)
  await connect(t, app, '/me', header(sign('ann')))
  await connect(t, app, '/me', { headers: { cookie: `token=${sign('bob')}` } })
  assert.deepEqual(app.sockets.list().map(({ owner }) => owner), ['ann', 'bob'])
  const bad = [{}, header('x.y.z'), header(`${sign('ann')}x`), header(app.jwt.sign({ sub: 'ann', exp: 1 } as { sub: string })), { headers: { cookie: 'token=forged' } }]
  for (const options of bad) assert.equal((await turnedAway(connect(t, app, '/me', options))).status, 401)
  assert.deepEqual([app.sockets.size, told.refused], [2, []])
})

test('in a subprotocol: another one is chosen, and the token is in no answer and no log', async (t) => {
  const { app, sign } = await serve(t)
  const token = sign('ann')
  for (const protocols of [['chat', `bearer.${token}`], [`bearer.${token}`, 'chat']]) {
    const client = await connect(t, app, '/subprotocol', { protocols })
    assert.equal(client.socket.protocol, 'chat')
  }
  const raw = await rawHandshake(t, app, '/subprotocol', { 'Sec-WebSocket-Protocol': `bearer.${token}` })
  const { status, headers } = await raw.answer
  assert.deepEqual([status, headers.get('sec-websocket-protocol')], [101, undefined])
  assert.deepEqual(app.sockets.list().map(({ owner }) => owner), ['ann', 'ann', 'ann'])
  assert.equal((await turnedAway(connect(t, app, '/subprotocol', { protocols: ['chat', 'bearer.forged'] }))).status, 401)
  assert.equal((await turnedAway(connect(t, app, '/subprotocol', { protocols: ['chat'] }))).status, 401)
  assert.ok(!JSON.stringify(app.logs).includes(token))
})

test('in the first message: the limit of an owner counts from then on', async (t) => {
  const { app, sign } = await serve(t, { limits: { perOwner: { max: 1 } } })
  const [first, second, third] = [await connect(t, app, '/first'), await connect(t, app, '/first'), await connect(t, app, '/first')]
  first.send(sign('ann'))
  assert.equal(await first.next(), 'welcome')
  second.send(sign('ann'))
  assert.equal((await second.closed).code, 1013)
  third.send('forged')
  assert.equal((await third.closed).code, 1011, 'an exception of the application is its own')
})

test('the owner that a limit counts is the user of the token, not what the client claims', async (t) => {
  const { app, told, sign } = await serve(t, { limits: { perOwner: { max: 1 } } })
  await connect(t, app, '/me', header(sign('ann')))
  assert.equal((await turnedAway(connect(t, app, '/me', header(sign('ann'))))).status, 429)
  await connect(t, app, '/me', header(sign('bob')))
  assert.equal((await turnedAway(connect(t, app, '/me', header('forged')))).status, 401)
  assert.deepEqual(told.refused.map(({ reason }) => reason), ['perOwner'])
})

test('a connection ends with its token, with 3000; a new token in place moves that', async (t) => {
  const { app, clock, sign, told } = await serve(t)
  const [ends, stays] = [await connect(t, app, '/me', header(sign('ann'))), await connect(t, app, '/me', header(sign('bob')))]
  const [a, b] = app.sockets.list()
  const before = b!.expiresAt!
  stays.send(sign('bob', 600))
  assert.equal(await stays.next(), 'renewed')
  assert.ok(b!.expiresAt! >= before + 500_000)
  // The token is of a whole second.
  await clock.tick(a!.expiresAt! - clock.wallNow() - 1)
  assert.equal(a!.state, 'open')
  await clock.tick(100)
  assert.deepEqual(await ends.closed, { code: 3000, reason: 'session expired' })
  assert.equal(b!.state, 'open')
  await clock.tick(600_000)
  assert.equal((await stays.closed).code, 3000)
  await until(() => told.closed.length === 2)
  assert.deepEqual(told.closed.map(({ record }) => record.cause), ['expired', 'expired'])
})

test('a token that is not valid ends its connection, and the old time stands until then', async (t) => {
  const { app, sign } = await serve(t)
  const client = await connect(t, app, '/me', header(sign('ann')))
  const [connection] = app.sockets.list()
  const before = connection!.expiresAt
  client.send('forged')
  assert.equal((await client.closed).code, 1011)
  assert.equal(connection!.expiresAt, before)
})

test('revoked: disconnect({ owner }) ends every connection of a user, however it came, and no other', async (t) => {
  const { app, sign } = await serve(t)
  const token = sign('ann')
  const clients = [
    await connect(t, app, '/me', header(token)), await connect(t, app, '/subprotocol', { protocols: ['chat', `bearer.${token}`] }), await connect(t, app, '/first')
  ]
  clients[2]!.send(token)
  assert.equal(await clients[2]!.next(), 'welcome')
  const other = await connect(t, app, '/me', header(sign('bob')))
  assert.equal(app.sockets.disconnect({ owner: 'ann' }, { reason: 'logged out' }), 3)
  for (const client of clients) assert.deepEqual(await client.closed, { code: 3003, reason: 'logged out' })
  await until(() => app.sockets.size === 1)
  assert.equal(other.socket.readyState, other.socket.OPEN)
  assert.equal(app.sockets.disconnect({ owner: 'ann' }), 0)
})
