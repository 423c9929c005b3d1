/**
 * Drains that are started twice, too early, too late or from the wrong place: one drain, one report, the app closes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fp from 'fastify-plugin'
import plugin from '../../lib/index.ts'
import type { DrainReport } from '../../lib/index.ts'
import { echo } from '../helpers/routes.ts'
import { createClock } from '../../lib/testing/clock.ts'
import { assertBounded, assertClean, connect, create, portOf, rawConnect, reportOf, start, timersOfOurs, until, within } from '../helpers/server.ts'

const QUICK = { drain: { timeout: 1_000 } }
/** For drains that end by themselves: no deadline decides, however slow the machine is. */
const PATIENT = { closeTimeout: 60_000, drain: { timeout: 90_000 } }

test('drain called twice, and app.close() twice beside it, is one drain with one report', async (t) => {
  const app = await start(t, QUICK, echo)
  const client = await connect(t, app, '/')
  const first = app.sockets.drain()
  const second = app.sockets.drain()
  const closings = [app.close(), app.close()]
  assert.equal(await first, await second)
  await Promise.all(closings)
  assert.equal((await client.closed).code, 1012)
  assert.equal(await app.sockets.drain(), await first)
  assert.equal(reportOf(app), await first)
  assert.equal((await first).trigger, 'drain')
  assert.equal((await first).connections.total, 1)
})

test('app.close() in the middle of a settling drain cuts the settling short', async (t) => {
  // No time passes.
  const app = await start(t, { drain: { timeout: 30_000, terminationGracePeriod: 60_000, settleDelay: 20_000 }, clock: createClock() }, echo)
  const client = await connect(t, app, '/')
  const draining = app.sockets.drain()
  await app.close()
  assert.equal((await client.closed).code, 1012)
  const report = await draining
  assert.equal(report.phases.settle, 0)
  assert.equal(report.connections.clean, 1)
})

test('a plain app.close() does not settle', async (t) => {
  const app = await start(t, { drain: { timeout: 30_000, terminationGracePeriod: 60_000, settleDelay: 20_000 }, clock: createClock() }, echo)
  await connect(t, app, '/')
  await app.close()
  assert.equal(reportOf(app).duration, 0)
})

test('a drain leaves the listener open, and HTTP is served with Connection: close', async (t) => {
  const app = await start(t, QUICK, (app) => {
    echo(app)
    app.get('/http', async () => 'fine')
  })
  const client = await connect(t, app, '/')
  await app.sockets.drain()
  assert.equal((await client.closed).code, 1012)
  const response = await fetch(`http://127.0.0.1:${portOf(app)}/http`)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('connection'), 'close')
  assert.equal(await response.text(), 'fine')
  await assertClean(app)
})

test('a drain without connections needs no timer, and ends at once', async (t) => {
  const app = await start(t, QUICK, echo)
  const draining = app.sockets.drain()
  assert.deepEqual(timersOfOurs(), [])
  const report = await draining
  assert.equal(report.connections.total, 0)
  assert.equal(report.reconnect, null)
  await app.close()
  assert.equal(reportOf(app), report)
})

test('a drain during start-up, from a plugin, from onReady and from onListen, ends and refuses later handshakes', async (t) => {
  for (const when of ['plugin', 'onReady', 'onListen'] as const) {
    let report: DrainReport | undefined
    const app = await start(t, QUICK, async (app) => {
      echo(app)
      const drain = async () => { report = await app.sockets.drain() }
      if (when === 'plugin') await app.register(fp(drain))
      else app.addHook(when, drain)
    })
    assert.equal(report?.connections.total, 0, when)
    await assert.rejects(connect(t, app, '/'), { status: 503 })
    await app.close()
  }
})

test('a drain before listen finds no connections, and the app still listens and closes', async (t) => {
  const app = await start(t, QUICK, echo, { listen: false })
  const report = await app.sockets.drain()
  assert.equal(report.connections.total, 0)
  await app.listen({ port: 0, host: '127.0.0.1' })
  await assert.rejects(connect(t, app, '/'), { status: 503 })
})

test('an app that never listens drains, closes, and may be closed again', async (t) => {
  for (const ready of [false, true]) {
    const app = await start(t, QUICK, echo, { listen: false })
    if (ready) await app.ready()
    assert.equal((await app.inject('/nowhere')).statusCode, 404)
    await within(5_000, app.close(), 'close did not end')
    await app.close()
    await assertClean(app)
  }
})

test('app.close() before ready closes, whatever is still loading', async (t) => {
  const app = create(t)
  void app.register(plugin, QUICK)
  void app.register(async () => { await new Promise((resolve) => { setTimeout(resolve, 50) }) })
  void app.register(async (app) => { app.get('/', { websocket: true }, () => {}) })
  await within(5_000, app.close(), 'close did not end')
  await assertClean(app)
})

test('a drain while other plugins are still loading finds no connections', async (t) => {
  const app = create(t)
  void app.register(plugin, QUICK)
  let report: DrainReport | undefined
  void app.register(async (app) => {
    void app.sockets.drain().then((drained) => { report = drained })
    await new Promise((resolve) => { setTimeout(resolve, 50) })
  })
  await within(5_000, app.close(), 'close did not end')
  assert.equal(report?.connections.total, 0)
})

test('app.close() during listen ends', async (t) => {
  const app = await start(t, QUICK, echo, { listen: false })
  const listening = app.listen({ port: 0, host: '127.0.0.1' }).catch(() => {})
  await within(5_000, app.close(), 'close did not end')
  await listening
  // Fastify has closed before it listened, and listens now, with or without the plugin: handshakes are refused.
  if (app.server.listening) {
    await assert.rejects(connect(t, app, '/'), { status: 503 })
    await new Promise((resolve) => { app.server.close(resolve) })
  }
  await assertClean(app)
})

test('app.close() from onReady and from onListen closes', async (t) => {
  for (const when of ['onReady', 'onListen'] as const) {
    let closing: Promise<unknown> | undefined
    const app = await start(t, QUICK, (app) => {
      echo(app)
      app.addHook(when, async () => { closing = app.close() })
    }, { listen: false })
    await app.listen({ port: 0, host: '127.0.0.1' }).catch(() => {})
    await within(5_000, closing!, `close from ${when} did not end`)
    // From onReady Fastify has closed before it listened, and listens now, with or without the plugin: handshakes are refused.
    assert.equal(app.server.listening, when === 'onReady')
    if (app.server.listening) {
      await assert.rejects(connect(t, app, '/'), { status: 503 })
      await new Promise((resolve) => { app.server.close(resolve) })
    }
    await assertClean(app)
  }
})

test('an app whose start-up fails after or before the plugin was loaded can be closed', async (t) => {
  for (const order of ['after', 'before']) {
    const app = create(t)
    const fail = () => app.register(async () => { throw new Error('no database') })
    if (order === 'before') void fail()
    void app.register(plugin, QUICK)
    if (order === 'after') void fail()
    await assert.rejects(async () => { await app.ready() }, /no database/)
    await within(5_000, app.close(), 'close did not end')
    await assertClean(app)
  }
})

test('an app whose port is taken can be closed', async (t) => {
  const first = await start(t, QUICK, echo)
  const second = await start(t, QUICK, echo, { listen: false })
  await assert.rejects(second.listen({ port: portOf(first), host: '127.0.0.1' }), { code: 'EADDRINUSE' })
  await within(5_000, second.close(), 'close did not end')
  await assertClean(second)
})

test('two apps in one process drain beside each other without noticing', async (t) => {
  const apps = await Promise.all([start(t, QUICK, echo), start(t, QUICK, echo)])
  const clients = await Promise.all(apps.map((app) => connect(t, app, '/')))
  await apps[0]!.close()
  assert.equal((await clients[0]!.closed).code, 1012)
  clients[1]!.socket.send('still here')
  assert.equal(await clients[1]!.next(), 'still here')
  assert.equal(apps[1]!.sockets.state, 'running')
  await apps[1]!.close()
  assert.equal((await clients[1]!.closed).code, 1012)
})

test('a drain started from each event of the tracker joins the one under way, or starts it', async (t) => {
  for (const event of ['open', 'closing', 'closed', 'drain', 'progress', 'drained', 'draining'] as const) {
    const joined: Array<Promise<DrainReport>> = []
    const app = await start(t, QUICK, echo)
    app.sockets.on(event, () => { joined.push(app.sockets.drain()) })
    const client = await connect(t, app, '/')
    await app.close()
    await client.closed
    assert.ok(joined.length > 0, event)
    for (const report of await Promise.all(joined)) assert.equal(report, reportOf(app))
  }
})

test('closing the app from each event of the tracker closes it', async (t) => {
  for (const event of ['open', 'closing', 'closed', 'drain', 'progress', 'drained', 'draining'] as const) {
    const closings: unknown[] = []
    const app = await start(t, QUICK, echo)
    app.sockets.on(event, () => { closings.push(app.close()) })
    const client = await connect(t, app, '/')
    if (event !== 'open') void app.sockets.drain()
    await client.closed
    await until(() => !app.server.listening, `the close from "${event}"`)
    await within(5_000, Promise.all(closings), `the close from "${event}" did not end`)
    await assertClean(app)
  }
})

test('a connection that opens and closes during the drain\'s settling is in the report once', async (t) => {
  const app = await start(t, { drain: { terminationGracePeriod: 60_000, settleDelay: 30_000 } }, echo)
  const draining = app.sockets.drain()
  for (let i = 0; i < 5; i++) {
    const client = await connect(t, app, '/')
    client.socket.close(1000)
    await client.closed
  }
  await until(() => app.sockets.size === 0)
  await app.close()
  const { connections } = await draining
  assert.deepEqual(connections, { total: 5, clean: 5, leftByThemselves: 5, terminated: 0, unfinished: 0, causes: { client: 5 } })
})

test('connections that are closing already when the drain starts are waited for and counted', async (t) => {
  const app = await start(t, { drain: { timeout: 4_000 }, closeTimeout: 400 }, (app) => {
    app.get('/', { websocket: true }, (socket) => { void app.sockets.of(socket).close(4001, 'mine') })
  })
  const silent = await rawConnect(t, app, '/')
  assert.deepEqual(await silent.closeFrame(), { code: 4001, reason: 'mine' })
  await app.close()
  const report = reportOf(app)
  assert.deepEqual(report.connections, { total: 1, clean: 0, leftByThemselves: 0, terminated: 1, unfinished: 0, causes: { application: 1 } })
  assert.equal(report.reconnect, null)
})

test('frames are spread over the time that was asked for, and the delays make up for it', async (t) => {
  const app = await start(t, { drain: { timeout: 10_000, spread: 800, reconnect: { rate: 10 } } }, echo)
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(t, app, '/')))
  // The server's moments: clients may be late to read.
  const moments = new Map<number, number>()
  app.sockets.on('closing', ({ id }) => { moments.set(id, performance.now()) })
  const codes = Promise.all(clients.map(async ({ closed }) => (await closed).code))
  await app.close()
  assert.deepEqual(new Set(await codes), new Set([1012]))
  const seen = app.sockets.history
    .map(({ id, reason }) => ({ at: moments.get(id)!, delay: Number(/retry=(\d+)$/.exec(reason)?.[1]) }))
    .sort((a, b) => a.at - b.at)
  assert.equal(seen.length, 20)
  // The last of twenty goes at 19/20 of 800 ms; frames are never early, and the first may be late.
  assert.ok(seen.at(-1)!.at - seen[0]!.at > 600, 'all went at once')
  // Twenty clients at ten a second are back over two seconds, from one second after their frame on.
  const back = seen.map(({ at, delay }) => at + delay).sort((a, b) => a - b)
  assert.ok(back.at(-1)! - back[0]! > 1_500, 'they come back at once')
  assert.ok(seen.every(({ delay }) => delay >= 1_000 && delay <= 3_000))
  assertBounded(reportOf(app))
})

test('aborting the signal given to listen closes the app as app.close() does', async (t) => {
  const controller = new AbortController()
  const app = await start(t, PATIENT, echo, { listen: { signal: controller.signal } })
  const client = await connect(t, app, '/')
  controller.abort()
  assert.equal((await client.closed).code, 1012)
  await app.close()
  assert.equal(reportOf(app).connections.clean, 1)
})

test('a suite with fake timers can close its app', async (t) => {
  const app = await start(t, { drain: { timeout: 2_000 } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { app.sockets.of(socket).defer(async () => {}) })
  })
  const client = await connect(t, app, '/')
  const silent = await rawConnect(t, app, '/')
  t.mock.timers.enable()
  await app.close()
  t.mock.timers.reset()
  assert.equal((await client.closed).code, 1012)
  assert.equal((await silent.closeFrame()).code, 1012)
  assertBounded(reportOf(app))
  assert.equal(reportOf(app).connections.terminated, 1)
})

test('with the longest budget, peers have their time to answer, too', async (t) => {
  for (const timeout of [2 ** 31 - 1, 90 * 86_400_000]) {
    const app = await start(t, { drain: { timeout } }, (app) => {
      app.get('/', { websocket: true }, (socket) => { socket.on('message', () => { void app.sockets.of(socket).close(4001, 'mine') }) })
    })
    const client = await connect(t, app, '/')
    // It reads late, as over any network.
    app.sockets.on('closing', () => { setTimeout(() => { client.socket.resume() }, 50) })
    client.socket.pause()
    client.socket.send('x')
    assert.equal((await client.closed).code, 4001)
    await until(() => app.sockets.size === 0)
    assert.deepEqual(app.sockets.history.map(({ cause, code, clean }) => ({ cause, code, clean })), [{ cause: 'application', code: 4001, clean: true }])
    await app.close()
  }
})

test('the smallest budget is kept', async (t) => {
  const app = await start(t, { drain: { timeout: 10 } }, echo)
  const silent = await Promise.all(Array.from({ length: 20 }, () => rawConnect(t, app, '/')))
  await app.close()
  for (const peer of silent) await peer.ended
  const report = reportOf(app)
  assertBounded(report)
  assert.equal(report.connections.total, 20)
  assert.equal(report.connections.unfinished, 0)
})

test('an event loop that stands still over the whole drain costs no client its close frame', async (t) => {
  const app = await start(t, { drain: { timeout: 300 } }, echo)
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(t, app, '/')))
  const draining = app.sockets.drain()
  const until = performance.now() + 600
  while (performance.now() < until);
  const report = await draining
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  assert.equal(report.connections.total, 20)
  assert.equal(report.connections.unfinished, 0)
})

test('a suite that opens and closes a hundred apps leaves nothing', async (t) => {
  const warnings: Error[] = []
  const warned = (warning: Error) => { warnings.push(warning) }
  process.on('warning', warned)
  t.after(() => { process.removeListener('warning', warned) })
  for (let i = 0; i < 100; i++) {
    const app = await start(t, {}, echo, { fastify: { logger: false } })
    if (i % 2 === 0) {
      const client = await connect(t, app, '/')
      await app.close()
      assert.equal((await client.closed).code, 1012)
    }
    await app.close()
    assertBounded(reportOf(app))
    await assertClean(app)
  }
  assert.deepEqual(warnings.filter(({ name }) => name !== 'FastifyDeprecation'), [])
})
