// One process may load the package by `import`, by import() and by require(): all get one instance.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import Fastify from 'fastify'
import sockets, * as imported from 'fastify-websocket-lifecycle'
import { redisFleet } from 'fastify-websocket-lifecycle/redis'
import * as importedTesting from 'fastify-websocket-lifecycle/testing'
import required from './required.cjs'

export async function checkOneInstance () {
  const dynamic = await import('fastify-websocket-lifecycle')
  assert.equal(typeof sockets, 'function')
  assert.equal(dynamic.default, sockets, 'import() gives the same plugin')
  assert.equal(required.sockets, sockets, 'require() gives the same plugin')
  for (const name of ['CHANNELS', 'CloseCode', 'defaults', 'FLEET_CHANNELS']) {
    assert.ok(name in imported, name)
    assert.equal(required.sockets[name], imported[name], name)
  }
  for (const name of ['assertClean', 'connect', 'createClock']) {
    assert.ok(name in importedTesting, name)
    assert.equal(required.testing[name], importedTesting[name], name)
  }
  // Without ioredis, which only the application has.
  assert.equal(required.redis.redisFleet, redisFleet)
  assert.throws(() => redisFleet({ redis: {}, name: 'chat' }), { code: 'SOCKETS_ERR_INVALID_OPTION' })

  // Diagnostics: subscribed to by one way, published by a server of the other.
  const published = []
  const listen = ({ connection }) => { published.push(connection.id) }
  subscribe(required.sockets.CHANNELS.closed, listen)

  // State: ids are unique in the process.
  const ids = []
  for (const [plugin, { connect, assertClean }] of [[sockets, required.testing], [required.sockets, importedTesting]]) {
    const app = Fastify()
    await app.register(plugin)
    app.get('/', { websocket: true }, () => {})
    const client = await connect(app, '/')
    const [connection] = app.sockets.list('all')
    ids.push(connection.id)
    await app.close()
    assert.equal((await client.closed).code, 1012)
    await assertClean(app)
  }
  assert.notEqual(ids[0], ids[1])
  assert.deepEqual(published, ids)
  unsubscribe(required.sockets.CHANNELS.closed, listen)

  // Symbols: what one has left on an application, the other finds.
  const twice = Fastify()
  twice.register(async (scope) => { scope.register(sockets) })
  twice.register(async (scope) => { scope.register(required.sockets) })
  await assert.rejects(async () => { await twice.ready() }, { code: 'SOCKETS_ERR_ALREADY_REGISTERED' })
  await twice.close()
}
