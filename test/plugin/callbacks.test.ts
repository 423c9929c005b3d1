/**
 * The callbacks that users give us (`owner`, `data`, `onOpen`, `onDrain`, `drain.reason`, `preClose`, listeners of
 * `app.sockets`, cleanups): whether they throw or reject, the process, the drain and every other connection go on.
 *
 * An error that reached the process would fail the test that runs: node:test listens for them.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { LifecycleEvents, LifecycleOptions } from '../../lib/index.ts'
import { turn } from '../helpers/records.ts'
import { assertBounded, connect, logged, reportOf, start, until, within } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const BOOM = 'boom of a callback'
/** As a callback of whatever type: what it returns is no business of these tests. */
const throws = (): never => { throw new Error(BOOM) }
const rejects = (async () => { await Promise.resolve(); throws() }) as () => never

const WAYS = { throws, rejects } as const

/** A server with an echo. */
function serve (t: TestContext, options: LifecycleOptions): Promise<TestApp> {
  return start(t, options, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  })
}

/** Lets rejections reach their listeners. */
async function settle (): Promise<void> {
  for (let i = 0; i < 5; i++) await turn()
}

/** Asks for an echo. */
async function works (t: TestContext, app: TestApp): Promise<void> {
  const client = await connect(t, app, '/')
  client.send('hello')
  assert.equal(await client.next(), 'hello')
}

/** Lines of the log that tell of the callback's error. */
const told = (app: TestApp) => app.logs.filter(({ err }) => (err as Error | undefined)?.message === BOOM)

for (const [way, fail] of Object.entries(WAYS)) {
  for (const hook of ['owner', 'data', 'onOpen'] as const) {
    test(`${hook} that ${way} ends the connection it was called for with 1011, once, and no other`, async (t) => {
      let calls = 0
      const app = await serve(t, { [hook]: () => ++calls === 2 ? fail() : hook === 'data' ? {} : undefined })
      const neighbour = await connect(t, app, '/')
      const errors: number[] = []
      app.sockets.on('error', (_error, { id }) => { errors.push(id) })
      const client = await connect(t, app, '/')
      assert.deepEqual(await within(5_000, client.closed, 'the client saw no end'), { code: 1011, reason: 'internal error' })
      await until(() => app.sockets.history.length === 1)
      await settle()
      const { id, cause } = app.sockets.history[0]!
      assert.equal(cause, 'error')
      assert.deepEqual(errors, [id])
      neighbour.send('still here')
      assert.equal(await neighbour.next(), 'still here')
      await works(t, app)
    })
  }

  test(`onDrain that ${way} is logged with its name, and every connection is drained`, async (t) => {
    let calls = 0
    const app = await serve(t, { onDrain: () => ++calls === 1 ? fail() : undefined })
    const clients = [await connect(t, app, '/'), await connect(t, app, '/')]
    await app.close()
    for (const { closed } of clients) assert.equal((await closed).code, 1012)
    assert.equal(calls, 2)
    assert.deepEqual(told(app).map(({ msg }) => msg), ['onDrain failed'])
    const report = reportOf(app)
    assertBounded(report)
    assert.equal(report.connections.clean, 2)
  })

  test(`drain.reason that ${way} costs the close frame its reason, not its code`, async (t) => {
    let calls = 0
    const app = await serve(t, { drain: { reason: () => ++calls === 1 ? fail() : 'moved' } })
    const clients = [await connect(t, app, '/'), await connect(t, app, '/')]
    await app.close()
    const ends = await Promise.all(clients.map(({ closed }) => closed))
    assert.deepEqual(ends.map(({ code }) => code), [1012, 1012])
    assert.deepEqual(ends.map(({ reason }) => reason).sort(), ['', 'moved'])
    await settle()
    assert.equal(logged(app, /drain\.reason failed/).length, 1)
  })

  test(`preClose that ${way} is logged, and the drain goes on to its end`, async (t) => {
    const app = await serve(t, { preClose: (async () => fail()) as never })
    const client = await connect(t, app, '/')
    await app.close()
    assert.equal((await client.closed).code, 1012)
    assert.deepEqual(told(app).map(({ msg }) => msg), ['preClose failed'])
    assertBounded(reportOf(app))
  })

  test(`a cleanup that ${way} is logged and counted, and stops no other`, async (t) => {
    const app = await serve(t, {})
    const client = await connect(t, app, '/')
    const neighbour = await connect(t, app, '/')
    const [connection] = app.sockets.list()
    const seen: string[] = []
    connection!.defer(() => { seen.push('first') })
    connection!.defer(fail)
    connection!.defer(() => { seen.push('last') })
    const errors: number[] = []
    app.sockets.on('error', (_error, { id }) => { errors.push(id) })
    const { closed } = connection!
    await client.close()
    const { cause, code } = await closed
    assert.deepEqual({ cause, code }, { cause: 'client', code: 1000 })
    assert.deepEqual(seen, ['last', 'first'])
    assert.deepEqual(errors, [connection!.id])
    assert.deepEqual(app.sockets.stats().cleanups, { finished: 2, failed: 1, abandoned: 0 })
    assert.deepEqual(told(app).map(({ level, msg, connection }) => ({ level, msg, connection })),
      [{ level: 50, msg: 'cleanup failed', connection: connection!.id }])
    neighbour.send('still here')
    assert.equal(await neighbour.next(), 'still here')
  })

  test(`a listener of any event that ${way} is logged with the event's name, and stops no other listener`, async (t) => {
    const app = await serve(t, {})
    const events: Array<keyof LifecycleEvents> = ['open', 'draining', 'closing', 'closed', 'error', 'refused', 'drain', 'progress', 'drained']
    const seen = new Set<string>()
    for (const event of events) {
      app.sockets.on(event, fail)
      app.sockets.on(event, () => { seen.add(event) })
    }
    await works(t, app)
    const client = await connect(t, app, '/')
    app.sockets.list()[1]!.socket.on('ping', () => { throw new Error('of a socket') })
    client.socket.ping()
    assert.equal((await client.closed).code, 1011)
    const last = await connect(t, app, '/')
    const draining = app.sockets.drain()
    await until(() => !app.sockets.accepting)
    await assert.rejects(connect(t, app, '/'), { status: 503 })
    await draining
    assert.equal((await last.closed).code, 1012)
    await settle()
    assert.deepEqual([...seen].sort(), [...events].sort())
    const names = new Set(told(app).map(({ msg }) => msg))
    assert.deepEqual([...names].sort(), events.map((event) => `listener of "${event}" failed`).sort())
    assertBounded(reportOf(app))
  })
}

test('all callbacks failing at once cost no client its close code, and the report says what failed', async (t) => {
  const app = await serve(t, { onDrain: rejects, preClose: (async () => rejects()) as never, drain: { reason: throws, timeout: 4_000 } })
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(t, app, '/')))
  for (const connection of app.sockets.list()) connection.defer(connection.id % 2 === 0 ? throws : rejects)
  for (const event of ['draining', 'closing', 'closed', 'drained'] as const) app.sockets.on(event, rejects)
  await app.close()
  for (const { closed } of clients) assert.deepEqual(await closed, { code: 1012, reason: '' })
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual({ clean: report.connections.clean, failed: report.cleanups.failed }, { clean: 20, failed: 20 })
  await settle()
})
