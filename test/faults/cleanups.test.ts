/**
 * Cleanups and hooks of the application that misbehave: the drain stays in its budget, the others run, the report names
 * what was given up.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'node:test'
import fp from 'fastify-plugin'
import type { CloseRecord, Connection, DrainReport } from '../../lib/index.ts'
import { assertBounded, assertClean, connect, logged, rawConnect, reportOf, start, until, within } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** For drains whose time is to run out. */
const QUICK = { drain: { timeout: 600 } }
/** For drains that end by themselves: no deadline decides, however slow the machine is. */
const PATIENT = { closeTimeout: 60_000, drain: { timeout: 90_000 } }
const never = () => new Promise<never>(() => {})

/** A route whose connections get these cleanups. */
function deferring (...cleanups: Array<(connection: Connection, app: TestApp) => unknown>) {
  return (app: TestApp) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      for (const cleanup of cleanups) {
        const bound = () => cleanup(connection, app)
        Object.defineProperty(bound, 'name', { value: cleanup.name })
        connection.defer(bound)
      }
    })
  }
}

test('cleanups run last in, first out, one after the other, and a database plugin closes after the last one', async (t) => {
  const order: string[] = []
  const step = (name: string, time: number) => async () => {
    order.push(`${name} begins`)
    await sleep(time)
    order.push(`${name} ends`)
  }
  const app = await start(t, PATIENT, deferring(step('first', 60), step('second', 20), step('third', 40)), {
    before: (app) => { app.addHook('onClose', async () => { order.push('database closed') }) }
  })
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(order, ['third begins', 'third ends', 'second begins', 'second ends', 'first begins', 'first ends', 'database closed'])
  assert.equal(reportOf(app).cleanups.finished, 3)
  assertBounded(reportOf(app))
})

test('a cleanup that throws and one that rejects stop no other, and are counted', async (t) => {
  let others = 0
  const app = await start(t, PATIENT, deferring(
    () => { others++ },
    () => { throw new Error('sync') },
    () => { others++ },
    async () => { throw new Error('async') },
    () => Promise.reject(null), // eslint-disable-line prefer-promise-reject-errors -- hostile
    () => { others++ }
  ))
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.equal(others, 3)
  const { cleanups } = reportOf(app)
  assert.deepEqual(cleanups, { finished: 3, failed: 3, abandoned: [] })
  assert.equal(logged(app, /cleanup failed/).length, 3)
})

test('a cleanup that hangs is given up and named, and the others still run', async (t) => {
  const ran: string[] = []
  const app = await start(t, { ...PATIENT, cleanupTimeout: 100 }, deferring(
    function unsubscribe () { ran.push('unsubscribe') },
    function leaveRoom () { return never() },
    function stopTimer () { ran.push('stopTimer') }
  ))
  const client = await connect(t, app, '/')
  const id = app.sockets.list()[0]!.id
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(ran, ['stopTimer', 'unsubscribe'])
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual(report.cleanups, { finished: 2, failed: 0, abandoned: [{ connection: id, route: '/', cleanup: 'leaveRoom' }] })
  assert.equal(report.connections.clean, 1)
})

test('cleanups that hang longer than the drain lasts are given up with it', async (t) => {
  const ran: string[] = []
  const app = await start(t, { ...QUICK, cleanupTimeout: 60_000 }, deferring(
    function last () { ran.push('last') },
    function hanging () { return never() },
    function alsoHanging () { return never() }
  ))
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(t, app, '/')))
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  const report = reportOf(app)
  assertBounded(report)
  // The hanging ones held the others back; when the time is up those are started too.
  assert.equal(ran.length, 20)
  assert.equal(report.cleanups.finished, 20)
  assert.equal(report.cleanups.abandoned.length, 40)
  assert.equal(report.connections.total, 20)
})

test('a cleanup that ends after it was given up changes nothing any more', async (t) => {
  let end!: () => void
  const app = await start(t, { ...QUICK, cleanupTimeout: 50 }, deferring(() => new Promise<void>((resolve) => { end = resolve })))
  const client = await connect(t, app, '/')
  client.socket.close()
  await until(() => app.sockets.size === 0)
  const before = app.sockets.stats()
  end()
  await sleep(0)
  assert.deepEqual(app.sockets.stats(), before)
  assert.equal(before.cleanups.abandoned, 1)
  assert.equal(before.cleanups.finished, 0)
  await assertClean(app)
})

test('a cleanup that blocks the event loop over the end of the drain delays it by no more than its own time', async (t) => {
  const app = await start(t, { drain: { timeout: 500 } }, deferring(() => {
    const until = performance.now() + 600
    while (performance.now() < until);
  }))
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assertBounded(reportOf(app), 600 + 500)
  assert.equal(reportOf(app).cleanups.finished, 1)
})

test('cleanups that call close, terminate, disconnect and drain are not disturbed by it', async (t) => {
  let ran = 0
  const app = await start(t, PATIENT, deferring(
    (connection) => { ran++; void connection.close(4000, 'again') },
    (connection) => { ran++; connection.socket.close(4000) },
    (_connection, app) => { ran++; app.sockets.disconnect('all') },
    (_connection, app) => { ran++; void app.sockets.drain() },
    (_connection, app) => { ran++; void app.close() },
    (connection) => { ran++; connection.defer(() => { ran++ }) },
    (connection) => { ran++; connection.tag('late'); connection.setOwner('late') }
  ))
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.equal(ran, 8)
  assert.equal(reportOf(app).cleanups.finished, 8)
  assertBounded(reportOf(app))
})

test('a cleanup that terminates its connection costs the client its answer and other clients nothing', async (t) => {
  const app = await start(t, PATIENT, deferring((connection) => { void connection.terminate() }))
  const clients = await Promise.all([connect(t, app, '/'), connect(t, app, '/')])
  await app.close()
  for (const { closed } of clients) assert.ok([1012, 1006].includes((await closed).code))
  assertBounded(reportOf(app))
  assert.equal(reportOf(app).connections.total, 2)
})

test('a cleanup that awaits its own closed or the drain is told so at once, by a coded error', async (t) => {
  const codes: unknown[] = []
  const note = (promise: Promise<unknown>) => promise.catch((error: Error & { code?: string }) => { codes.push(error.code) })
  const app = await start(t, { drain: { timeout: 5_000 } }, deferring(
    (connection) => note(connection.closed),
    (connection) => note(connection.close()),
    (connection) => note(connection.terminate()),
    (_connection, app) => note(app.sockets.drain())
  ))
  const client = await connect(t, app, '/')
  const report = await app.sockets.drain()
  await client.closed
  assert.deepEqual(codes, Array(4).fill('SOCKETS_ERR_CLEANUP_DEADLOCK'))
  assert.ok(report.duration < 2_500, 'the drain waited for no deadline')
  assert.equal(report.cleanups.finished, 4)
})

test('a cleanup that awaits app.close() is given up, and the app closes', async (t) => {
  const app = await start(t, { ...QUICK, cleanupTimeout: 100 }, deferring(async function closing (_connection, app) { await app.close() }))
  const client = await connect(t, app, '/')
  client.socket.close()
  await client.closed
  await app.close()
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual(report.cleanups.abandoned.map(({ cleanup }) => cleanup), ['closing'])
})

test('a cleanup that waits for another connection\'s end gets it', async (t) => {
  const records: CloseRecord[] = []
  const app = await start(t, PATIENT, deferring(async (connection, app) => {
    const other = app.sockets.list().find(({ id }) => id < connection.id)
    if (other !== undefined) records.push(await other.closed)
  }))
  const clients = await Promise.all([connect(t, app, '/'), connect(t, app, '/'), connect(t, app, '/')])
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  assert.equal(records.length, 2)
  assert.equal(reportOf(app).cleanups.finished, 3)
  assertBounded(reportOf(app))
})

test('connections that wait for one another in their cleanups are given up, and named', async (t) => {
  const app = await start(t, { ...QUICK, cleanupTimeout: 150 }, deferring(async function knot (connection, app) {
    await Promise.all(app.sockets.list().filter((other) => other !== connection).map((other) => other.closed))
  }))
  const clients = await Promise.all([connect(t, app, '/'), connect(t, app, '/')])
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  const report = reportOf(app)
  assertBounded(report)
  assert.ok(report.cleanups.abandoned.length >= 1)
  assert.equal(report.cleanups.abandoned.length + report.cleanups.finished, 2)
})

test('defer on a connection that is closing or closed runs at once, and the drain waits for it', async (t) => {
  let late = 0
  const app = await start(t, PATIENT, (app) => {
    app.sockets.on('closed', (connection) => {
      connection.defer(async () => {
        await sleep(100)
        late++
      })
    })
    app.get('/', { websocket: true }, () => {})
  })
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.equal(late, 1)
  assertBounded(reportOf(app))
})

test('a cleanup that defers another for ever is stopped by the end of the drain', async (t) => {
  let count = 0
  let stop = false
  const app = await start(t, { drain: { timeout: 500 } }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      const again = async () => {
        count++
        await sleep(5)
        if (!stop) connection.defer(again)
      }
      connection.defer(again)
    })
  })
  const client = await connect(t, app, '/')
  await within(5_000, app.close(), 'the drain did not end')
  assert.equal((await client.closed).code, 1012)
  assert.ok(count > 1)
  assertBounded(reportOf(app))
  stop = true
  await until(() => app.sockets.stats().connections === 0)
})

test('ten thousand cleanups of one connection run, in order', async (t) => {
  const order: number[] = []
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      for (let i = 0; i < 10_000; i++) app.sockets.of(socket).defer(i % 2 === 0 ? () => { order.push(i) } : async () => { order.push(i) })
    })
  })
  const client = await connect(t, app, '/')
  await app.close()
  await client.closed
  assert.deepEqual(order, Array.from({ length: 10_000 }, (_, i) => 9_999 - i))
})

test('cleanups run for a peer that was cut off, reset or never answered, each exactly once', async (t) => {
  const cleaned: number[] = []
  const app = await start(t, QUICK, deferring(async (connection) => {
    await sleep(1)
    cleaned.push(connection.id)
  }))
  const peers = await Promise.all(Array.from({ length: 6 }, () => rawConnect(t, app, '/')))
  peers[0]!.reset()
  peers[1]!.end()
  peers[2]!.destroy()
  const closing = app.close()
  await peers[3]!.closeFrame()
  peers[3]!.reset()
  await closing
  assert.equal(cleaned.length, 6)
  assert.equal(new Set(cleaned).size, 6)
  assertBounded(reportOf(app))
})

// ——— onDrain

test('an onDrain hook that throws or rejects is logged, and its connection is drained like the others', async (t) => {
  let calls = 0
  const app = await start(t, {
    ...PATIENT,
    onDrain: () => {
      if (calls++ % 2 === 0) throw new Error('sync')
      return Promise.reject(new Error('async'))
    }
  }, deferring())
  const clients = await Promise.all([connect(t, app, '/'), connect(t, app, '/')])
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  assert.equal(logged(app, /onDrain failed/).length, 2)
  assert.equal(reportOf(app).connections.clean, 2)
})

test('an onDrain hook that hangs is waited for until grace ends, and no longer', async (t) => {
  let end!: () => void
  const app = await start(t, { ...QUICK, onDrain: () => new Promise<void>((resolve) => { end = resolve }) }, deferring())
  const client = await connect(t, app, '/')
  const report = await app.sockets.drain()
  assert.equal((await client.closed).code, 1012)
  assertBounded(report)
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.equal(app.sockets.stats().working, 1, 'the hook still hangs')
  end()
})

test('an onDrain hook that sends megabytes does not cost its client the close frame', async (t) => {
  const app = await start(t, {
    ...PATIENT,
    onDrain: ({ socket }) => { for (let i = 0; i < 16; i++) socket.send(Buffer.alloc(2 ** 20, i)) }
  }, deferring())
  const client = await connect(t, app, '/')
  await app.close()
  assert.deepEqual((await client.closed).code, 1012)
  assert.equal(client.unread.length, 16)
  assert.equal(reportOf(app).connections.clean, 1)
  assertBounded(reportOf(app))
})

test('an onDrain hook that sends megabytes to a peer that never reads is bounded', async (t) => {
  const app = await start(t, {
    ...QUICK,
    onDrain: ({ socket }) => { for (let i = 0; i < 32; i++) socket.send(Buffer.alloc(2 ** 20, i)) }
  }, deferring())
  const peer = await rawConnect(t, app, '/')
  peer.pause()
  await app.close()
  assertBounded(reportOf(app))
  assert.equal(reportOf(app).connections.terminated, 1)
})

const DISTURBANCES: Array<[what: string, disturb: (connection: Connection, app: TestApp) => unknown]> = [
  ['closes its connection', (connection) => connection.close(4000)],
  ['terminates its connection', (connection) => connection.terminate()],
  ['disconnects all', (_connection, app) => app.sockets.disconnect('all')],
  ['awaits the drain', (_connection, app) => app.sockets.drain()],
  ['awaits app.close()', (_connection, app) => app.close()],
  ['awaits the end of its connection', (connection) => connection.closed],
  ['removes every listener', ({ socket }) => socket.removeAllListeners()]
]

for (const [what, disturb] of DISTURBANCES) {
  test(`an onDrain hook that ${what} does not disturb the drain`, async (t) => {
    const app: TestApp = await start(t, { ...QUICK, onDrain: (connection) => disturb(connection, app) }, deferring())
    const clients = await Promise.all([connect(t, app, '/'), connect(t, app, '/'), connect(t, app, '/')])
    await app.close()
    for (const { closed } of clients) assert.ok([1012, 1006, 3003, 4000].includes((await closed).code))
    const report = reportOf(app)
    assertBounded(report)
    assert.equal(report.connections.total, 3)
    assert.equal(report.connections.unfinished, 0)
  })
}

test('listeners of tracker events that throw, reject and hang do not disturb the drain', async (t) => {
  const app = await start(t, QUICK, (app) => {
    for (const event of ['open', 'draining', 'closing', 'closed', 'drain', 'progress', 'drained'] as const) {
      app.sockets.on(event, () => { throw new Error(`${event}, sync`) })
      app.sockets.on(event, () => Promise.reject(new Error(`${event}, async`)))
      app.sockets.on(event, never)
    }
    app.get('/', { websocket: true }, () => {})
  })
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assertBounded(reportOf(app))
})

test('a drain.reason that throws or answers nonsense costs the reason, not the code', async (t) => {
  const answers: Array<() => unknown> = [
    () => { throw new Error('no reason') },
    () => undefined,
    () => 42,
    () => 'ü'.repeat(500),
    () => false
  ]
  let next = 0
  const app = await start(t, { ...PATIENT, drain: { ...PATIENT.drain, reason: () => answers[next++]!() as string } }, deferring())
  const clients = await Promise.all(answers.map(() => connect(t, app, '/')))
  await app.close()
  const reasons: string[] = []
  for (const { closed } of clients) {
    const { code, reason } = await closed
    assert.equal(code, 1012)
    assert.ok(Buffer.byteLength(reason) <= 123)
    reasons.push(reason)
  }
  assert.ok(reasons.includes('ü'.repeat(61)))
  assert.equal(reportOf(app).connections.clean, 5)
})

test('a user\'s preClose that hangs is bounded by grace; one that fails is logged', async (t) => {
  const hanging = await start(t, { ...QUICK, preClose: never as never }, deferring())
  const client = await connect(t, hanging, '/')
  await hanging.close()
  assert.equal((await client.closed).code, 1012)
  assertBounded(reportOf(hanging))

  const failing = await start(t, { ...QUICK, preClose: (done: (error?: Error) => void) => { done(new Error('no')) } }, deferring())
  const other = await connect(t, failing, '/')
  await failing.close()
  assert.equal((await other.closed).code, 1012)
  assert.equal(logged(failing, /preClose failed/).length, 1)
})

test('another plugin\'s onClose never starts before the last cleanup has settled or been given up', async (t) => {
  const order: string[] = []
  const database = (name: string) => fp(async (app) => { app.addHook('onClose', async () => { order.push(name) }) }, { name })
  const app = await start(t, { ...QUICK, cleanupTimeout: 200 }, async (app) => {
    app.get('/slow', { websocket: true }, (socket) => { app.sockets.of(socket).defer(async () => { await sleep(100); order.push('slow cleanup') }) })
    app.get('/hangs', { websocket: true }, (socket) => { app.sockets.of(socket).defer(never) })
    await app.register(database('after'))
  }, { before: async (app) => { await app.register(database('before')) } })
  const drained: DrainReport[] = []
  app.sockets.on('drained', (report) => { drained.push(report); order.push('drained') })
  const clients = await Promise.all([connect(t, app, '/slow'), connect(t, app, '/hangs')])
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  assert.deepEqual(order, ['slow cleanup', 'drained', 'after', 'before'])
})
