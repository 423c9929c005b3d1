// What a test suite does: hundreds of servers, opened and closed, some under fake timers (S11).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test, { mock } from 'node:test'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import plugin from '../../lib/index.ts'
import { assertClean } from '../../lib/testing/assert-clean.ts'
import { portOf, timersOfOurs } from '../helpers/server.ts'

const APPS = 200

/** What node:test can replace. */
const APIS = ['setTimeout', 'setInterval', 'setImmediate', 'Date'] as const

async function make (listen: boolean): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(plugin)
  app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  if (listen) await app.listen({ port: 0, host: '127.0.0.1' })
  else await app.ready()
  return app
}

async function join (app: FastifyInstance): Promise<{ closed: Promise<number> }> {
  const client = new WebSocket(`ws://127.0.0.1:${portOf(app)}/`)
  const closed = once(client, 'close').then(([code]) => code as number)
  await once(client, 'open')
  return { closed }
}

for (const mocked of [false, true]) {
  const how = mocked ? 'with every timer and the date mocked' : 'with real timers'

  test(`${APPS} apps that never listened close, ${how}`, async (t) => {
    if (mocked) mock.timers.enable({ apis: [...APIS] })
    t.after(() => { mock.timers.reset() })
    for (let i = 0; i < APPS; i++) {
      const app = await make(false)
      await app.close()
      await assertClean(app)
    }
    assert.deepEqual(timersOfOurs(), [])
  })

  test(`${APPS} apps that listened close without a timer of ours, ${how}`, async (t) => {
    if (mocked) mock.timers.enable({ apis: [...APIS] })
    t.after(() => { mock.timers.reset() })
    for (let i = 0; i < APPS; i++) {
      const app = await make(true)
      assert.deepEqual(timersOfOurs(), [])
      const closing = app.close()
      assert.deepEqual(timersOfOurs(), [])
      await closing
      await assertClean(app)
    }
  })

  test(`${APPS} apps with a socket each close with a code, ${how}`, async (t) => {
    if (mocked) mock.timers.enable({ apis: [...APIS] })
    t.after(() => { mock.timers.reset() })
    for (let i = 0; i < APPS; i++) {
      const app = await make(true)
      const { closed } = await join(app)
      await app.close()
      assert.equal(await closed, 1012)
      await assertClean(app)
    }
    assert.deepEqual(timersOfOurs(), [])
  })
}

test('a client that does not answer is cut off although every timer is mocked', async (t) => {
  const app = Fastify()
  await app.register(plugin, { drain: { timeout: 400 } })
  app.get('/', { websocket: true }, () => {})
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = new WebSocket(`ws://127.0.0.1:${portOf(app)}/`)
  t.after(() => { client.terminate() })
  await once(client, 'open')
  client.pause()
  mock.timers.enable({ apis: [...APIS] })
  t.after(() => { mock.timers.reset() })
  await app.close()
  await assertClean(app)
})

test('an app that is not used leaves nothing that keeps the process alive', async () => {
  const before = process.getActiveResourcesInfo().length
  await make(false)
  assert.equal(process.getActiveResourcesInfo().length, before)
  assert.deepEqual(timersOfOurs(), [])
})
