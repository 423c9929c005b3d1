// A CommonJS project: what require() returns is the plugin function itself, as with every Fastify plugin.
'use strict'
const assert = require('node:assert/strict')
const { once } = require('node:events')
const Fastify = require('fastify')
const sockets = require('fastify-websocket-lifecycle')
const { assertClean, connect, createClock } = require('fastify-websocket-lifecycle/testing')
const WebSocket = require('ws')

assert.equal(typeof sockets, 'function')
assert.equal(sockets[Symbol.for('plugin-meta')].name, 'fastify-websocket-lifecycle')

async function main () {
  const imported = await import('fastify-websocket-lifecycle')
  assert.equal(imported.default, sockets, 'import and require give one plugin')
  for (const name of ['CloseCode', 'CHANNELS', 'FLEET_CHANNELS', 'defaults']) assert.equal(imported[name], sockets[name])
  const { createClock: importedCreateClock } = await import('fastify-websocket-lifecycle/testing')
  assert.equal(importedCreateClock, createClock, 'the testing entry is one, too')

  const app = Fastify()
  app.register(sockets)
  app.register(async (scope) => scope.get('/', { websocket: true }, () => {}))
  const address = await app.listen({ port: 0 })

  const client = new WebSocket(address.replace('http', 'ws'))
  const closed = once(client, 'close')
  await once(client, 'open')
  await app.close()
  const [code] = await closed
  assert.equal(code, 1012)
  console.log('CommonJS: the client was told', code)

  const clock = createClock()
  const tested = Fastify()
  tested.register(sockets, { clock, idleTimeout: 60_000 })
  tested.register(async (scope) => scope.get('/', { websocket: true }, () => {}))
  const idle = await connect(tested, '/')
  await clock.tick(60_100)
  assert.equal((await idle.closed).code, sockets.CloseCode.Timeout)
  await tested.close()
  await assertClean(tested)
  console.log('CommonJS: the testing entry moved the clock by hand')
}

main()
