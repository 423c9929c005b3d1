/**
 * Fastify's pluginTimeout bounds every preClose hook. A plain app.close() carries out the whole drain all the same, and no
 * other plugin's onClose starts before the last cleanup, wherever it was registered.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'node:test'
import fp from 'fastify-plugin'
import fastifyWebsocket from '@fastify/websocket'
import { sendJob } from '../helpers/busy.ts'
import { assertBounded, connect, rawConnect, reportOf, start, until } from '../helpers/server.ts'
import type { StartOptions, TestApp } from '../helpers/server.ts'

const PLUGIN_TIMEOUT = 300
/** Three times as long as pluginTimeout, in grace already. */
const SLOW = { drain: { timeout: 4_000 }, cleanupTimeout: 1_000 }

interface Setup { app: TestApp, order: string[] }

/** An app with databases before and after us, and in child contexts; a job, and a cleanup of 100 ms. */
async function setUp (t: Parameters<typeof start>[0], options: StartOptions = {}, job = 500): Promise<Setup> {
  const order: string[] = []
  const database = (name: string) => async (app: { addHook: TestApp['addHook'] }) => {
    app.addHook('preClose', async () => { order.push(`${name} preClose`) })
    app.addHook('onClose', async () => { order.push(name) })
  }
  const app = await start(t, SLOW, async (app) => {
    app.get('/', { websocket: true }, (socket) => {
      app.sockets.of(socket).defer(async () => {
        await sleep(100)
        order.push('cleanup')
      })
      socket.on('message', async () => {
        await sleep(job)
        socket.send('done')
      })
    })
    app.sockets.on('drained', () => { order.push('drained') })
    await app.register(fp(database('after us')))
    await app.register(database('after us, in a child'))
  }, {
    ...options,
    fastify: { pluginTimeout: PLUGIN_TIMEOUT, ...options.fastify },
    before: async (app) => {
      await options.before?.(app)
      await app.register(fp(database('before us')))
      await app.register(database('before us, in a child'))
    }
  })
  return { app, order }
}

const onClose = (order: string[]) => order.filter((entry) => !entry.endsWith('preClose'))

test('app.close() carries out a drain longer than pluginTimeout, and every other onClose comes after the last cleanup', async (t) => {
  const { app, order } = await setUp(t, {}, 1_000)
  const client = await connect(t, app, '/')
  await sendJob(app, client)
  await app.close()
  assert.equal(await client.next(), 'done')
  assert.equal((await client.closed).code, 1012)
  const report = reportOf(app)
  assertBounded(report)
  assert.ok(report.duration > PLUGIN_TIMEOUT)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.deepEqual(onClose(order).slice(0, 2), ['cleanup', 'drained'])
  assert.deepEqual(onClose(order).slice(2).sort(), ['after us', 'after us, in a child', 'before us', 'before us, in a child'])
  // No plugin's preClose was skipped.
  assert.equal(order.filter((entry) => entry.endsWith('preClose')).length, 4)
})

test('the same with cleanups that take long, and with one that hangs until it is given up', async (t) => {
  const order: string[] = []
  const app = await start(t, { drain: { timeout: 2_000 }, cleanupTimeout: 1_000 }, (app) => {
    app.get('/slow', { websocket: true }, (socket) => { app.sockets.of(socket).defer(async () => { await sleep(700); order.push('slow cleanup') }) })
    app.get('/hangs', { websocket: true }, (socket) => { app.sockets.of(socket).defer(function hangs () { return new Promise(() => {}) }) })
    app.sockets.on('drained', () => { order.push('drained') })
  }, {
    fastify: { pluginTimeout: PLUGIN_TIMEOUT },
    before: (app) => { app.addHook('onClose', async () => { order.push('database closed') }) }
  })
  await Promise.all([connect(t, app, '/slow'), connect(t, app, '/hangs')])
  await app.close()
  assert.deepEqual(order, ['slow cleanup', 'drained', 'database closed'])
  assert.deepEqual(reportOf(app).cleanups.abandoned.map(({ cleanup }) => cleanup), ['hangs'])
  assertBounded(reportOf(app))
})

test('the same for silent peers, and for an upgrade that hangs in its hook', async (t) => {
  const order: string[] = []
  const app = await start(t, { drain: { timeout: 2_000 }, closeTimeout: 700 }, (app) => {
    app.get('/', { websocket: true }, (socket) => { app.sockets.of(socket).defer(() => { order.push('cleanup') }) })
    app.sockets.on('drained', () => { order.push('drained') })
  }, {
    fastify: { pluginTimeout: PLUGIN_TIMEOUT },
    before: (app) => { app.addHook('onClose', async () => { order.push('database closed') }) }
  })
  const silent = await rawConnect(t, app, '/')
  await app.close()
  await silent.ended
  assert.ok(reportOf(app).duration > PLUGIN_TIMEOUT)
  assert.deepEqual(order, ['cleanup', 'drained', 'database closed'])
})

test('the same without listening, with an injected client', async (t) => {
  const { app, order } = await setUp(t, { listen: false })
  await app.ready()
  const client = await app.injectWS('/')
  client.send('job')
  await until(() => app.sockets.stats().working === 1)
  await app.close()
  client.terminate()
  assert.deepEqual(onClose(order).slice(0, 2), ['cleanup', 'drained'])
  assert.equal(order.length, 10)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('the same with a @fastify/websocket that was registered before us', async (t) => {
  const { app, order } = await setUp(t, { before: async (app) => { await app.register(fastifyWebsocket) } })
  const client = await connect(t, app, '/')
  await sendJob(app, client)
  await app.close()
  assert.equal(await client.next(), 'done')
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(onClose(order).slice(0, 2), ['cleanup', 'drained'])
  assert.equal(order.length, 10)
})

test('the same when a drain was under way before app.close()', async (t) => {
  const { app, order } = await setUp(t)
  const client = await connect(t, app, '/')
  await sendJob(app, client)
  void app.sockets.drain()
  await sleep(50)
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(onClose(order).slice(0, 2), ['cleanup', 'drained'])
  assert.equal(order.length, 10)
})

test('the same when pluginTimeout is off', async (t) => {
  const { app, order } = await setUp(t, { fastify: { pluginTimeout: 0 } })
  const client = await connect(t, app, '/')
  await sendJob(app, client)
  await app.close()
  assert.deepEqual(onClose(order).slice(0, 2), ['cleanup', 'drained'])
})

test('another plugin whose preClose outlasts pluginTimeout does not cost the sockets their codes, nor the order', async (t) => {
  for (const where of ['before us', 'after us'] as const) {
    const order: string[] = []
    const hang = (app: { addHook: TestApp['addHook'] }) => { app.addHook('preClose', () => new Promise<void>(() => {})) }
    const app = await start(t, SLOW, (app) => {
      app.get('/', { websocket: true }, (socket) => { app.sockets.of(socket).defer(async () => { await sleep(500); order.push('cleanup') }) })
      if (where === 'after us') hang(app)
    }, {
      fastify: { pluginTimeout: PLUGIN_TIMEOUT },
      before: (app) => {
        app.addHook('onClose', async () => { order.push('database closed') })
        if (where === 'before us') hang(app)
      }
    })
    const client = await connect(t, app, '/')
    // Fastify tells of the other plugin's timeout; that is between the two of them.
    const failed = await app.close().then(() => null, (error: Error & { code: string }) => error.code)
    assert.ok(failed === null || failed === 'AVV_ERR_READY_TIMEOUT' || failed === 'FST_ERR_PLUGIN_TIMEOUT', String(failed))
    assert.equal((await client.closed).code, 1012, where)
    await until(() => order.length === 2, `the end of the close, ${where}`)
    assert.deepEqual(order, ['cleanup', 'database closed'], where)
    assertBounded(reportOf(app))
  }
})
