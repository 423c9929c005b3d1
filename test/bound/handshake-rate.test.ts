/**
 * How often a client may open a WebSocket is @fastify/rate-limit's to say: it works on websocket routes as it is.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import rateLimit from '@fastify/rate-limit'
import { connect, rawHandshake, until } from '../helpers/server.ts'
import { as, serve, turnedAway } from './rig.ts'

test('@fastify/rate-limit on a websocket route: 429 with retry-after, TCP closed, nothing left, and no place taken', async (t) => {
  // Or the seconds until its window ends depend on how busy the machine is.
  t.mock.timers.enable({ apis: ['Date'] })
  const { app, told } = await serve(t, { limits: { total: { max: 10 } } }, {
    configure: async (app) => {
      await app.register(rateLimit, { global: false })
      app.get('/limited', { websocket: true, config: { rateLimit: { max: 2, timeWindow: 60_000 } } }, (socket) => { socket.send('hello') })
    }
  })
  for (let i = 0; i < 2; i++) assert.equal(await (await connect(t, app, '/limited')).next(), 'hello')
  for (let i = 0; i < 20; i++) {
    const { status, headers } = await turnedAway(connect(t, app, '/limited'))
    assert.deepEqual([status, headers['retry-after']], [429, '60'])
  }
  const raw = await rawHandshake(t, app, '/limited')
  assert.equal((await raw.answer).status, 429)
  await raw.ended
  assert.equal(app.sockets.size, 2)
  assert.deepEqual(told.refused, [], 'it is the route that has refused them')
  for (let i = 0; i < 8; i++) await connect(t, app, '/')
  assert.equal((await turnedAway(connect(t, app, '/'))).status, 503)
})

test('@fastify/rate-limit for all routes, by user: each has a count of its own', async (t) => {
  const { app } = await serve(t, {}, {
    before: async (app) => { await app.register(rateLimit, { max: 1, timeWindow: 60_000, keyGenerator: ({ headers }) => headers['x-user'] as string }) }
  })
  await as(t, app, 'ann')
  await as(t, app, 'bob')
  assert.equal((await turnedAway(as(t, app, 'ann'))).status, 429)
  assert.equal(app.sockets.size, 2)
  await until(() => app.sockets.list({ owner: 'ann' }).length === 1)
})
