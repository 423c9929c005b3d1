/**
 * The option `preClose`, and the preClose and onClose hooks of other plugins.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import plugin from '../../lib/index.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { ended } from '../helpers/ends.ts'
import { nextEvent, turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, logged, portOf, start, until } from '../helpers/server.ts'

/** An app with one client. */
async function busyApp (t: Parameters<typeof connect>[0], options: LifecycleOptions, before?: (app: FastifyInstance) => unknown) {
  const app = await start(t, options, plain, before === undefined ? {} : { before })
  const opened = nextEvent(app, 'open')
  const client = await connect(t, app, '/')
  await opened
  return { app, client }
}

const styles: Record<string, (work: (app: FastifyInstance) => Promise<void>) => LifecycleOptions['preClose']> = {
  'a hook that returns a promise': (work) => async function (this: FastifyInstance) { await work(this) },
  'a hook with a callback': (work) => function (this: FastifyInstance, done: () => void) { void work(this).then(() => { done() }) } as never
}

for (const [what, make] of Object.entries(styles)) {
  test(`${what} runs while sockets are still open, and frames wait for it`, async (t) => {
    const seen: unknown[] = []
    const { app, client } = await busyApp(t, {
      preClose: make(async (self) => {
        seen.push(self.sockets.list().map(({ socket }) => socket.readyState))
        for (const { socket } of self.sockets.list()) socket.send('goodbye')
        await new Promise((resolve) => { setTimeout(resolve, 30) })
        seen.push(self.sockets.list().map(({ socket }) => socket.readyState))
      })
    })
    await app.close()
    assert.deepEqual(seen, [[1], [1]])
    assert.equal(await client.next(), 'goodbye')
    assert.equal((await ended(client)).code, 1012)
  })
}

for (const [what, preClose] of [
  ['throws', () => { throw new Error('boom') }],
  ['rejects', async () => { throw new Error('boom') }],
  ['calls back with an error', ((done: (error: Error) => void) => { done(new Error('boom')) }) as never],
  ['throws instead of calling back', ((_done: unknown) => { throw new Error('boom') }) as never]
] as const) {
  test(`a preClose that ${what} is logged, and the drain goes on`, async (t) => {
    const { app, client } = await busyApp(t, { preClose })
    await app.close()
    assert.equal((await ended(client)).code, 1012)
    const [line] = logged(app, /preClose failed/)
    assert.equal((line!.err as Error).message, 'boom')
    assert.equal(logged(app, /preClose failed/).length, 1)
  })
}

test('a preClose that never ends is bounded by grace', async (t) => {
  const { app, client } = await busyApp(t, { preClose: () => new Promise(() => {}), drain: { timeout: 500 } })
  await app.close()
  assert.equal((await ended(client)).code, 1012)
})

test('a preClose runs once, also where a drain() came before', async (t) => {
  let calls = 0
  const { app, client } = await busyApp(t, { preClose: () => { calls++ } })
  await app.sockets.drain()
  await ended(client)
  assert.equal(calls, 0, 'a bare drain() closes nothing else')
  await app.close()
  await app.close()
  assert.equal(calls, 1)
})

test('a preClose that comes after a drain() is waited for, and bounded by the reserve', async (t) => {
  let over = false
  const { app } = await busyApp(t, { preClose: async () => { await turn(); over = true } })
  await app.sockets.drain()
  await app.close()
  assert.equal(over, true)
  const { app: hanging } = await busyApp(t, { preClose: () => new Promise(() => {}), drain: { reserve: 100 } })
  await hanging.sockets.drain()
  await hanging.close()
})

test('a preClose that closes its sockets itself, as those for @fastify/websocket do', async (t) => {
  const { app, client } = await busyApp(t, {
    preClose: function (this: FastifyInstance, done: () => void) {
      for (const socket of this.websocketServer.clients) socket.close(4004, 'mine')
      this.websocketServer.close(done)
    } as never
  })
  await app.close()
  assert.deepEqual(await ended(client), { code: 4004, reason: 'mine' })
  assert.equal(app.sockets.history[0]!.cause, 'application')
})

test('no preClose of ours replaces the drain, and none is needed', async (t) => {
  const { app, client } = await busyApp(t, {})
  await app.close()
  assert.equal((await ended(client)).code, 1012)
})

// ——— beside other plugins

test("other plugins' preClose hooks run, before and after ours; their onClose comes after the last cleanup", async (t) => {
  const order: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      app.sockets.of(socket).defer(async () => { await turn(); order.push('cleanup') })
    })
    app.addHook('preClose', async () => { order.push('preClose after') })
    app.addHook('onClose', async () => { order.push('onClose after') })
  }, {
    before: (app) => {
      app.addHook('preClose', async () => {
        order.push(`preClose before, ${app.sockets.size} open`)
      })
      app.addHook('onClose', async () => { order.push('onClose before') })
    }
  })
  const opened = nextEvent(app, 'open')
  const client = await connect(t, app, '/')
  await opened
  await app.close()
  await ended(client)
  assert.equal(order[0], 'preClose before, 1 open')
  assert.ok(order.includes('preClose after'))
  assert.deepEqual(order.filter((what) => !what.startsWith('preClose')), ['cleanup', 'onClose after', 'onClose before'])
})

test('a drain longer than pluginTimeout is carried out in full, and close() resolves', async (t) => {
  const order: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async () => {
        await new Promise((resolve) => { setTimeout(resolve, 400) })
        socket.send('done')
        order.push('work')
      })
    })
  }, { fastify: { pluginTimeout: 150 }, before: (app) => { app.addHook('onClose', async () => { order.push('database') }) } })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  await until(() => app.sockets.stats().working === 1)
  await app.close()
  assert.equal(await client.next(), 'done')
  assert.equal((await ended(client)).code, 1012)
  assert.deepEqual(order, ['work', 'database'])
})

for (const where of ['before', 'after'] as const) {
  test(`another plugin's preClose that throws fails close(), but the sockets are drained: registered ${where} us`, async (t) => {
    const fail = (app: FastifyInstance) => { app.addHook('preClose', async () => { throw new Error('boom') }) }
    const app = Fastify()
    if (where === 'before') fail(app)
    await app.register(plugin)
    if (where === 'after') fail(app)
    app.get('/', { websocket: true }, () => {})
    await app.listen({ port: 0, host: '127.0.0.1' })
    const client = new WebSocket(`ws://127.0.0.1:${portOf(app)}/`)
    t.after(() => { client.terminate() })
    const closed = once(client, 'close')
    await once(client, 'open')
    await assert.rejects(app.close(), /boom/)
    assert.equal((await closed)[0], 1012)
    await until(() => app.sockets.state === 'drained')
    assert.equal(app.server.listening, false)
  })
}
