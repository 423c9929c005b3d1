// A test of an application, run by Jest in its default mode, which loads CommonJS only.
'use strict'
const { once } = require('node:events')
const Fastify = require('fastify')
const sockets = require('fastify-websocket-lifecycle')
const { assertClean, connect } = require('fastify-websocket-lifecycle/testing')

/* global expect, test */

test('the plugin is what require returns', () => {
  expect(typeof sockets).toBe('function')
  expect(sockets.default).toBe(sockets)
  expect(sockets.CloseCode.ServiceRestart).toBe(1012)
})

test('a client of an application under test is told to come back', async () => {
  const app = Fastify()
  await app.register(sockets)
  app.get('/', { websocket: true }, () => {})
  const client = await connect(app, '/')
  const opened = app.sockets.size
  const closed = once(client.socket, 'close')
  await app.close()
  expect(opened).toBe(1)
  expect((await closed)[0]).toBe(1012)
  await assertClean(app)
})
