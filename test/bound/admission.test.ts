/**
 * When a handshake is asked what: the owner once and after the route's hooks, places held from the upgrade on, counts
 * that hold with hundreds at once, servers that were adopted, a drain in the middle.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { FastifyRequest } from 'fastify'
import { deferred } from '../../lib/base/deferred.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { assertClean } from '../../lib/testing/assert-clean.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import { gate } from '../helpers/gate.ts'
import { plain } from '../helpers/routes.ts'
import { connect, connectTo, portOf, rawHandshake, start, until } from '../helpers/server.ts'
import { turn } from '../helpers/records.ts'
import { as, listen, serve, settle, turnedAway } from './rig.ts'

declare module 'fastify' {
  interface FastifyRequest { who?: string }
}

test('owner is asked once a handshake, after the hooks of the route, and never for one that they refuse', async (t) => {
  const asked: Array<string | undefined> = []
  const owner = (request: FastifyRequest) => { asked.push(request.who); return request.who }
  const { app, told } = await serve(t, { owner, limits: { perOwner: { max: 1 }, total: { max: 10 } } }, {
    configure: (app) => {
      app.get('/private', {
        websocket: true,
        preValidation: async (request, reply) => {
          await turn()
          if (request.headers['x-user'] === undefined) return await reply.code(401).send()
          request.who = request.headers['x-user'] as string
        }
      }, () => {})
    }
  })
  await as(t, app, 'ann', {}, '/private')
  assert.deepEqual(asked, ['ann'])
  assert.equal((await turnedAway(connect(t, app, '/private'))).status, 401)
  assert.deepEqual(asked, ['ann'])
  assert.equal((await turnedAway(as(t, app, 'ann', {}, '/private'))).status, 429)
  assert.deepEqual(asked, ['ann', 'ann'])
  assert.equal((await turnedAway(connect(t, app, '/nowhere'))).status, 404)
  assert.deepEqual(asked, ['ann', 'ann'])
  assert.deepEqual(told.refused.map(({ reason }) => reason), ['perOwner'])
  assert.deepEqual(app.sockets.list().map(({ owner }) => owner), ['ann'])
})

for (const [what, owner] of Object.entries<LifecycleOptions['owner']>({
  throws: () => { throw new Error('no such user') },
  'returns a promise': (async () => { await Promise.reject(new Error('late')) }) as never,
  'returns no string': (() => 42) as never
})) {
  test(`an owner() that ${what} ends its connection with 1011 and takes no place`, async (t) => {
    const { app } = await serve(t, { owner, limits: { perOwner: { max: 1 }, total: { max: 1 } } })
    for (let i = 0; i < 3; i++) {
      const client = await connect(t, app, '/')
      assert.equal((await client.closed).code, 1011)
      await settle(app, 0)
    }
    await assertClean(app)
  })
}

test('a handshake that waits in a hook holds a place, and gives it back when it is refused, fails or goes away', async (t) => {
  const gates: Array<(answer: 'in' | 'out' | 'fail') => void> = []
  let sockets = 0
  const { app } = await serve(t, { limits: { total: { max: 1 } } }, {
    configure: (app) => {
      app.get('/slow', {
        websocket: true,
        onRequest: async ({ raw }, reply) => {
          sockets++
          raw.socket.once('close', () => { sockets-- })
          const gate = deferred<'in' | 'out' | 'fail'>()
          gates.push(gate.resolve)
          const answer = await gate.promise
          if (answer === 'fail') throw new Error('broken')
          if (answer === 'out') return await reply.code(403).send()
        }
      }, () => {})
    }
  })
  for (const [answer, status] of [['out', 403], ['fail', 500]] as const) {
    const waiting = turnedAway(as(t, app, 'ann', {}, '/slow'))
    await until(() => gates.length > 0)
    assert.equal((await turnedAway(as(t, app, 'bob'))).status, 503)
    gates.pop()!(answer)
    assert.equal((await waiting).status, status)
    await until(() => sockets === 0)
  }
  const gone = await rawHandshake(t, app, '/slow')
  await until(() => gates.length > 0)
  gone.reset()
  await until(() => sockets === 0)
  gates.pop()!('in')
  await as(t, app, 'bob')
  assert.equal(app.sockets.size, 1)
})

const CROWD = 300
const MAX = 20

for (const policy of ['refuse', 'evict-oldest', 'evict-idlest'] as const) {
  for (const name of ['total', 'perOwner', 'perAddress'] as const) {
    test(`${CROWD} handshakes at once, with hooks and an async verifyClient that take their time: ${name} with ${policy} is never exceeded`, async (t) => {
      let most = 0
      let mostSockets = 0
      const count = () => {
        most = Math.max(most, app.sockets.count({ state: 'open' }))
        mostSockets = Math.max(mostSockets, app.sockets.size)
      }
      const wait = () => new Promise<void>((resolve) => { setTimeout(resolve, Math.random() * 20) })
      const { app } = await serve(t, {
        limits: { [name]: { max: MAX, policy } },
        options: { verifyClient: (_info, done) => { void wait().then(() => { done(true) }) } },
        onOpen: count
      }, { configure: (app) => { app.get('/slow', { websocket: true, onRequest: wait, preValidation: wait }, () => {}) } })
      const results = await Promise.allSettled(Array.from({ length: CROWD }, () => as(t, app, 'ann', {}, '/slow')))
      await until(() => app.sockets.count({ state: 'open' }) === app.sockets.size, 'those that were closed')
      assert.equal(results.length, CROWD)
      assert.equal(app.sockets.size, MAX)
      assert.ok(most <= MAX, `${most} were open`)
    })
  }
}

test('setOwner says whether the connection may stay; who may not is closed with 1013, and its owner keeps the others', async (t) => {
  const { app, told } = await serve(t, { owner: undefined, limits: { perOwner: { max: 1 } } } as LifecycleOptions, {
    configure: (app) => {
      app.get('/login', { websocket: true }, (socket) => {
        socket.on('message', (user) => { if (app.sockets.of(socket).setOwner(String(user))) socket.send('welcome') })
      })
    }
  })
  const [first, second] = [await connect(t, app, '/login'), await connect(t, app, '/login')]
  first.send('ann')
  assert.equal(await first.next(), 'welcome')
  first.send('ann')
  assert.equal(await first.next(), 'welcome', 'saying it again takes no second place')
  second.send('ann')
  assert.deepEqual(await second.closed, { code: 1013, reason: 'no room; retry=1000' })
  await settle(app, 1)
  assert.deepEqual(told.closed.map(({ record }) => record.cause), ['refused'])
  // Moving on gives the place back.
  first.send('bob')
  assert.equal(await first.next(), 'welcome')
  const third = await connect(t, app, '/login')
  third.send('ann')
  assert.equal(await third.next(), 'welcome')
})

test('setOwner with eviction: the elder of that owner goes', async (t) => {
  const { app } = await serve(t, { owner: undefined, limits: { perOwner: { max: 1, policy: 'evict-oldest' } } } as LifecycleOptions)
  const [first, second] = [await connect(t, app, '/'), await connect(t, app, '/')]
  const [a, b] = app.sockets.list()
  assert.equal(a!.setOwner('ann'), true)
  assert.equal(b!.setOwner('ann'), true)
  assert.equal((await first.closed).code, 4001)
  assert.equal(second.socket.readyState, second.socket.OPEN)
  assert.equal(a!.setOwner('bob'), false, 'it is on its way out')
})

test('a ws server of another port that was adopted counts, and is limited exactly', async (t) => {
  const { app } = await serve(t, { limits: { total: { max: 2 } } })
  const { server, url } = await startForeign(t)
  app.sockets.adopt(server)
  await as(t, app, 'ann')
  const second = await connectTo(t, url)
  assert.equal((await turnedAway(as(t, app, 'bob'))).status, 503)
  assert.equal((await turnedAway(connectTo(t, url))).status, 503)
  await second.close()
  await settle(app, 1)
  await connectTo(t, url)
  assert.equal(app.sockets.size, 2)
})

test('a crowd at both doors, that of an adopted server with a slow verifyClient, stays within the limit', async (t) => {
  let most = 0
  const { app } = await serve(t, { limits: { total: { max: 10 } }, onOpen: () => { most = Math.max(most, app.sockets.count({ state: 'open' })) } })
  const { server, url } = await startForeign(t, { verifyClient: (_info, done) => { setTimeout(() => { done(true) }, 5) } })
  app.sockets.adopt(server)
  await Promise.allSettled(Array.from({ length: 60 }, (_, i) => i % 2 === 0 ? as(t, app, 'ann') : connectTo(t, url)))
  await until(() => app.sockets.count({ state: 'open' }) === app.sockets.size)
  assert.equal(app.sockets.size, 10)
  assert.ok(most <= 10, `${most}`)
})

test('routes under a prefix and in child contexts share one count', async (t) => {
  const { app, told } = await serve(t, { limits: { total: { max: 2 } } }, {
    configure: async (app) => {
      await app.register(async (child) => { child.get('/chat', { websocket: true }, () => {}) }, { prefix: '/v1' })
    }
  })
  await as(t, app, 'ann', {}, '/v1/chat')
  await as(t, app, 'bob')
  assert.equal((await turnedAway(as(t, app, 'carol', {}, '/v1/chat'))).status, 503)
  assert.deepEqual(told.refused, [{ reason: 'total', path: '/v1/chat', ip: '127.0.0.1' }])
})

test('a drain in the middle: a handshake that waits in a hook is refused with 503, and no connection is evicted any more', async (t) => {
  const hook = gate()
  const { app, told } = await serve(t, { limits: { total: { max: 1, policy: 'evict-oldest' } } }, {
    configure: (app) => { app.get('/slow', { websocket: true, onRequest: hook.wait }, () => {}) }
  })
  const first = await as(t, app, 'ann')
  const waiting = turnedAway(as(t, app, 'bob', {}, '/slow'))
  await hook.arrived
  const report = await app.sockets.drain()
  hook.open()
  assert.equal((await waiting).status, 503)
  assert.equal((await first.closed).code, 1012)
  assert.deepEqual(report.connections.causes, { drain: 1 })
  assert.deepEqual(told.refused.map(({ reason }) => reason), ['draining'])
  await assertClean(app, { sockets: 2 })
})

test('with refusal: close a draining server still answers over HTTP', async (t) => {
  const { app } = await serve(t, { refusal: 'close', limits: { total: { max: 1 } } })
  await app.sockets.drain()
  const { status, headers } = await turnedAway(as(t, app, 'ann'))
  assert.deepEqual([status, headers['retry-after']], [503, '1'])
})

test('a server that is refused by close frame holds no more than it told: a crowd leaves nothing', async (t) => {
  const { app, told } = await serve(t, { refusal: 'close', limits: { total: { max: 5 }, perAddress: { max: 5 } } })
  const clients = await Promise.all(Array.from({ length: 100 }, () => as(t, app, 'ann')))
  const codes: number[] = []
  for (const client of clients) void client.closed.then(({ code }) => { codes.push(code) })
  await until(() => codes.length === 95)
  await settle(app, 5)
  assert.ok(codes.every((code) => code === 1013))
  assert.equal(told.refused.length, 95)
})

test('without limits nothing is counted and nothing refused', async (t) => {
  const app = await start(t, {}, plain)
  const told = listen(app)
  await Promise.all(Array.from({ length: 50 }, () => connect(t, app, '/')))
  assert.equal(app.sockets.size, 50)
  assert.deepEqual(told.refused, [])
  assert.ok(portOf(app) > 0)
})
